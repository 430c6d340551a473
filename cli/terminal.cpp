#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "cli/commands.hpp"

namespace disagfusion::cli {

std::string not_negative(const std::string& text) {
  return text.starts_with('-') ? "expected a whole number from 0, got " + text : "";
}

int report(const Problems& problems) {
  for (const Problem& problem : problems) std::fprintf(stderr, "%s\n", problem.text().c_str());
  return kBadInput;
}

double wall_seconds() {
  using Clock = std::chrono::steady_clock;
  static const Clock::time_point start = Clock::now();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::function<void(const std::string&)> progress_line() {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [](const std::string& line) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
  };
}

}  // namespace disagfusion::cli
