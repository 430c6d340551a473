// A backend that waits instead of computing: as long as the truth's cost model says. For scale and
// protocol; docs/models/backend.md has its limits.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "exec/stage/backend.hpp"
#include "predictor/cost_model.hpp"

namespace disagfusion::exec {

/// How an emulated instance computes: the truth of the scenario for its kind of GPU.
struct EmulatedCosts {
  std::shared_ptr<const predictor::CostModel> truth;
  GpuTypeId gpu;
  std::uint32_t degree = 1;
  bool offload = false;
  std::string dtype = "bf16";
  std::uint64_t seed = 0;        ///< of the draws where a cost has a distribution
  Duration load;                 ///< how long loading takes
  double speed = 1;              ///< so many seconds pass in one
  std::vector<StageNode> nodes;  ///< by NodeId: StageGraph::nodes
};

/// A batch takes the expected seconds of its shape, steps and members (constant costs: exactly
/// those; distributions: the draw that the
/// simulator makes for its first member), measured in the scenario's time. Outputs are small
/// bytes that depend on the request's body and on the inputs alone, so that the same picture comes
/// out whatever happened on the way. All callbacks run on `executor`, which the caller runs with
/// one thread.
std::unique_ptr<StageBackend> make_emulated_backend(boost::asio::any_io_executor executor,
                                                    EmulatedCosts costs);

}  // namespace disagfusion::exec
