// Device memory of a stage: weights, activations, and what is left of the weights when they are
// streamed. docs/models/memory.md has the scope and the comparison with measured peaks.
#pragma once

#include <cstdint>

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

/// Where an instance's weights are before it loads them.
enum class WeightsFrom : std::uint8_t { disk, host };

/// Seconds to bring `bytes` of weights to the device: over PCIe at 80 % of its rate, from disk at
/// 2 GB/s (an NVMe drive read by one process; assumed) where that is slower. The start of the
/// process and compilation are not in it. 0 where the data sheet states no PCIe rate.
double load_seconds(double bytes, const GpuSpec& gpu, WeightsFrom from);

}  // namespace disagfusion::predictor
