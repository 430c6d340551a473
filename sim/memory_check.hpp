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
/// Fails with one Problem a pool. A pool that fits only with its weights streamed from host memory
/// and whose `costs` name its GPU type is taken to stream them. Else sentences for `not_modelled`:
/// on pools taken to stream and on GPU types without a stated memory; of models without an
/// architecture CostModel::not_modelled() says so.
Result<std::vector<std::string>> check_memory(const Scenario& scenario,
                                              const scheduler::Setup& setup,
                                              const predictor::CostModel& truth);

}  // namespace disagfusion::sim
