#include "scheduler/costs.hpp"

#include <tuple>

namespace disagfusion::scheduler {

Costs::Costs(const Setup& setup, std::shared_ptr<const predictor::CostModel> belief)
    : setup_(setup), nodes_(setup.graph.nodes.size()), belief_(std::move(belief)) {
  std::map<std::tuple<std::uint16_t, std::uint32_t, bool, std::string>, CostClass> known;
  for (std::size_t i = 0; i < setup.roles.size(); ++i) {
    const Role& role = setup.roles[i];
    const auto [place, fresh] =
        known.try_emplace({role.gpu.value, role.degree, role.offload, role.dtype},
                          static_cast<CostClass>(class_roles_.size()));
    if (fresh) class_roles_.push_back(PoolId{static_cast<std::uint16_t>(i)});
    role_class_.push_back(place->second);
  }
  classes_ = class_roles_.size();
  if (setup.learning) {
    online_ = std::make_unique<predictor::OnlineCorrection>(setup.graph, setup.gpu_types.size());
  }
}

std::uint32_t Costs::intern(const Shape& shape) {
  if (last_shape_ < shapes_.size() && shapes_[last_shape_] == shape) return last_shape_;
  const auto [place, fresh] =
      shape_ids_.try_emplace(shape, static_cast<std::uint32_t>(shapes_.size()));
  if (fresh) {
    shapes_.push_back(shape);
    alone_.resize(shapes_.size() * nodes_ * classes_);
  }
  return last_shape_ = place->second;
}

Costs::Entry Costs::ask(NodeId node, std::uint32_t shape, CostClass cost_class,
                        std::uint32_t requests) const {
  const Role& role = setup_.roles[class_roles_[cost_class].index()];
  predictor::Query query;
  query.node = node;
  query.shape = shapes_[shape];
  query.gpu = role.gpu;
  query.degree = static_cast<std::uint16_t>(role.degree);
  query.batch = requests * std::max<std::uint32_t>(1, shapes_[shape].images);
  query.offload = role.offload;
  query.dtype = role.dtype;
  const predictor::Estimate estimate = belief_->estimate(query);
  Entry entry;
  entry.fixed_ns = estimate.fixed_s * 1e9;
  entry.step_ns = estimate.per_step_s * 1e9;
  if (!online_) {
    entry.whole_steps = steps(shape);
    entry.whole = {rounded(entry.fixed_ns + entry.step_ns * entry.whole_steps)};
  }
  return entry;
}

Costs::Entry& Costs::entry(NodeId node, std::uint32_t shape, CostClass cost_class,
                           std::uint32_t requests) {
  if (by_requests_.size() < requests) by_requests_.resize(requests);
  std::vector<Entry>& entries = requests == 1 ? alone_ : by_requests_[requests - 2];
  const std::size_t position = place_of(node, shape, cost_class);
  if (position >= entries.size()) entries.resize(shapes_.size() * nodes_ * classes_);
  Entry& found = entries[position];
  if (found.fixed_ns < 0) found = ask(node, shape, cost_class, requests);
  return found;
}

Duration Costs::corrected_seconds(NodeId node, std::uint32_t shape, CostClass cost_class,
                                  std::uint32_t requests, std::uint32_t first_step,
                                  std::uint32_t last_step) {
  double ns = uncorrected_ns(node, shape, cost_class, requests, first_step, last_step);
  if (online_) ns *= online_->factor(node, setup_.roles[class_roles_[cost_class].index()].gpu);
  return {rounded(ns)};
}

double Costs::uncorrected_ns(NodeId node, std::uint32_t shape, CostClass cost_class,
                             std::uint32_t requests, std::uint32_t first_step,
                             std::uint32_t last_step) {
  const Entry& cost = entry(node, shape, cost_class, requests);
  const double steps = cost.step_ns * static_cast<double>(last_step - first_step);
  return first_step == 0 ? cost.fixed_ns + steps : steps;
}

Duration Costs::transfer(double bytes) const {
  if (!setup_.transfers) return {};
  double seconds = setup_.network.latency.seconds();
  if (setup_.network.bandwidth > 0) seconds += bytes / setup_.network.bandwidth;
  return from_seconds(seconds);
}

double Costs::output_bytes(NodeId node, std::uint32_t shape) const {
  return belief_->output_bytes(node, shapes_[shape]);
}

void Costs::observe(NodeId node, std::uint32_t shape, CostClass cost_class, std::uint32_t requests,
                    std::uint32_t first_step, std::uint32_t last_step, Duration measured) {
  if (!online_ || measured.ns <= 0) return;
  const double expected = uncorrected_ns(node, shape, cost_class, requests, first_step, last_step);
  if (expected <= 0) return;
  online_->observe(node, setup_.roles[class_roles_[cost_class].index()].gpu, expected * 1e-9,
                   measured.seconds());
}

}  // namespace disagfusion::scheduler
