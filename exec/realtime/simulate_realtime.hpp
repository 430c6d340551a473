// What `disagfusion simulate --real-time` does with its parsed options.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace disagfusion::exec {

struct SimulateRealtimeOptions {
  std::string scenario;  ///< path
  std::optional<std::string> trace;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> replications;  ///< more than one is refused: one clock, one run
  double speed = 1;                           ///< --speed: scenario seconds in a second
  bool json = false;
  std::string out;  ///< folder, or empty
  std::string log;  ///< file, or empty
  /// Shows one line of progress (no end of line), or takes it away when empty. Absent: no terminal.
  std::function<void(const std::string&)> show_progress;
};

/// The text for standard output: the table, or JSON; blocks until the run has ended. Files as
/// `simulate` writes them: whole, after the run.
Result<std::string> simulate_realtime(const SimulateRealtimeOptions& options);

}  // namespace disagfusion::exec
