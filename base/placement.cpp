#include "base/placement.hpp"

#include <algorithm>

namespace disagfusion {

namespace {

std::uint32_t gpus_of(const NodeGroupSpec& group, const std::string& gpu) {
  const auto found = group.gpus.find(gpu);
  return found == group.gpus.end() ? 0 : found->second;
}

/// Free GPUs of one type on every machine.
std::vector<std::uint32_t>& free_of(std::map<std::string, std::vector<std::uint32_t>>& free,
                                    const FleetSpec& fleet, const std::vector<Machine>& machines,
                                    const std::string& gpu) {
  const auto [entry, fresh] = free.try_emplace(gpu);
  if (fresh)
    for (const Machine& machine : machines)
      entry->second.push_back(gpus_of(fleet.nodes[machine.group], gpu));
  return entry->second;
}

}  // namespace

Placement place_instances(const FleetSpec& fleet) {
  Placement placement;
  for (std::size_t g = 0; g < fleet.nodes.size(); ++g)
    placement.machines.resize(placement.machines.size() + fleet.nodes[g].count,
                              Machine{static_cast<std::uint32_t>(g)});
  std::map<std::string, std::vector<std::uint32_t>> free;
  for (std::size_t p = 0; p < fleet.pools.size(); ++p) {
    const PoolSpec& pool = fleet.pools[p];
    std::vector<std::uint32_t>& left = free_of(free, fleet, placement.machines, pool.gpu);
    const PoolId id(static_cast<std::uint16_t>(p));
    std::uint32_t placed = 0;
    // Nodes that were too full for this pool's degree stay so: the search never goes back.
    for (std::size_t m = 0; m < left.size() && placed < pool.count; ++m) {
      for (; placed < pool.count && left[m] >= pool.degree; ++placed) {
        left[m] -= pool.degree;
        placement.instances.push_back({id, MachineId(static_cast<std::uint32_t>(m))});
      }
    }
    if (placed == pool.count) continue;
    std::uint32_t largest = 0;
    for (const NodeGroupSpec& group : fleet.nodes)
      largest = std::max(largest, gpus_of(group, pool.gpu));
    placement.unplaced.push_back({id, pool.count, placed, largest});
  }
  return placement;
}

}  // namespace disagfusion
