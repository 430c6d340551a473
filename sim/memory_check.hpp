// Does what a pool hosts fit into its GPUs' memory? Asked before the run: an error with the
// numbers.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "predictor/cost_model.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::sim {

/// Per GPU of an instance, for every pool and every shape of the mix:
///
///   sum of resident weights of the hosted stages + largest activations  <=  memory of the GPU
///
/// Fails with one Problem a pool. Else sentences on GPU types without a stated memory, for
/// `not_modelled`; of models without an architecture CostModel::not_modelled() says so.
Result<std::vector<std::string>> check_memory(const Scenario& scenario,
                                              const scheduler::Setup& setup,
                                              const predictor::CostModel& truth);

}  // namespace disagfusion::sim
