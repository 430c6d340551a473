// What scheduler and planner believe about costs, as against the truth of the world (design 3).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "predictor/cost_model.hpp"

namespace disagfusion::predictor {

struct Belief {
  std::unique_ptr<CostModel> costs;
  bool learning = false;    ///< whether completions correct it (OnlineCorrection)
  std::string description;  ///< for the result: "means of costs", ...
};

/// The belief that the scenario asks for: the means of `costs`, costs of its own, or a profile
/// (where it cannot predict a stage, the means of `costs` again); then times
/// belief.error: a bias a stage, and a lognormal factor of mean 1 and the given cv, drawn once for
/// each (stage, shape, GPU type) from the scenario's seed, the same in every fleet. Its answers are
/// constants (a belief knows expected seconds); their intervals are those of the distribution.
/// Problems: those of make_cost_model; a bias for a stage that no model has; a profile's own.
Result<Belief> make_belief(const Scenario& scenario, const StageGraph& graph,
                           const std::vector<std::string>& gpu_types);

}  // namespace disagfusion::predictor
