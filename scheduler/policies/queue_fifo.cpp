// First in, first out: by the instant at which a request became ready at the stage.
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

class FifoQueue final : public QueuePolicy {
 public:
  [[nodiscard]] std::int64_t key(const RequestRecord&, const StageRecord& stage) const override {
    return stage.ready.ns;
  }
};

}  // namespace

std::unique_ptr<QueuePolicy> make_fifo_queue(MapReader&) { return std::make_unique<FifoQueue>(); }

}  // namespace disagfusion::scheduler
