#include "report/statistics/percentiles.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace disagfusion::report {

namespace {

constexpr unsigned kBits = 10;  ///< 2^10 buckets an octave

/// Values below 2^kBits have a bucket each; above, the leading kBits + 1 bits choose it.
std::size_t bucket_of(std::int64_t ns) {
  const auto value = static_cast<std::uint64_t>(ns < 0 ? 0 : ns);
  if (value < (1U << kBits)) return static_cast<std::size_t>(value);
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - kBits - 1;
  return (static_cast<std::size_t>(shift) << kBits) + static_cast<std::size_t>(value >> shift);
}

/// The middle of a bucket, in nanoseconds.
double middle_of(std::size_t bucket) {
  if (bucket < (2U << kBits)) return static_cast<double>(bucket);
  const std::size_t shift = (bucket >> kBits) - 1;
  const auto mantissa = static_cast<double>(bucket - (shift << kBits));
  return std::ldexp(mantissa + 0.5, static_cast<int>(shift)) - 0.5;
}

}  // namespace

void Percentiles::add_to_sketch(std::int64_t ns) {
  if (exact_) {
    exact_ = false;
    buckets_.assign(std::size_t{64} << kBits, 0);
    for (const std::int64_t value : values_) ++buckets_[bucket_of(value)];
    values_ = {};
  }
  ++buckets_[bucket_of(ns)];
}

double Percentiles::from_sketch(double q) const {
  const double rank = static_cast<double>(count_ - 1) * q;
  std::uint64_t below = 0;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    below += buckets_[b];
    if (static_cast<double>(below) > rank) {
      return std::min(middle_of(b), static_cast<double>(largest_.ns)) * 1e-9;
    }
  }
  return largest_.seconds();
}

std::optional<double> Percentiles::at(double q) {
  if (count_ == 0) return std::nullopt;
  if (q >= 1) return largest_.seconds();
  if (!exact_) return from_sketch(q);
  const double h = static_cast<double>(values_.size() - 1) * q;
  const auto k = static_cast<std::ptrdiff_t>(h);
  std::nth_element(values_.begin(), values_.begin() + k, values_.end());
  const auto low = static_cast<double>(values_[static_cast<std::size_t>(k)]);
  if (k + 1 == static_cast<std::ptrdiff_t>(values_.size())) return low * 1e-9;
  const auto next = static_cast<double>(*std::min_element(values_.begin() + k + 1, values_.end()));
  return (low + (h - static_cast<double>(k)) * (next - low)) * 1e-9;
}

}  // namespace disagfusion::report
