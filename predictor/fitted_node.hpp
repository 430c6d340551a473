// One stage of a model on one GPU type, answered from a profile on the scheduler's path.
#pragma once

#include <array>
#include <string>

#include "predictor/cost_model.hpp"
#include "predictor/fitted.hpp"

namespace disagfusion::predictor {

/// The pool's degree is sequence parallelism by all-to-all; the framework is not stated.
class FittedNode {
 public:
  FittedNode(const Profile& profile, StageKind kind, const std::string& model_name,
             const Architecture& model, const GpuSpec& gpu);

  /// The shape must have a size. Constant: of the distribution the interval tells.
  [[nodiscard]] Estimate estimate(const Query& query, NumberFormat format) const;
  /// Of one GPU.
  [[nodiscard]] const Unseen& unseen() const { return stages_.front().unseen(); }

 private:
  /// By fast format, several GPUs, streamed weights: what terms_of() tells apart.
  static std::size_t index(bool fast, bool parallel, bool streamed) {
    return (fast ? 4U : 0U) + (parallel ? 2U : 0U) + (streamed ? 1U : 0U);
  }

  Asked asked_;
  Architecture model_;
  GpuSpec gpu_;
  std::vector<FittedStage> stages_;
};

}  // namespace disagfusion::predictor
