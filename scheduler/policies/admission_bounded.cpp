// Rejects when `waiting` requests have not yet started (default 100). A client that is turned away
// is told to come back after `retry_after` (default 1 s).
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class BoundedAdmission final : public AdmissionPolicy {
 public:
  BoundedAdmission(std::uint64_t waiting, Duration retry_after)
      : waiting_(waiting), retry_after_(retry_after) {}

  [[nodiscard]] Admission decide(const AdmissionQuestion& question) const override {
    if (question.waiting < waiting_) return {};
    return {false, Why::queue_full, retry_after_};
  }

 private:
  std::uint64_t waiting_;
  Duration retry_after_;
};

}  // namespace

std::unique_ptr<AdmissionPolicy> make_bounded_admission(MapReader& parameters) {
  constexpr std::uint32_t kWaiting = 100;
  const std::uint32_t waiting = parameters.get("waiting", as_count(1), kWaiting);
  const Duration retry_after = parameters.get("retry_after", as_duration(), from_seconds(1));
  return std::make_unique<BoundedAdmission>(waiting, retry_after);
}

}  // namespace disagfusion::scheduler
