// Transfers inside one process: latency + bytes / bandwidth on a timer, then the bytes.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <optional>

#include "base/scenario.hpp"
#include "exec/clock.hpp"
#include "exec/worker/puller.hpp"

namespace disagfusion::exec {

/// Overlapping transfers do not share bandwidth and know no jitter (docs/models/executor.md). One
/// thread, that of `context`.
class InProcessPuller final : public Puller {
 public:
  /// The bytes at their holder when the transfer ends, or nothing. Tells the holder that it was
  /// served.
  using Fetch = std::function<std::optional<Buffer>(const PullSource& source)>;

  InProcessPuller(boost::asio::io_context& context, const Clock& clock, LinkSpec link, Fetch fetch)
      : context_(context), clock_(clock), link_(link), fetch_(std::move(fetch)) {}

  void pull(std::uint64_t id, const PullSource& source,
            std::function<void(std::optional<Buffer>)> done) override;
  bool cancel(std::uint64_t id) override { return timers_.erase(id) > 0; }

 private:
  boost::asio::io_context& context_;
  const Clock& clock_;
  LinkSpec link_;
  Fetch fetch_;
  std::map<std::uint64_t, boost::asio::steady_timer> timers_;
};

}  // namespace disagfusion::exec
