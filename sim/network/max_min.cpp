#include "sim/network/max_min.hpp"

#include <algorithm>
#include <limits>

namespace disagfusion::sim {

std::uint32_t MaxMin::local(std::uint32_t resource, const std::vector<double>& capacity) {
  if (resource == kNoResource || capacity[resource] <= 0) return kNoResource;
  if (local_.size() < capacity.size()) local_.resize(capacity.size(), 0);
  std::uint32_t& known = local_[resource];
  if (known == 0) {
    resources_.push_back({capacity[resource], 0, resource});
    known = static_cast<std::uint32_t>(resources_.size());
  }
  ++resources_[known - 1].unfrozen;
  return known - 1;
}

void MaxMin::solve(std::span<Flow> flows, const std::vector<double>& capacity) {
  resources_.clear();
  ends_.clear();
  frozen_.assign(flows.size(), 0);
  for (const Flow& flow : flows) {
    const std::uint32_t first = local(flow.first, capacity);
    ends_.push_back({first, local(flow.second, capacity)});
  }
  std::size_t left = flows.size();
  while (left > 0) {
    std::uint32_t bottleneck = kNoResource;
    double share = std::numeric_limits<double>::infinity();
    for (std::uint32_t r = 0; r < resources_.size(); ++r) {
      const Resource& resource = resources_[r];
      if (resource.unfrozen == 0) continue;
      const double fair = std::max(0.0, resource.left) / resource.unfrozen;
      if (fair < share) {
        share = fair;
        bottleneck = r;
      }
    }
    for (std::size_t f = 0; f < flows.size(); ++f) {
      const auto [first, second] = ends_[f];
      const bool here = bottleneck == kNoResource || first == bottleneck || second == bottleneck;
      if (frozen_[f] != 0 || !here) continue;
      frozen_[f] = 1;
      flows[f].rate = share;
      --left;
      for (const std::uint32_t end : {first, second}) {
        if (end == kNoResource) continue;
        resources_[end].left -= share;
        --resources_[end].unfrozen;
      }
    }
  }
  for (const Resource& resource : resources_) local_[resource.id] = 0;
}

}  // namespace disagfusion::sim
