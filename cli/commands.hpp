// The commands, by the part of the program that does them. Each sets `status` when it has run.
#pragma once

#include <functional>
#include <string>

#include "base/result.hpp"

namespace CLI {
class App;
}

namespace disagfusion::cli {

inline constexpr int kDone = 0, kNoAnswer = 1, kBadInput = 2;

void add_simulation_commands(CLI::App& app, int& status);  ///< simulate, plan, verify, compare
void add_prediction_commands(CLI::App& app, int& status);  ///< predict
void add_trace_commands(CLI::App& app, int& status);       ///< trace import, generate, stats
void add_serving_commands(CLI::App& app, int& status);     ///< serve, worker, ctl, load

/// For whole numbers that the command line's parser would wrap around.
std::string not_negative(const std::string& text);
/// One line a problem on stderr.
int report(const Problems& problems);
/// Seconds since the program started.
double wall_seconds();
/// Shows one line of progress on stderr; empty function where stderr is no terminal.
std::function<void(const std::string&)> progress_line();

}  // namespace disagfusion::cli
