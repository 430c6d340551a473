// What runs, runs to its end.
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class NoPreemption final : public PreemptionPolicy {
 public:
  [[nodiscard]] bool enabled() const override { return false; }
  [[nodiscard]] std::uint32_t victim(const RequestRecord&, TimePoint,
                                     const std::vector<RunningBatch>&) const override {
    return kNoSlot;
  }
};

}  // namespace

std::unique_ptr<PreemptionPolicy> make_no_preemption(MapReader&) {
  return std::make_unique<NoPreemption>();
}

}  // namespace disagfusion::scheduler
