// Max-min fair sharing of links.
//
// Given resources r with capacity C_r (bytes/s) and flows f, each crossing a set R(f) of one or two
// resources, find rates x_f with
//
//     sum of x_f over the flows of r  <=  C_r                 for every resource r          (1)
//     every flow has a bottleneck: a resource r in R(f) that is full and on which no flow
//     is faster than f                                                                      (2)
//
// (1) and (2) have exactly one solution, the max-min fair allocation. Progressive filling finds it:
// raise all rates together until a resource is full (share C_r / n_r, the least of all resources);
// its flows keep that rate; take them out with what they use; go on with the rest.
//
// Source: D. Bertsekas, R. Gallager, Data Networks, 2nd ed., 1992, section 6.5.2.
// Cost: O(resources x bottlenecks) for one component of links that share flows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace disagfusion::sim {

inline constexpr std::uint32_t kNoResource = 0xffffffffU;

class MaxMin {
 public:
  /// One flow's resources (kNoResource: none) and, after solve(), its rate in bytes/s.
  struct Flow {
    std::uint32_t first = kNoResource, second = kNoResource;
    double rate = 0;
  };
  /// Sets the rates. `capacity` is by resource; 0 is infinite. A flow on infinite resources alone
  /// gets an infinite rate. No allocation when warm.
  void solve(std::span<Flow> flows, const std::vector<double>& capacity);

 private:
  struct Resource {
    double left = 0;
    std::uint32_t unfrozen = 0;
    std::uint32_t id = 0;
  };
  std::uint32_t local(std::uint32_t resource, const std::vector<double>& capacity);
  std::vector<Resource> resources_;
  std::vector<std::uint32_t> local_;  ///< by resource: position in resources_ plus 1, 0: not met
  struct Ends {
    std::uint32_t first, second;  ///< positions in resources_
  };
  std::vector<Ends> ends_;
  std::vector<std::uint8_t> frozen_;
};

}  // namespace disagfusion::sim
