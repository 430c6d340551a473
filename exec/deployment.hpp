// What a scenario means to an executor: graph, roles, stages, truth and belief. Controller and
// workers make it from the same texts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "exec/stage/backend.hpp"
#include "exec/stage/emulated.hpp"
#include "predictor/cost_model.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::exec {

/// Never changes once made. Not movable while a Session refers to its setup: keep it by pointer.
struct Deployment {
  Scenario scenario;
  scheduler::Setup setup;
  std::vector<StageIdentity> stages;                  ///< by WeightsId
  std::shared_ptr<const predictor::CostModel> truth;  ///< `costs`; means nothing to real stages
  std::shared_ptr<const predictor::CostModel> belief;
  std::string belief_name;  ///< for results
};

/// `live`: inputs and results move whatever their size.
Result<std::shared_ptr<const Deployment>> make_deployment(Scenario scenario, bool live);

/// The truth for an emulated instance of that role.
EmulatedCosts emulated_costs(const Deployment& deployment, PoolId role, double speed);

/// What the scenario's backend is made of, for an instance on that GPU type.
BackendContext backend_context(const Deployment& deployment, const std::string& gpu);

}  // namespace disagfusion::exec
