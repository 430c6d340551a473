// Requests of one model with equal shapes and equal next step share a batch, up to the role's
// `max_batch`. With `wait` (default 0 s) the first of a batch that is not full waits so long for
// others; a batch that was sent stays open until it starts.
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class EqualShapesBatching final : public BatchingPolicy {
 public:
  explicit EqualShapesBatching(Duration wait) : wait_(wait) {}
  [[nodiscard]] std::uint32_t largest(std::uint32_t limit) const override { return limit; }
  [[nodiscard]] Duration wait() const override { return wait_; }

 private:
  Duration wait_;
};

}  // namespace

std::unique_ptr<BatchingPolicy> make_equal_shapes_batching(MapReader& parameters) {
  return std::make_unique<EqualShapesBatching>(parameters.get("wait", as_duration(), Duration{}));
}

}  // namespace disagfusion::scheduler
