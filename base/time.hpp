// Time as the whole program knows it: signed 64-bit nanoseconds in types of their own.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>

namespace disagfusion {

/// A length of time in nanoseconds.
struct Duration {
  std::int64_t ns = 0;

  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration other) const { return {ns + other.ns}; }
  constexpr Duration operator-(Duration other) const { return {ns - other.ns}; }
  constexpr Duration operator*(std::int64_t factor) const { return {ns * factor}; }
  constexpr Duration& operator+=(Duration other) {
    ns += other.ns;
    return *this;
  }
  constexpr Duration& operator-=(Duration other) {
    ns -= other.ns;
    return *this;
  }

  [[nodiscard]] constexpr double seconds() const { return static_cast<double>(ns) * 1e-9; }
  static constexpr Duration max() { return {std::numeric_limits<std::int64_t>::max()}; }
};

/// An instant: nanoseconds since the start of the run (never the wall clock).
struct TimePoint {
  std::int64_t ns = 0;

  constexpr auto operator<=>(const TimePoint&) const = default;
  constexpr TimePoint operator+(Duration d) const { return {ns + d.ns}; }
  constexpr TimePoint operator-(Duration d) const { return {ns - d.ns}; }
  constexpr Duration operator-(TimePoint other) const { return {ns - other.ns}; }

  [[nodiscard]] constexpr double seconds() const { return static_cast<double>(ns) * 1e-9; }
  /// Later than every instant that can happen.
  static constexpr TimePoint never() { return {std::numeric_limits<std::int64_t>::max()}; }
};

/// The longest time a file may name (docs: "a time is at most 1e6 s").
inline constexpr double kLongestSeconds = 1e6;

/// The nearest whole number, halves away from zero: std::llround without its call.
inline std::int64_t rounded(double value) {
  constexpr double kExact = 4503599627370496.0;  // 2^52: from here on every double is whole
  constexpr double kHalf = 0.5;
  if (!(value >= 0 && value < kExact)) return std::llround(value);
  const auto whole = static_cast<std::int64_t>(value);
  return value - static_cast<double>(whole) >= kHalf ? whole + 1 : whole;
}

/// Rounds to the nearest nanosecond. `seconds` must be finite and within about 292 years.
inline Duration from_seconds(double seconds) { return {rounded(seconds * 1e9)}; }

}  // namespace disagfusion
