// Earliest deadline first (Liu and Layland, J. ACM 20(1), 1973). Requests without a deadline come
// last, in the order of their numbers.
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class DeadlineQueue final : public QueuePolicy {
 public:
  [[nodiscard]] std::int64_t key(const RequestRecord& request, const StageRecord&) const override {
    return request.deadline.ns;
  }
};

}  // namespace

std::unique_ptr<QueuePolicy> make_deadline_queue(MapReader&) {
  return std::make_unique<DeadlineQueue>();
}

}  // namespace disagfusion::scheduler
