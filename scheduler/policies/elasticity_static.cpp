// The fleet stays as it is.
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class StaticElasticity final : public ElasticityPolicy {
 public:
  TimePoint decide(const FleetView&, std::vector<Move>&) override { return TimePoint::never(); }
  [[nodiscard]] TimePoint first_wake() const override { return TimePoint::never(); }
};

}  // namespace

std::unique_ptr<ElasticityPolicy> make_static_elasticity(MapReader&, const Setup&) {
  return std::make_unique<StaticElasticity>();
}

}  // namespace disagfusion::scheduler
