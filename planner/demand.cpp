#include "planner/demand.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "traces/arrivals.hpp"

namespace disagfusion::planner {

namespace {

Result<Demand> read_stream(const Scenario& scenario) {
  auto source = traces::make_arrival_source(scenario, scenario.seed);
  if (!source) return fail(std::move(source.error()));
  Demand demand;
  std::map<std::pair<ModelId, Shape>, double> seen;
  traces::Request request;
  for (;;) {
    const Result<bool> more = (*source)->next(request);
    if (!more) return fail(more.error());
    if (!*more) break;
    if (demand.requests == 0) demand.first_s = request.arrival.seconds();
    demand.last_s = request.arrival.seconds();
    demand.requests += 1;
    seen[{request.model, request.shape}] += 1;
  }
  for (const auto& [kind, count] : seen) {
    demand.kinds.push_back({kind.first, kind.second, count / demand.requests});
  }
  return demand;
}

}  // namespace

Result<Demand> read_demand(const Scenario& scenario) {
  const WorkloadSpec& workload = scenario.workload;
  const bool burst =
      workload.arrivals && workload.arrivals->process == ArrivalsSpec::Process::burst;
  if (!workload.trace.empty() || burst) return read_stream(scenario);
  Demand demand;
  double total = 0;
  for (const MixEntry& entry : workload.mix) total += entry.weight;
  for (const MixEntry& entry : workload.mix) {
    demand.kinds.push_back({entry.model, entry.shape, entry.weight / total});
  }
  demand.closed_loop = workload.closed_loop_concurrency.has_value();
  demand.steady = workload.arrivals.has_value();
  if (demand.steady) demand.rate_per_s = workload.arrivals->rate_per_s;
  return demand;
}

Work::Work(const Demand& demand, const StageGraph& graph, const std::vector<StageGroup>& groups,
           const predictor::CostModel& truth, const std::vector<std::string>& gpu_types)
    : demand_(demand), graph_(graph), groups_(groups), truth_(truth), gpu_types_(gpu_types) {}

predictor::Query Work::query(NodeId node, const Shape& shape, const RoleChoice& role) const {
  const auto type = std::find(gpu_types_.begin(), gpu_types_.end(), role.gpu);
  predictor::Query query;
  query.node = node;
  query.shape = shape;
  query.gpu = GpuTypeId{static_cast<std::uint16_t>(type - gpu_types_.begin())};
  query.batch = std::max<std::uint32_t>(1, shape.images);
  query.degree = static_cast<std::uint16_t>(role.degree);
  query.offload = role.offload;
  return query;
}

double Work::stage_seconds(NodeId node, const Shape& shape, const RoleChoice& role) const {
  const predictor::Query asked = query(node, shape, role);
  if (!truth_.supports(node, asked.gpu)) return std::numeric_limits<double>::infinity();
  return truth_.estimate(asked).seconds;
}

/// sum of resident weights + largest activations <= memory (docs/models/memory-check.md).
std::string Work::too_large(const RoleChoice& role, const Scenario& scenario) const {
  const auto gpu = scenario.gpus.find(role.gpu);
  if (gpu == scenario.gpus.end() || gpu->second.memory_bytes <= 0) return {};
  double weights = 0, activations = 0;
  for (const std::uint16_t group : role.groups) {
    for (const NodeId node : groups_[group].nodes) {
      bool counted = false;
      for (const Kind& kind : demand_.kinds) {
        if (graph_.nodes[node.index()].model != kind.model) continue;
        const predictor::Query asked = query(node, kind.shape, role);
        if (!counted) weights += truth_.resident_weight_bytes(asked);
        counted = true;
        activations = std::max(activations, truth_.activation_bytes(asked));
      }
    }
  }
  if (weights + activations <= gpu->second.memory_bytes) return {};
  return fmt::format(
      "memory: {} on a {} needs {:.1f} GB of weights and {:.1f} GB of activations, it has {:.0f} "
      "GB",
      groups_[role.groups.front()].name, role.gpu, weights * 1e-9, activations * 1e-9,
      gpu->second.memory_bytes * 1e-9);
}

double Work::seconds(const RoleChoice& role) const {
  double total = 0;
  for (const Kind& kind : demand_.kinds) {
    for (const std::uint16_t group : role.groups) {
      for (const NodeId node : groups_[group].nodes) {
        if (graph_.nodes[node.index()].model != kind.model) continue;
        total += kind.share * stage_seconds(node, kind.shape, role);
      }
    }
  }
  return total;
}

std::vector<SecondsUsed> Work::seconds_used(const Layout& layout) const {
  std::vector<SecondsUsed> used;
  for (const RoleChoice& role : layout.roles)
    for (const std::uint16_t group : role.groups)
      for (const NodeId node : groups_[group].nodes) {
        const Kind* commonest = nullptr;
        for (const Kind& kind : demand_.kinds)
          if (kind.model == graph_.nodes[node.index()].model &&
              (commonest == nullptr || kind.share > commonest->share))
            commonest = &kind;
        if (commonest == nullptr) continue;
        used.push_back({graph_.node_names[node.index()], role.gpu, commonest->shape,
                        truth_.estimate(query(node, commonest->shape, role))});
      }
  return used;
}

/// The longest path: finish(s) = max over predecessors p of finish(p) + seconds(s).
double Work::path(const Layout& layout, const Kind& kind) const {
  std::map<NodeId, double> seconds, finish;
  std::vector<NodeId> order;
  for (const RoleChoice& role : layout.roles) {
    for (const std::uint16_t group : role.groups) {
      for (const NodeId node : groups_[group].nodes) {
        if (graph_.nodes[node.index()].model != kind.model) continue;
        seconds[node] = stage_seconds(node, kind.shape, role);
        order.push_back(node);
      }
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](NodeId a, NodeId b) {
    return graph_.nodes[a.index()].path_length < graph_.nodes[b.index()].path_length;
  });
  double longest = 0;
  for (const NodeId node : order) {
    double begin = 0;
    for (const NodeId before : graph_.nodes[node.index()].after) {
      begin = std::max(begin, finish[before]);
    }
    finish[node] = begin + seconds[node];
    longest = std::max(longest, finish[node]);
  }
  return longest;
}

double Work::share_slower(const Layout& layout, double bound) const {
  double share = 0;
  for (const Kind& kind : demand_.kinds) {
    if (path(layout, kind) > bound) share += kind.share;
  }
  return share;
}

double Work::mean_path(const Layout& layout) const {
  double mean = 0;
  for (const Kind& kind : demand_.kinds) mean += kind.share * path(layout, kind);
  return mean;
}

}  // namespace disagfusion::planner
