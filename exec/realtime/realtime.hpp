// `simulate --real-time`: the scheduler on the executor's clock, instances emulated in this
// process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.hpp"
#include "exec/deployment.hpp"
#include "scheduler/session.hpp"
#include "traces/arrivals.hpp"

namespace disagfusion::exec {

/// Sees a run as it happens: recorders, logs, progress.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  /// Before its request_arrived event; `request` lives during the call.
  virtual void arrives(scheduler::RequestKey key, std::uint64_t number,
                       const traces::Request& request) = 0;
  /// After each event, with the actions that it caused.
  virtual void decided(TimePoint now, const scheduler::Event& event,
                       const scheduler::ActionBuffer& actions) = 0;
};

struct RealtimeOptions {
  double speed = 1;                     ///< seconds of the scenario in a second
  scheduler::EventSink* log = nullptr;  ///< `--log`
  /// Sees the scheduler as the run left it, at the instant of its last event.
  std::function<void(TimePoint, const scheduler::Scheduler&)> at_end;
};

struct RealtimeOutcome {
  TimePoint end;  ///< the last event
  std::uint64_t events = 0;
  std::uint64_t decision_hash = 0;
  scheduler::Counters counters;
  std::vector<scheduler::ScalingDecision> decisions;
};

/// Runs until every request of `arrivals` has ended; blocks, and drives everything on this thread.
/// Fails where the trace turns out wrong in mid-stream or a policy refuses its parameters.
Result<RealtimeOutcome> run_realtime(const Deployment& deployment, traces::ArrivalSource& arrivals,
                                     RunObserver& observer, const RealtimeOptions& options);

/// The body of a request as the scheduler takes it. `seed`: of its noise where live.
scheduler::RequestBody body_of(const traces::Request& request, std::uint64_t seed);

}  // namespace disagfusion::exec
