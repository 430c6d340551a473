// Memory of a cost model's answers for the scheduler's hot path: one load and two compares.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "predictor/cost_model.hpp"

namespace disagfusion::predictor {

/// How a pool runs its stages: the part of a question that belongs to the pool.
struct Variant {
  std::uint16_t degree = 1;
  bool offload = false;
  std::string dtype = "bf16";
  bool operator==(const Variant&) const = default;
};

/// Answers of one cost model, each asked once. Shapes are interned by the caller: add_shape() gives
/// the next dense number. One thread only. References stay valid while this object lives.
class CachedCosts {
 public:
  /// `costs` must outlive this. `largest_batch` counts images; larger batches are asked every time.
  CachedCosts(const CostModel& costs, std::size_t node_count, std::size_t gpu_count,
              std::vector<Variant> variants, std::uint32_t largest_batch);

  /// A number for this shape: 0, 1, ... Equal shapes are not looked for.
  std::uint32_t add_shape(const Shape& shape);
  [[nodiscard]] const Shape& shape(std::uint32_t shape_class) const { return shapes_[shape_class]; }

  /// The estimate, computed at the first call. `variant` counts the constructor's variants. Asks of
  /// unsupported (node, gpu) pairs fail as CostModel::estimate does.
  const Estimate& at(NodeId node, std::uint32_t shape_class, GpuTypeId gpu, std::size_t variant,
                     std::uint32_t batch) {
    Estimate* const block = blocks_[shape_class * node_count_ + node.index()].get();
    if (block != nullptr && batch - 1 < largest_batch_) [[likely]] {
      Estimate& known =
          block[(gpu.index() * variants_.size() + variant) * largest_batch_ + batch - 1];
      if (known.seconds >= 0) [[likely]]
        return known;
    }
    return ask(node, shape_class, gpu, variant, batch);
  }

 private:
  const Estimate& ask(NodeId node, std::uint32_t shape_class, GpuTypeId gpu, std::size_t variant,
                      std::uint32_t batch);

  const CostModel* costs_;
  std::size_t node_count_, gpu_count_;
  std::vector<Variant> variants_;
  std::uint32_t largest_batch_;
  std::vector<Shape> shapes_;
  std::vector<std::unique_ptr<Estimate[]>>
      blocks_;                                     ///< by shape, then node; seconds < 0: not asked
  std::vector<std::unique_ptr<Estimate>> larger_;  ///< answers for batches above largest_batch
};

}  // namespace disagfusion::predictor
