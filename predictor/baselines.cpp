#include "predictor/baselines.hpp"

#include <algorithm>
#include <cmath>

namespace disagfusion::predictor {
namespace {

/// Seconds of the main work at peak rates.
double work_of(const Observation& row) {
  const Features& f = row.features;
  if (f.steps > 0) return (f.linear + f.attention) * f.steps;
  return f.text_flop + f.vae_flop * (f.vae_decodes + f.vae_encodes) + f.image_embedding;
}

bool alike(const Observation& a, const Observation& b) {
  return a.group == b.group && (a.group != Group::other || a.stage == b.stage);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double steps_of(const Observation& row) { return std::max(1.0, row.features.steps); }

double distance(const Observation& a, const Observation& b) {
  double sum = std::abs(std::log(work_of(a) / steps_of(a) / (work_of(b) / steps_of(b))));
  sum += a.gpu == b.gpu ? 0 : 1;
  sum += a.model == b.model ? 0 : 0.5;
  sum += a.layout == b.layout ? 0 : 0.5;
  return sum + (a.framework == b.framework ? 0 : 0.25);
}

}  // namespace

double constant_utilisation(const Observation& asked, const std::vector<Observation>& rows) {
  std::vector<double> logarithms;
  for (const Observation& row : rows)
    if (alike(asked, row)) logarithms.push_back(row.log_seconds - std::log(work_of(row)));
  return median(std::move(logarithms)) + std::log(work_of(asked));
}

double nearest_neighbour(const Observation& asked, const std::vector<Observation>& rows) {
  const Observation* nearest = nullptr;
  double least = 0;
  for (const Observation& row : rows) {
    if (!alike(asked, row)) continue;
    const double far = distance(asked, row);
    if (nearest != nullptr && far >= least) continue;
    nearest = &row;
    least = far;
  }
  if (nearest == nullptr) return std::log(work_of(asked));
  return nearest->log_seconds + std::log(steps_of(asked) / steps_of(*nearest));
}

}  // namespace disagfusion::predictor
