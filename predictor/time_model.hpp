// Seconds from features and coefficients, with the share that each coefficient has in them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "predictor/features.hpp"

namespace disagfusion::predictor {

/// What is fitted: each multiplies the seconds of one kind of work. A utilisation is the inverse.
enum class Coefficient : std::uint8_t {
  linear,
  attention,
  elementwise,  ///< tensors read or written a layer
  launch,       ///< ms a layer and pass
  nvlink,
  pcie,
  collective,
  ring,    ///< share of the ring's bytes that compute does not hide
  gather,  ///< the same for sharded weights
  stream,  ///< over PCIe, of offloaded weights
  dit,     ///< all of the DiT
  call,    ///< fixed part of an end-to-end call
  text_flop,
  text_launch,
  image_embedding,
  vae,       ///< memory traffic
  vae_flop,  ///< convolutions
  vae_encode
};
inline constexpr std::size_t kCoefficients = 18;
const char* name_of(Coefficient coefficient);

using Coefficients = std::array<double, kCoefficients>;
constexpr std::size_t at(Coefficient coefficient) { return static_cast<std::size_t>(coefficient); }

/// The factors e^x of logarithmic coefficients x, by portable_exp.
Coefficients factors_of(const Coefficients& logarithms);

struct Timing {
  double seconds = 0;
  Parts parts;                ///< sum to `seconds`
  Coefficients elasticity{};  ///< d ln(seconds) / d ln(coefficient)
};

/// Never decreases in any feature; elasticities are not negative.
Timing time_of(const Features& features, const Coefficients& factors);

}  // namespace disagfusion::predictor
