// Device memory of a stage: weights, activations, and what is left of the weights when they are
// streamed. docs/models/memory.md has the scope and the comparison with measured peaks.
#pragma once

#include "base/scenario.hpp"
#include "predictor/number_format.hpp"
#include "predictor/roofline.hpp"

namespace disagfusion::predictor {

/// What the device holds beside weights and activations: the driver's context and kernels.
inline constexpr double kContextBytes = 0.5e9;

/// Bytes of all weights of a stage; 0 for `other`.
double stage_weight_bytes(StageKind kind, const Architecture& model, NumberFormat format);

/// Bytes of weights on the device at once where they are streamed from host memory: two blocks (one
/// computing, one arriving).
double streamed_weight_bytes(StageKind kind, const Architecture& model, NumberFormat format);

/// Peak bytes beside the weights on each GPU of the call, the context included; 0 for `other`.
double stage_activation_bytes(StageKind kind, const Architecture& model, const Call& call);

}  // namespace disagfusion::predictor
