#include "predictor/cached_costs.hpp"

#include <utility>

#include "base/check.hpp"

namespace disagfusion::predictor {

CachedCosts::CachedCosts(const CostModel& costs, std::size_t node_count, std::size_t gpu_count,
                         std::vector<Variant> variants, std::uint32_t largest_batch)
    : costs_(&costs),
      node_count_(node_count),
      gpu_count_(gpu_count),
      variants_(std::move(variants)),
      largest_batch_(largest_batch) {
  DF_CHECK(!variants_.empty() && largest_batch_ > 0, "no variant or no batch to remember");
}

std::uint32_t CachedCosts::add_shape(const Shape& shape) {
  shapes_.push_back(shape);
  blocks_.resize(shapes_.size() * node_count_);
  return static_cast<std::uint32_t>(shapes_.size() - 1);
}

const Estimate& CachedCosts::ask(NodeId node, std::uint32_t shape_class, GpuTypeId gpu,
                                 std::size_t variant, std::uint32_t batch) {
  DF_CHECK(shape_class < shapes_.size() && node.index() < node_count_ && gpu.index() < gpu_count_ &&
               variant < variants_.size() && batch > 0,
           "node {}, shape {}, GPU type {}, variant {}, batch {}", node.value, shape_class,
           gpu.value, variant, batch);
  const Variant& how = variants_[variant];
  Query query{node, shapes_[shape_class], gpu};
  query.degree = how.degree;
  query.batch = batch;
  query.offload = how.offload;
  query.dtype = how.dtype;
  if (batch > largest_batch_) {
    larger_.push_back(std::make_unique<Estimate>(costs_->estimate(query)));
    return *larger_.back();
  }
  std::unique_ptr<Estimate[]>& block = blocks_[shape_class * node_count_ + node.index()];
  if (!block) {
    const std::size_t size = gpu_count_ * variants_.size() * largest_batch_;
    block = std::make_unique<Estimate[]>(size);
    for (std::size_t i = 0; i < size; ++i) block[i].seconds = -1;
  }
  Estimate& answer = block[(gpu.index() * variants_.size() + variant) * largest_batch_ + batch - 1];
  answer = costs_->estimate(query);
  return answer;
}

}  // namespace disagfusion::predictor
