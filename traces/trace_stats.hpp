// What a trace looks like: figures for people and machines.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "traces/request.hpp"
#include "traces/trace_reader.hpp"

namespace disagfusion::traces {

/// How many requests arrived in the fullest window of a length, and when it begins.
struct Peak {
  std::uint64_t requests = 0;
  TimePoint from;
};

struct TraceStats {
  std::uint64_t rows = 0;
  TimePoint first, last;
  double rate_per_s = 0;  ///< (rows - 1) / (last - first); 0 for a single instant
  std::optional<double> gap_mean_s, gap_cv;  ///< absent with fewer than two rows (cv: or mean 0)
  std::uint64_t zero_gaps = 0;
  Peak minute, hour;  ///< over all windows of 60 s and 3,600 s
  /// Variance over mean of the requests in whole minutes from 0 on (1 for a Poisson process);
  /// absent with fewer than two whole minutes.
  std::optional<double> dispersion_minute;
  std::map<std::string, std::uint64_t> by_model;  ///< empty where the trace names none
  std::map<std::string, std::uint64_t> by_shape;  ///< "1024x1024, 30 steps, 4 images"
  std::vector<std::string> notes;
};

/// Reads the whole trace.
Result<TraceStats> trace_stats(const std::string& path);

}  // namespace disagfusion::traces
