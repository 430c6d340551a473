#include "exec/realtime/in_process_puller.hpp"

namespace disagfusion::exec {

void InProcessPuller::pull(std::uint64_t id, const PullSource& source,
                           std::function<void(std::optional<Buffer>)> done) {
  double seconds = link_.latency.seconds();
  if (link_.bandwidth > 0) seconds += static_cast<double>(source.bytes) / link_.bandwidth;
  const auto [timer, fresh] = timers_.insert_or_assign(id, boost::asio::steady_timer(context_));
  timer->second.expires_after(std::chrono::nanoseconds(from_seconds(seconds / clock_.speed()).ns));
  timer->second.async_wait(
      [this, id, source, done = std::move(done)](boost::system::error_code error) {
        if (error || timers_.erase(id) == 0) return;  // cancelled
        done(fetch_(source));
      });
}

}  // namespace disagfusion::exec
