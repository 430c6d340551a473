// The scheduler's view of its belief: seconds by small dense numbers, memoised, corrected online.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/ids.hpp"
#include "base/scenario.hpp"
#include "base/time.hpp"
#include "predictor/cost_model.hpp"
#include "predictor/online.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::scheduler {

/// Roles with equal GPU type, degree, format and offload cost the same: one class.
using CostClass = std::uint16_t;

class Costs {
 public:
  Costs(const Setup& setup, std::shared_ptr<const predictor::CostModel> belief);

  /// A dense number for a shape.
  std::uint32_t intern(const Shape& shape);
  [[nodiscard]] const Shape& shape(std::uint32_t id) const { return shapes_[id]; }
  [[nodiscard]] std::size_t shapes() const { return shapes_.size(); }
  [[nodiscard]] CostClass class_of(PoolId role) const { return role_class_[role.index()]; }
  [[nodiscard]] CostClass classes() const { return static_cast<CostClass>(class_roles_.size()); }

  /// Expected seconds of steps [first, last) of one batch of `requests` requests, after correction.
  /// A stage's fixed part belongs to its first step.
  Duration seconds(NodeId node, std::uint32_t shape, CostClass cost_class, std::uint32_t requests,
                   std::uint32_t first_step, std::uint32_t last_step) {
    if (requests == 1 && first_step == 0) {
      const Entry& known = alone_[place_of(node, shape, cost_class)];
      if (last_step == known.whole_steps) return known.whole;
    }
    return corrected_seconds(node, shape, cost_class, requests, first_step, last_step);
  }
  /// The whole stage, one request.
  Duration whole(NodeId node, std::uint32_t shape, CostClass cost_class) {
    return seconds(node, shape, cost_class, 1, 0, steps(shape));
  }
  /// Steps of a stage, as step ranges count them: those of the request, at least 1.
  [[nodiscard]] std::uint32_t steps(std::uint32_t shape) const {
    return shapes_[shape].steps == 0 ? 1 : shapes_[shape].steps;
  }

  /// Expected seconds of handing over this much: latency + bytes / bandwidth.
  [[nodiscard]] Duration transfer(double bytes) const;
  [[nodiscard]] double output_bytes(NodeId node, std::uint32_t shape) const;

  /// Completions count: observe() does something.
  [[nodiscard]] bool learns() const { return online_ != nullptr; }
  /// Learns from a completion of these steps: what they took.
  void observe(NodeId node, std::uint32_t shape, CostClass cost_class, std::uint32_t requests,
               std::uint32_t first_step, std::uint32_t last_step, Duration measured);

 private:
  struct Entry {
    double fixed_ns = -1;  ///< -1: not asked yet
    double step_ns = 0;
    Duration whole;                 ///< of all steps, where nothing corrects it ...
    std::uint32_t whole_steps = 0;  ///< ... and how many they are; 0: not known, or corrected
  };
  [[nodiscard]] std::size_t place_of(NodeId node, std::uint32_t shape, CostClass cost_class) const {
    return (shape * nodes_ + node.index()) * classes_ + cost_class;
  }
  Duration corrected_seconds(NodeId node, std::uint32_t shape, CostClass cost_class,
                             std::uint32_t requests, std::uint32_t first_step,
                             std::uint32_t last_step);
  Entry& entry(NodeId node, std::uint32_t shape, CostClass cost_class, std::uint32_t requests);
  double uncorrected_ns(NodeId node, std::uint32_t shape, CostClass cost_class,
                        std::uint32_t requests, std::uint32_t first_step, std::uint32_t last_step);
  [[nodiscard]] Entry ask(NodeId node, std::uint32_t shape, CostClass cost_class,
                          std::uint32_t requests) const;

  const Setup& setup_;
  std::size_t nodes_, classes_ = 0;
  std::shared_ptr<const predictor::CostModel> belief_;
  std::vector<CostClass> role_class_;
  std::vector<PoolId> class_roles_;  // a role of each class
  std::vector<Shape> shapes_;
  std::map<Shape, std::uint32_t> shape_ids_;
  std::uint32_t last_shape_ = 0;
  std::vector<Entry> alone_;                     // of one request: [place_of()], all shapes
  std::vector<std::vector<Entry>> by_requests_;  // of more: [requests - 2][place_of()]
  std::unique_ptr<predictor::OnlineCorrection> online_;
};

}  // namespace disagfusion::scheduler
