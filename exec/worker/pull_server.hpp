// The sending lane: whoever knows the token may fetch what is held here. Loopback only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "exec/net/asio.hpp"
#include "exec/stage/buffer.hpp"
#include "scheduler/keys.hpp"

namespace disagfusion::exec {

/// Serves pulls on a port of 127.0.0.1 until stopped. One thread, that of `context`.
class PullServer : public std::enable_shared_from_this<PullServer> {
 public:
  struct Source {
    /// The bytes of a handle held by `holder`, or nothing.
    std::function<std::optional<Buffer>(scheduler::InstanceKey holder, scheduler::HandleKey)> find;
    /// The last byte of a pull was written.
    std::function<void(scheduler::HandleKey)> served;
  };

  /// On `port` where that is free, else on any. Throws boost::system::system_error where none is.
  static std::shared_ptr<PullServer> start(asio::io_context& context, std::string token,
                                           std::uint16_t port, Source source);
  /// Takes no more connections and lets the source go: later pulls find nothing.
  void stop();
  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// Up to this size bytes travel in one write with their head.
  static constexpr std::size_t kSmallPull = 64U << 10U;

 private:
  PullServer(asio::io_context& context, std::string token, std::uint16_t port, Source source);
  static asio::awaitable<void> accept(std::shared_ptr<PullServer> self);
  static asio::awaitable<void> serve(std::shared_ptr<PullServer> self, tcp::socket peer);

  tcp::acceptor acceptor_;
  std::string token_;
  Source source_;
  std::uint16_t port_ = 0;
};

}  // namespace disagfusion::exec
