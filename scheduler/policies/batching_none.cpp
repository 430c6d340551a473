// One request a batch.
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class NoBatching final : public BatchingPolicy {
 public:
  [[nodiscard]] std::uint32_t largest(std::uint32_t) const override { return 1; }
  [[nodiscard]] Duration wait() const override { return {}; }
};

}  // namespace

std::unique_ptr<BatchingPolicy> make_no_batching(MapReader&) {
  return std::make_unique<NoBatching>();
}

}  // namespace disagfusion::scheduler
