// A waiting request with a deadline stops, at its next step, the running batch whose earliest
// deadline is the latest, provided that this is later than its own by more than `margin` (default 0
// s) and that at least `remaining` (default 1 s) of it is still to run. To be used with `queue:
// deadline`, so that the freed instance takes the urgent request.
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class DeadlinePreemption final : public PreemptionPolicy {
 public:
  DeadlinePreemption(Duration margin, Duration remaining)
      : margin_(margin), remaining_(remaining) {}

  [[nodiscard]] bool enabled() const override { return true; }
  [[nodiscard]] std::uint32_t victim(const RequestRecord& waiting, TimePoint,
                                     const std::vector<RunningBatch>& running) const override {
    if (waiting.deadline == TimePoint::never()) return kNoSlot;
    const RunningBatch* chosen = nullptr;
    for (const RunningBatch& batch : running) {
      if (batch.steps < 2 || batch.remaining < remaining_) continue;
      if (batch.earliest_deadline <= waiting.deadline + margin_) continue;
      if (chosen == nullptr || batch.earliest_deadline > chosen->earliest_deadline) chosen = &batch;
    }
    return chosen == nullptr ? kNoSlot : chosen->batch;
  }

 private:
  Duration margin_, remaining_;
};

}  // namespace

std::unique_ptr<PreemptionPolicy> make_deadline_preemption(MapReader& parameters) {
  const Duration margin = parameters.get("margin", as_duration(), Duration{});
  const Duration remaining = parameters.get("remaining", as_duration(), from_seconds(1));
  return std::make_unique<DeadlinePreemption>(margin, remaining);
}

}  // namespace disagfusion::scheduler
