// Percentiles of a stream: exact up to a million values, a sketch above.
//
// Exact, of n sorted values x_0 <= ... <= x_{n-1} and a share q: with h = (n - 1) q, k = floor(h),
//     percentile = x_k + (h - k) (x_{k+1} - x_k)
// (linear interpolation between order statistics; R. Hyndman, Y. Fan, "Sample quantiles in
// statistical packages", The American Statistician 50 (1996), type 7).
//
// Sketch: counts in buckets of equal relative width, 1024 an octave, whose middle stands for all of
// them: the error is at most 2^-11 of the value, below 0.1 %.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.hpp"

namespace disagfusion::report {

class Percentiles {
 public:
  static constexpr std::size_t kExactLimit = 1'000'000;

  /// Durations are not negative. Memory: 8 bytes a value until the limit, then about 0.5 MB.
  void add(Duration value) {
    if (exact_ && values_.size() < kExactLimit) {
      values_.push_back(value.ns);
    } else {
      add_to_sketch(value.ns);
    }
    ++count_;
    if (value > largest_) largest_ = value;
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] bool exact() const { return exact_; }
  [[nodiscard]] Duration largest() const { return largest_; }
  /// Seconds at share q in [0, 1]; none where there is no value. Reorders what is stored.
  [[nodiscard]] std::optional<double> at(double q);

 private:
  void add_to_sketch(std::int64_t ns);
  [[nodiscard]] double from_sketch(double q) const;

  std::vector<std::int64_t> values_;
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  Duration largest_;
  bool exact_ = true;
};

}  // namespace disagfusion::report
