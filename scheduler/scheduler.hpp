// The scheduler: a pure state machine that owns the life of requests, commands, handles and
// instances (design 2). No thread, no clock, no I/O, no randomness of its own: the same sequence of
// (now, event) gives the same actions, byte for byte.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "predictor/cost_model.hpp"
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::scheduler {

/// A move of elasticity or of an operator, for reports.
struct ScalingDecision {
  TimePoint at;
  std::string action;  ///< re-role, provision, stop
  InstanceId instance;
  std::string from, to, why;
};

struct Counters {
  std::uint64_t stale_events = 0;
  std::uint64_t retries = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t outputs_dropped = 0;  ///< parked ones, because host memory ran out
};

/// Read by reports, metrics and `ctl status`; a copy of nothing, valid until the next event.
struct InstanceView {
  InstanceKey key;
  PoolId role;
  const char* state = "";    ///< off, provisioning, loading, ready, draining, lost
  std::uint32_t queued = 0;  ///< batches in its run queue that have not started
  bool running = false;
};

class Scheduler {
 public:
  /// `belief` answers by Setup::graph and Setup::gpu_types. Problems: a policy's unknown or bad
  /// parameter.
  static Result<std::unique_ptr<Scheduler>> make(
      const Setup& setup, std::shared_ptr<const predictor::CostModel> belief);
  ~Scheduler();

  /// Takes one event and appends the actions that it causes. `now` never decreases. The first event
  /// is controller_restarted with epoch 1, then instance_ready (incarnation 1) for each initial
  /// instance.
  void on_event(TimePoint now, const Event& event, ActionBuffer& actions);

  [[nodiscard]] const Counters& counters() const;
  [[nodiscard]] const std::vector<ScalingDecision>& decisions() const;
  [[nodiscard]] std::uint64_t unfinished_requests() const;
  [[nodiscard]] std::size_t open_commands() const;
  [[nodiscard]] std::vector<InstanceView> instances() const;
  [[nodiscard]] std::size_t queue_length(WeightsId stage) const;
  /// What a request waits for or went through, for `ctl explain`. Empty when unknown.
  [[nodiscard]] std::string explain(RequestKey request) const;
  /// Invariants that can be checked from inside (design 2: d, e, h); empty when all hold.
  [[nodiscard]] std::string audit() const;

 private:
  struct State;
  explicit Scheduler(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace disagfusion::scheduler
