#include "report/statistics/intervals.hpp"

#include <array>
#include <cmath>

namespace disagfusion::report {

double student_t_975(std::size_t freedom) {
  static constexpr std::array<double, 31> kTable{
      0,        12.70620, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624,
      2.306004, 2.262157, 2.228139, 2.200985, 2.178813, 2.160369, 2.144787, 2.131450,
      2.119905, 2.109816, 2.100922, 2.093024, 2.085963, 2.079614, 2.073873, 2.068658,
      2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272};
  if (freedom < kTable.size()) return kTable[freedom];
  // t = z + g1/v + g2/v^2 + g3/v^3
  const double z = 1.959963985, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  const auto v = static_cast<double>(freedom);
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * v * v * v);
}

std::optional<Interval> interval_of_mean(std::span<const double> values) {
  const std::size_t n = values.size();
  if (n < 2) return std::nullopt;
  double mean = 0;
  for (const double value : values) mean += value;
  mean /= static_cast<double>(n);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half = student_t_975(n - 1) *
                      std::sqrt(squares / static_cast<double>(n - 1) / static_cast<double>(n));
  return Interval{mean - half, mean + half};
}

void BatchMeans::close() {
  batches_.push_back(sum_);
  sum_ = 0;
  in_batch_ = 0;
  if (batches_.size() < kMost) return;
  for (std::size_t i = 0; i < kMost / 2; ++i) batches_[i] = batches_[2 * i] + batches_[2 * i + 1];
  batches_.resize(kMost / 2);
  batch_size_ *= 2;
}

std::optional<Interval> BatchMeans::interval(std::string& why) const {
  const std::size_t n = batches_.size();
  if (n < kFewest || batch_size_ < 16) {
    why = "one run, too short for batch means: add replications";
    return std::nullopt;
  }
  std::vector<double> means(batches_);
  double mean = 0;
  for (double& value : means) {
    value /= static_cast<double>(batch_size_);
    mean += value;
  }
  mean /= static_cast<double>(n);
  double variance = 0, covariance = 0;
  for (std::size_t i = 0; i < n; ++i) {
    variance += (means[i] - mean) * (means[i] - mean);
    if (i > 0) covariance += (means[i] - mean) * (means[i - 1] - mean);
  }
  if (covariance > 1.96 / std::sqrt(static_cast<double>(n)) * variance) {
    why = "one run, batch means are correlated: run longer or add replications";
    return std::nullopt;
  }
  return interval_of_mean(means);
}

}  // namespace disagfusion::report
