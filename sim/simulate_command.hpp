// What `disagfusion simulate` does with its parsed options, but for --real-time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace disagfusion::sim {

struct SimulateOptions {
  std::string scenario;  ///< path
  std::optional<std::string> trace;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> replications;
  bool json = false;
  std::string out;  ///< folder, or empty
  std::string log;  ///< file, or empty
  /// Seconds on the machine's clock, given by the edge; without it wall_s is 0 and nothing shows
  /// progress.
  std::function<double()> wall_seconds;
  /// Shows one line of progress (no end of line), or takes it away when empty. Absent: no terminal.
  std::function<void(const std::string&)> show_progress;
};

/// The text for standard output: the table, or JSON. Files (result.json, requests.csv,
/// trace.perfetto.json in `out`; the log) appear whole, after the run; nothing is written on bad
/// input. With several replications the files and the log are the first one's.
Result<std::string> simulate(const SimulateOptions& options);

}  // namespace disagfusion::sim
