// The one clock of an executor: `now` is the steady clock plus an offset chosen at the start, so
// that a restarted controller goes on where its log ended.
#pragma once

#include <chrono>
#include <cmath>

#include "base/time.hpp"

namespace disagfusion::exec {

/// Any thread may read.
class Clock {
 public:
  /// `start` is `now` at this moment. `speed` scenario seconds pass in a real one.
  explicit Clock(TimePoint start = {}, double speed = 1) : start_(start), speed_(speed) {}

  [[nodiscard]] TimePoint now() const {
    const auto passed = std::chrono::steady_clock::now() - began_;
    if (speed_ == 1) return start_ + Duration{passed.count()};
    return start_ + Duration{std::llround(static_cast<double>(passed.count()) * speed_)};
  }
  /// When that instant comes, on the steady clock. Instants beyond about 100 years are cut.
  [[nodiscard]] std::chrono::steady_clock::time_point at(TimePoint instant) const {
    const double ns = static_cast<double>((instant - start_).ns) / speed_;
    constexpr double kFar = 3.15e18;
    return began_ + std::chrono::nanoseconds(std::llround(std::min(std::max(ns, 0.0), kFar)));
  }
  [[nodiscard]] double speed() const { return speed_; }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  TimePoint start_;
  double speed_;
};

}  // namespace disagfusion::exec
