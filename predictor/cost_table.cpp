#include "predictor/cost_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace disagfusion::predictor {
namespace {

constexpr std::uint32_t kAny = PreparedLine::kAny;

PreparedLine prepare(const CostLine& line, std::uint32_t position) {
  PreparedLine prepared;
  prepared.width = line.width.value_or(kAny);
  prepared.height = line.height.value_or(kAny);
  prepared.frames = line.frames.value_or(kAny);
  prepared.steps = line.steps.value_or(kAny);
  prepared.batch = line.batch.value_or(kAny);
  prepared.degree = line.degree.value_or(kAny);
  prepared.dtype = line.dtype.value_or("");
  prepared.whole = line.seconds.has_value();
  prepared.fixed = line.seconds.value_or(line.fixed);
  prepared.per_step = prepared.whole ? 0 : line.per_step;
  prepared.distribution = line.distribution;
  prepared.cv = line.distribution == Distribution::constant      ? 0
                : line.distribution == Distribution::exponential ? 1
                                                                 : line.cv;
  prepared.interval = interval_of(prepared.distribution, prepared.cv);
  prepared.specificity = specificity_of(line);
  prepared.line = position;
  return prepared;
}

/// The questions that can be asked of a stage on a GPU type, as the scenario limits them.
struct Reach {
  std::set<std::uint32_t> degrees;     ///< empty: any
  std::set<std::string> dtypes;        ///< empty: any
  std::uint32_t largest_batch = kAny;  ///< images; kAny: unlimited
};

std::uint32_t most_images(const Scenario& scenario, ModelId model) {
  std::uint32_t most = 1;
  for (const MixEntry& entry : scenario.workload.mix)
    if (entry.model == model) most = std::max(most, entry.shape.images);
  return most;
}

/// Nothing when the stage never runs on that GPU type.
std::optional<Reach> reach_of(const Scenario& scenario, const StageGraph& graph, NodeId node,
                              const std::string& gpu) {
  Reach reach;
  if (scenario.fleet.pools.empty()) return reach;
  const bool moves = scenario.policy.elasticity.name != "static";
  bool found = false;
  std::uint32_t batch = 1;
  for (const PoolSpec& pool : scenario.fleet.pools) {
    if (pool.gpu != gpu || (!moves && !hosts(pool, graph, node))) continue;
    found = true;
    reach.degrees.insert(pool.degree);
    reach.dtypes.insert(pool.dtype.empty() ? "bf16" : pool.dtype);
    batch = std::max(batch, pool.max_batch);
  }
  if (!found) return std::nullopt;
  const std::uint64_t images =
      std::uint64_t{batch} * most_images(scenario, graph.nodes[node.index()].model);
  if (scenario.workload.trace.empty())
    reach.largest_batch = static_cast<std::uint32_t>(std::min<std::uint64_t>(images, kAny - 1));
  return reach;
}

/// What two lines demand together; nothing when they exclude each other.
std::optional<PreparedLine> both(const PreparedLine& a, const PreparedLine& b) {
  PreparedLine shared = a;
  const auto merge = [](std::uint32_t& mine, std::uint32_t other) {
    if (mine == kAny) mine = other;
    return other == kAny || mine == other;
  };
  if (!merge(shared.width, b.width) || !merge(shared.height, b.height) ||
      !merge(shared.frames, b.frames) || !merge(shared.steps, b.steps) ||
      !merge(shared.batch, b.batch) || !merge(shared.degree, b.degree))
    return std::nullopt;
  if (shared.dtype.empty()) shared.dtype = b.dtype;
  if (!b.dtype.empty() && shared.dtype != b.dtype) return std::nullopt;
  return shared;
}

/// Whether `line` matches whatever `shared` matches.
bool contains(const PreparedLine& line, const PreparedLine& shared) {
  const auto fits = [](std::uint32_t wanted, std::uint32_t is) {
    return wanted == kAny || wanted == is;
  };
  return fits(line.width, shared.width) && fits(line.height, shared.height) &&
         fits(line.frames, shared.frames) && fits(line.steps, shared.steps) &&
         fits(line.batch, shared.batch) && fits(line.degree, shared.degree) &&
         (line.dtype.empty() || line.dtype == shared.dtype);
}

bool shape_reachable(const Scenario& scenario, ModelId model, const PreparedLine& shared) {
  if (!scenario.workload.trace.empty()) return true;
  const auto fits = [](std::uint32_t wanted, std::uint32_t is) {
    return wanted == kAny || wanted == is;
  };
  for (const MixEntry& entry : scenario.workload.mix)
    if (entry.model == model && fits(shared.width, entry.shape.width) &&
        fits(shared.height, entry.shape.height) && fits(shared.frames, entry.shape.frames) &&
        fits(shared.steps, entry.shape.steps))
      return true;
  return false;
}

bool reachable(const Reach& reach, const PreparedLine& shared) {
  const bool degree =
      shared.degree == kAny || reach.degrees.empty() || reach.degrees.contains(shared.degree);
  const bool dtype =
      shared.dtype.empty() || reach.dtypes.empty() || reach.dtypes.contains(shared.dtype);
  const bool batch = shared.batch == kAny || shared.batch <= reach.largest_batch;
  return degree && dtype && batch;
}

Problem ambiguity(const CostLine& first, const CostLine& second, int fields,
                  const std::string& stage, const std::string& gpu) {
  Problem problem;
  problem.file = second.place.file;
  problem.line = second.place.line;
  problem.column = second.place.column;
  problem.path = second.place.path;
  problem.expected = fmt::format("one most specific cost line for stage {} on GPU {}", stage, gpu);
  problem.got = fmt::format("lines {} ({}) and {} ({}), which both match and name {} match {} each",
                            first.place.line, first.place.path, second.place.line,
                            second.place.path, fields, fields == 1 ? "field" : "fields");
  return problem;
}

}  // namespace

int PreparedLine::mismatches(const Query& query) const {
  const auto differs = [](std::uint32_t wanted, std::uint32_t is) {
    return wanted != kAny && wanted != is ? 1 : 0;
  };
  return differs(width, query.shape.width) + differs(height, query.shape.height) +
         differs(frames, query.shape.frames) + differs(steps, query.shape.steps) +
         differs(batch, query.batch) + differs(degree, query.degree) +
         (dtype.empty() || dtype == query.dtype ? 0 : 1);
}

Estimate PreparedLine::estimate(const Shape& shape) const {
  Estimate estimate;
  const double count = std::max(1U, shape.steps);
  if (whole) {
    estimate.seconds = fixed;
    estimate.per_step_s = fixed / count;
  } else {
    estimate.fixed_s = fixed;
    estimate.per_step_s = per_step;
    estimate.seconds = fixed + per_step * count;
  }
  estimate.lo_s = estimate.seconds * interval.lo;
  estimate.hi_s = estimate.seconds * interval.hi;
  estimate.distribution = distribution;
  estimate.cv = cv;
  estimate.source = Source::measured;
  return estimate;
}

int specificity_of(const CostLine& line) {
  const bool model_in_stage =
      !line.model && line.stage && line.stage->find('/') != std::string::npos;
  return line.specificity() + (model_in_stage ? 1 : 0);
}

bool admits_node(const CostLine& line, const StageGraph& graph, NodeId node,
                 const std::string& stage_name) {
  const StageNode& stage = graph.nodes[node.index()];
  const std::string& model = graph.model_names[stage.model.index()];
  if (line.model && *line.model != model) return false;
  return !line.stage || *line.stage == stage_name || *line.stage == model + "/" + stage_name;
}

bool hosts(const PoolSpec& pool, const StageGraph& graph, NodeId node) {
  const WeightsId weights = graph.nodes[node.index()].weights;
  for (const StageRef& stage : pool.stages)
    for (const NodeId named : stage.nodes)
      if (graph.nodes[named.index()].weights == weights) return true;
  return false;
}

std::string stage_name_of(const Scenario& scenario, const StageGraph& graph, NodeId node) {
  const StageNode& stage = graph.nodes[node.index()];
  return scenario.models[stage.model.index()].stages[stage.stage].name;
}

CostTable::CostTable(const Scenario& scenario, const StageGraph& graph,
                     const std::vector<std::string>& gpu_types, const std::vector<CostLine>& lines)
    : gpu_count_(gpu_types.size()), rows_(graph.nodes.size() * gpu_types.size()) {
  for (std::uint16_t n = 0; n < graph.nodes.size(); ++n) {
    const std::string stage = stage_name_of(scenario, graph, NodeId(n));
    for (std::size_t g = 0; g < gpu_count_; ++g) {
      std::vector<PreparedLine>& row = rows_[n * gpu_count_ + g];
      for (std::uint32_t i = 0; i < lines.size(); ++i) {
        const bool gpu_fits = !lines[i].gpu || *lines[i].gpu == gpu_types[g];
        if (gpu_fits && admits_node(lines[i], graph, NodeId(n), stage))
          row.push_back(prepare(lines[i], i));
      }
      std::stable_sort(row.begin(), row.end(), [](const PreparedLine& a, const PreparedLine& b) {
        return a.specificity > b.specificity;
      });
    }
  }
}

const PreparedLine* CostTable::nearest(const Query& query) const {
  const std::vector<PreparedLine>& lines = row(query.node, query.gpu);
  const auto closer = [&](const PreparedLine& a, const PreparedLine& b) {
    return a.mismatches(query) < b.mismatches(query);
  };
  const auto best = std::min_element(lines.begin(), lines.end(), closer);
  return best == lines.end() ? nullptr : &*best;
}

Problems unknown_names(const Scenario& scenario, const StageGraph& graph,
                       const std::vector<CostLine>& lines) {
  std::vector<std::string> stages;
  for (std::uint16_t n = 0; n < graph.nodes.size(); ++n) {
    const std::string name = stage_name_of(scenario, graph, NodeId(n));
    stages.push_back(name);
    stages.push_back(graph.model_names[graph.nodes[n].model.index()] + "/" + name);
  }
  Problems problems;
  const auto check = [&](const CostLine& line, const std::optional<std::string>& name,
                         const char* what, const std::vector<std::string>& known) {
    if (!name || std::find(known.begin(), known.end(), *name) != known.end()) return;
    problems.push_back({line.place.file, line.place.line, line.place.column,
                        line.place.path + "." + what, fmt::format("a {} of this scenario", what),
                        *name, nearest_name(*name, known)});
  };
  for (const CostLine& line : lines) {
    check(line, line.model, "model", graph.model_names);
    check(line, line.stage, "stage", stages);
  }
  return problems;
}

Problems ambiguous_lines(const Scenario& scenario, const StageGraph& graph,
                         const std::vector<std::string>& gpu_types,
                         const std::vector<CostLine>& lines, const CostTable& table) {
  Problems problems;
  std::set<std::pair<std::uint32_t, std::uint32_t>> told;
  const auto judge = [&](NodeId node, GpuTypeId gpu, const Reach& reach) {
    const std::vector<PreparedLine>& row = table.row(node, gpu);
    const ModelId model = graph.nodes[node.index()].model;
    for (std::size_t i = 0; i < row.size(); ++i) {
      for (std::size_t j = i + 1; j < row.size() && row[j].specificity == row[i].specificity; ++j) {
        const auto shared = both(row[i], row[j]);
        if (!shared || told.contains({row[i].line, row[j].line})) continue;
        if (!reachable(reach, *shared) || !shape_reachable(scenario, model, *shared)) continue;
        const bool shadowed = std::any_of(row.begin(), row.end(), [&](const PreparedLine& other) {
          return other.specificity > row[i].specificity && contains(other, *shared);
        });
        if (shadowed) continue;
        told.insert({row[i].line, row[j].line});
        problems.push_back(ambiguity(lines[row[i].line], lines[row[j].line], row[i].specificity,
                                     graph.node_names[node.index()], gpu_types[gpu.index()]));
      }
    }
  };
  for (std::uint16_t n = 0; n < graph.nodes.size(); ++n)
    for (std::uint16_t g = 0; g < gpu_types.size(); ++g)
      if (const auto reach = reach_of(scenario, graph, NodeId(n), gpu_types[g]))
        judge(NodeId(n), GpuTypeId(g), *reach);
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
  });
  return problems;
}

}  // namespace disagfusion::predictor
