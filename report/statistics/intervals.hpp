// 95 % confidence intervals: over independent replications, or from batch means within one run.
//
// Mean of n values with sample variance s^2:   mean +- t_{n-1, 0.975} s / sqrt(n)
// (W. S. Gosset, "The probable error of a mean", Biometrika 6 (1908)). Within one run successive
// values are correlated; the means of long batches hardly are, so the same formula holds for them
// (A. Law, Simulation Modeling and Analysis, 5th ed., 2015, section 9.5.3).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace disagfusion::report {

struct Interval {
  double lo = 0, hi = 0;
};

/// A reported figure. Without an interval, `why` says the reason.
struct Figure {
  std::optional<double> value;
  std::optional<Interval> ci95;
  std::string why;
};

/// The 97.5 % point of Student's t distribution with `freedom` >= 1 degrees; relative error below
/// 1e-4 (a table to 30, then Abramowitz and Stegun 26.7.5).
double student_t_975(std::size_t freedom);

/// Mean and interval of independent values; none below two values.
std::optional<Interval> interval_of_mean(std::span<const double> values);

/// The batch means of a stream of unknown length: batches double in size whenever there are kMost.
class BatchMeans {
 public:
  static constexpr std::size_t kFewest = 20, kMost = 64;
  void add(double value) {
    sum_ += value;
    total_ += value;
    ++count_;
    if (++in_batch_ == batch_size_) close();
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::optional<double> mean() const {
    if (count_ == 0) return std::nullopt;
    return total_ / static_cast<double>(count_);
  }
  /// The interval, or why there is none: too few values, or batches still correlated (lag-1
  /// autocorrelation of the batch means above 1.96 / sqrt(batches)).
  [[nodiscard]] std::optional<Interval> interval(std::string& why) const;

 private:
  void close();
  double sum_ = 0, total_ = 0;
  std::uint64_t count_ = 0, in_batch_ = 0, batch_size_ = 1;
  std::vector<double> batches_;  ///< sums of batch_size_ values
};

}  // namespace disagfusion::report
