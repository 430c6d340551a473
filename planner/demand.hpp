// The work that a workload brings, for bounds that need no simulation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "planner/candidate.hpp"
#include "predictor/cost_model.hpp"

namespace disagfusion::planner {

/// A kind of request and its share of all.
struct Kind {
  ModelId model;
  Shape shape;
  double share = 0;
};

struct Demand {
  std::vector<Kind> kinds;
  bool steady = false;    ///< judged in steady state: Poisson, gamma, deterministic arrivals
  double rate_per_s = 0;  ///< steady
  double requests = 0;    ///< judged end to end: how many
  double first_s = 0, last_s = 0;  ///< their arrivals
  bool closed_loop = false;
};

/// Reads the workload (a trace: all of it). Problems: those of the trace.
Result<Demand> read_demand(const Scenario& scenario);

/// What one stage takes on one GPU type, as a plan assumes it.
struct SecondsUsed {
  std::string stage;  ///< as StageGraph::node_names
  std::string gpu;
  Shape shape;  ///< the commonest of the model's requests
  predictor::Estimate estimate;
};

/// Mean seconds that a request spends computing in these groups on that GPU type, and the mean over
/// kinds of the longest path through all stages with the given type for each group.
class Work {
 public:
  Work(const Demand& demand, const StageGraph& graph, const std::vector<StageGroup>& groups,
       const predictor::CostModel& truth, const std::vector<std::string>& gpu_types);

  /// Infinite where the type cannot run the stage.
  [[nodiscard]] double seconds(const RoleChoice& role) const;
  /// Why the role does not fit its GPU's memory, with the numbers; empty when it does or nobody
  /// knows.
  [[nodiscard]] std::string too_large(const RoleChoice& role, const Scenario& scenario) const;
  /// Share of requests whose latency without any queue exceeds `bound` seconds on this layout.
  [[nodiscard]] double share_slower(const Layout& layout, double bound) const;
  /// Seconds, interval and source of each stage on its GPU type in this layout.
  [[nodiscard]] std::vector<SecondsUsed> seconds_used(const Layout& layout) const;
  /// Mean latency without any queue, seconds.
  [[nodiscard]] double mean_path(const Layout& layout) const;

 private:
  [[nodiscard]] double path(const Layout& layout, const Kind& kind) const;
  [[nodiscard]] double stage_seconds(NodeId node, const Shape& shape, const RoleChoice& role) const;
  [[nodiscard]] predictor::Query query(NodeId node, const Shape& shape,
                                       const RoleChoice& role) const;

  const Demand& demand_;
  const StageGraph& graph_;
  const std::vector<StageGroup>& groups_;
  const predictor::CostModel& truth_;
  const std::vector<std::string>& gpu_types_;
};

}  // namespace disagfusion::planner
