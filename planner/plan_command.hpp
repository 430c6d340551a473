// What `disagfusion plan` does with its parsed options.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace disagfusion::planner {

struct PlanOptions {
  std::string question;  ///< path
  std::optional<std::uint64_t> seed;
  bool json = false;
  std::string out;  ///< folder for plan.yaml and plan.json, or empty
  double (*wall_seconds)() = nullptr;
  std::function<void(const std::string&)> show_progress;
};

struct PlanOutcome {
  std::string text;       ///< for standard output
  bool feasible = false;  ///< else exit status 1
};

Result<PlanOutcome> plan(const PlanOptions& options);

}  // namespace disagfusion::planner
