// The receiving lane: bytes straight from the peer that holds them, over TCP.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "exec/net/asio.hpp"
#include "exec/worker/puller.hpp"

namespace disagfusion::exec {

/// Keeps idle connections to peers for the next pull. A pull from the controller is tried until it
/// is there: it may be away for a restart, and what it holds is durable. One thread, that of
/// `context`.
class TcpPuller final : public Puller {
 public:
  TcpPuller(asio::io_context& context, std::string token);
  ~TcpPuller() override;

  void pull(std::uint64_t id, const PullSource& source,
            std::function<void(std::optional<Buffer>)> done) override;
  bool cancel(std::uint64_t id) override;

  /// No transfer takes longer without a byte, and nothing larger is believed.
  static constexpr std::chrono::seconds kSilence{30};
  static constexpr std::chrono::milliseconds kControllerRetry{100};
  static constexpr std::uint64_t kLargestPull = std::uint64_t{1} << 36U;

 private:
  struct Job {
    PullSource source;
    std::function<void(std::optional<Buffer>)> done;
    tcp::socket socket;
    bool cancelled = false;
  };
  struct State {
    explicit State(std::string secret) : token(std::move(secret)) {}
    std::string token;
    std::unordered_map<std::uint64_t, std::shared_ptr<Job>> jobs;
    std::map<std::uint16_t, std::vector<tcp::socket>> idle;  ///< by port
  };

  static asio::awaitable<void> run(std::shared_ptr<State> state, std::uint64_t id,
                                   std::shared_ptr<Job> job);
  static asio::awaitable<std::optional<Buffer>> fetch(std::shared_ptr<State> state,
                                                      std::shared_ptr<Job> job);
  static asio::awaitable<std::optional<Buffer>> exchange(std::shared_ptr<State> state,
                                                         std::shared_ptr<Job> job, bool* answered);

  asio::io_context& context_;
  std::shared_ptr<State> state_;
};

}  // namespace disagfusion::exec
