// Where the initial instances stand: in pool order, each on the first node (file order) with enough
// free GPUs of its type (design 7.2). One function for loader, simulator, scheduler and executor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

/// One machine of the fleet: MachineId counts these, group by group in file order.
struct Machine {
  std::uint32_t group = 0;  ///< position in FleetSpec::nodes
};

/// Instance i of the vector has InstanceId i + 1.
struct PlacedInstance {
  PoolId pool;
  MachineId machine;
};

/// A pool of which only `placed` of `wanted` instances found room.
struct UnplacedPool {
  PoolId pool;
  std::uint32_t wanted = 0;
  std::uint32_t placed = 0;
  std::uint32_t largest_node = 0;  ///< GPUs of its type in the largest node
};

struct Placement {
  std::vector<Machine> machines;
  std::vector<PlacedInstance> instances;
  std::vector<UnplacedPool> unplaced;  ///< empty in a scenario that loaded
};

Placement place_instances(const FleetSpec& fleet);

}  // namespace disagfusion
