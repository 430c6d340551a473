// Admits everything.
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class UnlimitedAdmission final : public AdmissionPolicy {
 public:
  [[nodiscard]] Admission decide(const AdmissionQuestion&) const override { return {}; }
};

}  // namespace

std::unique_ptr<AdmissionPolicy> make_unlimited_admission(MapReader&) {
  return std::make_unique<UnlimitedAdmission>();
}

}  // namespace disagfusion::scheduler
