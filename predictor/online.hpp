// Correction of the belief from completions: one factor for each (weights, GPU type).
#pragma once

#include <cstdint>
#include <vector>

#include "base/scenario.hpp"

namespace disagfusion::predictor {

/// The running correction of one (weights, GPU type). Starts at 1.
struct Correction {
  double factor = 1;          ///< measured / predicted, believed; within [1/8, 8]
  double spread = 0.1;        ///< mean absolute deviation of measured / predicted from it
  double gain = 1.0 / 3;      ///< weight of the next sample
  double rise = 0, fall = 0;  ///< one-sided CUSUMs of standardised deviations
  std::int32_t run = 0;       ///< samples in a row beyond the clip, signed by side
  std::uint32_t samples = 0;
  std::uint32_t alarms = 0;  ///< drifts noticed

  /// Takes in one completion. Both seconds are positive, else it is ignored.
  void observe(double predicted_s, double measured_s);
};

/// Deterministic, O(1), no allocation after construction; one thread.
class OnlineCorrection {
 public:
  OnlineCorrection(const StageGraph& graph, std::size_t gpu_count);

  /// One batch has finished. `predicted_s` is what the cost model said, *without* factor(); of a
  /// resumed or partial batch, for the steps that were done.
  void observe(NodeId node, GpuTypeId gpu, double predicted_s, double measured_s) {
    cell(node, gpu).observe(predicted_s, measured_s);
  }
  /// Multiplies the cost model's seconds. Stages with the same weights share it.
  [[nodiscard]] double factor(NodeId node, GpuTypeId gpu) const { return state(node, gpu).factor; }
  /// factor, spread, samples and alarms, for metrics and explanations.
  [[nodiscard]] const Correction& state(NodeId node, GpuTypeId gpu) const {
    return cells_[weights_[node.index()] * gpu_count_ + gpu.index()];
  }
  /// Drifts noticed so far, over all stages and GPU types.
  [[nodiscard]] std::uint64_t alarms() const;

 private:
  Correction& cell(NodeId node, GpuTypeId gpu) {
    return cells_[weights_[node.index()] * gpu_count_ + gpu.index()];
  }

  std::size_t gpu_count_;
  std::vector<std::uint16_t> weights_;  ///< by node
  std::vector<Correction> cells_;       ///< by weights, then GPU type
};

}  // namespace disagfusion::predictor
