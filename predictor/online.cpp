#include "predictor/online.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace disagfusion::predictor {
namespace {

constexpr double kLargestFactor = 8;
constexpr double kLargestRatio = 64;  // a measurement beyond it counts as this
constexpr double kClip = 4;           // spreads
constexpr double kLeastClip = 0.05;   // of the factor, where the seconds are constant
constexpr std::int32_t kLongestRun = 5;
constexpr double kLeastGain = 0.05;
constexpr double kGainAfterAlarm = 0.5;
constexpr double kSpreadGain = 0.1;
constexpr double kDeviations = 1.25;   // standard deviation / mean absolute deviation, normal
constexpr double kLeastSpread = 0.02;  // of the factor, in the CUSUM
constexpr double kAllowance = 0.5;     // standard deviations, both CUSUMs
constexpr double kThreshold = 8;       // standard deviations
constexpr double kLargestStep = 4;     // standard deviations that one sample adds at most

}  // namespace

// x = measured / predicted, f the factor, s its spread, k the gain, r samples in a row beyond the
// clip
//   d = x - f,  c = max(4 s, 0.05 f),  e = clamp(d, +-c 4^min(r - 1, 5))
//   f <- clamp(f + k e, 1/8, 8),  s <- s + 0.1 (min(|d|, c) - s),  k <- max(0.05, k / (1 + k))
// The gain is that of a running mean (Robbins and Monro 1951) with a floor that forgets; the clip
// is Huber's (1964), let out fourfold for each further sample on the same side, so that one wild
// sample counts for a few spreads and the third in a row for what it says. It tracks the mean of x,
// not its median: work is a sum of seconds. Drift (Page 1954), z = clamp(d / max(1.25 s, 0.025 f),
// +-4):
//   rise <- max(0, rise + z - 1/2),  fall <- max(0, fall - z - 1/2);  above 8: alarm, k <- 1/2
void Correction::observe(double predicted_s, double measured_s) {
  if (!(predicted_s > 0) || !(measured_s > 0)) return;
  const double ratio = std::clamp(measured_s / predicted_s, 1 / kLargestRatio, kLargestRatio);
  const double deviation = ratio - factor;
  const double size = std::abs(deviation);
  const double clip = std::max(kClip * spread, kLeastClip * factor);
  const std::int32_t side = deviation > 0 ? 1 : -1;
  if (size <= clip) {
    run = 0;
  } else {
    run = run * side > 0 ? std::clamp(run + side, -kLongestRun - 1, kLongestRun + 1) : side;
  }
  const std::int32_t repeats = std::max(0, std::abs(run) - 1);
  const double let_out = clip * static_cast<double>(1U << (2U * static_cast<unsigned>(repeats)));
  const double step = std::clamp(deviation, -let_out, let_out);

  const double scale = kDeviations * std::max(spread, kLeastSpread * factor);
  const double z = std::clamp(deviation / scale, -kLargestStep, kLargestStep);
  rise = std::max(0.0, rise + z - kAllowance);
  fall = std::max(0.0, fall - z - kAllowance);
  if (rise > kThreshold || fall > kThreshold) {
    ++alarms;
    rise = fall = 0;
    gain = std::max(gain, kGainAfterAlarm);
  }

  factor = std::clamp(factor + gain * step, 1 / kLargestFactor, kLargestFactor);
  spread += kSpreadGain * (std::min(size, clip) - spread);
  gain = std::max(kLeastGain, gain / (1 + gain));
  ++samples;
}

OnlineCorrection::OnlineCorrection(const StageGraph& graph, std::size_t gpu_count)
    : gpu_count_(gpu_count), cells_(graph.weights.size() * gpu_count) {
  for (const StageNode& node : graph.nodes) weights_.push_back(node.weights.value);
}

std::uint64_t OnlineCorrection::alarms() const {
  std::uint64_t sum = 0;
  for (const Correction& cell : cells_) sum += cell.alarms;
  return sum;
}

}  // namespace disagfusion::predictor
