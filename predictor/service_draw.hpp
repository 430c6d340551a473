// How long a batch really takes: the truth's expectation times a factor of mean 1, drawn by
// (seed, request, stage), so that the same request meets the same luck under every policy, fleet
// and retry (common random numbers). Shared by the simulated and the emulated worker.
#pragma once

#include <array>
#include <cstdint>

#include "base/random.hpp"
#include "predictor/cost_model.hpp"

namespace disagfusion::predictor {

/// The first four draws of a request's service stream: kept, they serve four stages.
using ServiceBits = std::array<std::uint64_t, 4>;

inline ServiceBits service_bits(std::uint64_t seed, std::uint64_t request_index) {
  return draw_block(seed, Purpose::service, request_index, 0);
}

/// The factor of stage number `stage` of a model for request `request_index` (0, 1, ...). `bits`
/// are service_bits() of that request.
inline double service_factor(const Estimate& estimate, std::uint64_t seed,
                             std::uint64_t request_index, std::uint32_t stage,
                             const ServiceBits& bits) {
  if (estimate.distribution == Distribution::constant) return 1;
  if (estimate.distribution == Distribution::gamma) {
    RandomStream stream(seed, Purpose::service, request_index, stage + 1ULL);
    return GammaDistribution(1, estimate.cv)(stream);
  }
  const double u = to_unit(
      stage < bits.size() ? bits[stage] : draw(seed, Purpose::service, request_index, stage));
  if (estimate.distribution == Distribution::exponential) return exponential_from(u, 1);
  return LognormalDistribution(1, estimate.cv).from(u);
}

/// Nanoseconds of steps [first, last) at that factor. The fixed part belongs to the first step.
inline double service_ns(const Estimate& estimate, std::uint32_t first, std::uint32_t last,
                         double factor) {
  double ns = estimate.per_step_s * 1e9 * static_cast<double>(last - first);
  if (first == 0) ns += estimate.fixed_s * 1e9;
  return ns * factor;
}

}  // namespace disagfusion::predictor
