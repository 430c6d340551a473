// A fleet that the planner may rent: pools of instances, and what they cost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/scenario.hpp"

namespace disagfusion::planner {

/// The stages that share one name over all models: what a pool of a plan hosts or does not.
struct StageGroup {
  std::string name;  ///< "dit"
  std::vector<NodeId> nodes;
};

std::vector<StageGroup> stage_groups(const std::vector<ModelSpec>& models, const StageGraph& graph);

/// A role before anybody counts instances: which groups one instance hosts, on which GPU type.
struct RoleChoice {
  std::vector<std::uint16_t> groups;  ///< positions in stage_groups, ascending
  std::string gpu;
  std::uint32_t degree = 1;  ///< GPUs an instance
  bool offload = false;      ///< weights do not fit: streamed from host memory
};

/// One way to cut a pipeline into pools: every group in exactly one role.
struct Layout {
  std::vector<RoleChoice> roles;
};

/// Every layout: set partitions of the groups (only single groups where not `colocate`) times GPU
/// types. At most seven groups are cut in every way; beyond that, single groups or one pool of
/// everything.
std::vector<Layout> layouts(std::size_t groups, const std::vector<std::string>& gpus,
                            bool colocate);

struct Candidate {
  Layout layout;
  std::vector<std::uint32_t> counts;  ///< instances, by role of the layout

  [[nodiscard]] std::uint32_t gpus_of(const std::string& gpu) const;
  [[nodiscard]] std::uint32_t instances() const;
};

/// "encoder+dit".
std::string stages_of(const RoleChoice& role, const std::vector<StageGroup>& groups);
/// "1 encoder on A10, 6 dit on A10, 1 decoder on A10".
std::string describe(const Candidate& candidate, const std::vector<StageGroup>& groups);

/// What GPUs may be rented and for how much: single GPUs, or whole nodes.
class Market {
 public:
  explicit Market(const Question& question);

  [[nodiscard]] const std::vector<std::string>& gpus() const { return gpus_; }
  /// Most GPUs of a type that there are.
  [[nodiscard]] std::uint32_t most(const std::string& gpu) const;
  /// The nodes to rent for this many GPUs (by gpus()), cheapest first: counts by node group;
  /// nothing where the market has not enough.
  struct Rent {
    std::vector<std::uint32_t> nodes;  ///< by position in groups()
    double usd_per_hour = 0;
  };
  [[nodiscard]] std::optional<Rent> rent(const std::vector<std::uint32_t>& gpus) const;
  [[nodiscard]] std::optional<Rent> rent(const Candidate& candidate) const;
  /// What this fleet costs; none (and why) where something in it has no price.
  struct Price {
    std::optional<double> usd_per_hour;
    std::string why;
  };
  [[nodiscard]] Price price(const Candidate& candidate) const;
  [[nodiscard]] const std::vector<NodeGroupSpec>& groups() const { return groups_; }

 private:
  void cover(std::size_t group, std::vector<std::uint32_t>& missing, Rent& partial,
             std::optional<Rent>& best) const;

  std::vector<std::string> gpus_;
  std::vector<NodeGroupSpec> groups_;  ///< with price_usd_h and max
};

/// The question's scenario with this fleet, its nodes and their prices.
Scenario with_fleet(const Question& question, const Market& market, const Candidate& candidate,
                    const std::vector<StageGroup>& groups);

}  // namespace disagfusion::planner
