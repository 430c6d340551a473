#include "predictor/cost_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "base/random.hpp"
#include "predictor/bytes.hpp"
#include "predictor/cost_table.hpp"
#include "predictor/fitted_node.hpp"
#include "predictor/memory.hpp"
#include "predictor/number_format.hpp"
#include "predictor/roofline.hpp"

namespace disagfusion::predictor {

const char* name_of(Source source) {
  switch (source) {
    case Source::measured:
      return "measured";
    case Source::fitted:
      return "fitted";
    case Source::roofline:
      return "roofline";
    case Source::extrapolated:
      return "extrapolated";
  }
  return "?";
}

// With z = 1.6449 the 95 % point of the standard normal and mean 1:
//   exponential: -ln 0.95, -ln 0.05
//   lognormal:   exp(+-z s - s^2 / 2), s^2 = ln(1 + cv^2)
//   gamma:       (1 - cv^2 / 9 +- z cv / 3)^3   (Wilson and Hilferty 1931; shape 1 / cv^2)
IntervalFactors interval_of(Distribution distribution, double cv) {
  constexpr double kZ = 1.6448536269514722;
  switch (distribution) {
    case Distribution::constant:
      return {1, 1};
    case Distribution::exponential:
      return {-portable_log(0.95), -portable_log(0.05)};
    case Distribution::lognormal: {
      const double variance = portable_log(1 + cv * cv);
      const double z = kZ * std::sqrt(variance);
      return {portable_exp(-z - variance / 2), portable_exp(z - variance / 2)};
    }
    case Distribution::gamma: {
      const double centre = 1 - cv * cv / 9;
      const double lo = std::max(0.0, centre - kZ * cv / 3);
      const double hi = std::max(0.0, centre + kZ * cv / 3);
      return {lo * lo * lo, hi * hi * hi};
    }
  }
  return {1, 1};
}

namespace {

/// What is asked first where both a line and a prediction answer.
enum class First : std::uint8_t { lines, prediction };

/// The table first, then the prediction, then the nearest line; or the prediction first.
class ScenarioCosts final : public CostModel {
 public:
  /// `profile` may be null (roofline) and need not outlive the constructor.
  ScenarioCosts(const Scenario& scenario, const StageGraph& graph,
                const std::vector<std::string>& gpu_types, const std::vector<CostLine>& lines,
                const Profile* profile, First first);

  [[nodiscard]] Estimate estimate(const Query& query) const override;
  [[nodiscard]] bool supports(NodeId node, GpuTypeId gpu) const override;
  [[nodiscard]] bool covers(const Query& query) const override;
  [[nodiscard]] double output_bytes(NodeId node, const Shape& shape) const override;
  [[nodiscard]] double weight_bytes(NodeId node, std::string_view dtype) const override;
  [[nodiscard]] double activation_bytes(const Query& query) const override;
  [[nodiscard]] double resident_weight_bytes(const Query& query) const override;
  [[nodiscard]] std::vector<CostUse> costs_used() const override { return costs_used_; }
  [[nodiscard]] std::vector<std::string> not_modelled() const override { return not_modelled_; }

  [[nodiscard]] const CostTable& table() const { return table_; }
  /// Why the roofline does not answer for this stage there; empty when it does.
  [[nodiscard]] std::string refusal(NodeId node, GpuTypeId gpu) const;
  /// Fills costs_used() and not_modelled(); the model must be complete and free of problems.
  void describe(const Scenario& scenario, const StageGraph& graph,
                const std::vector<std::string>& gpu_types);

 private:
  struct Node {
    ModelId model;
    StageKind kind = StageKind::other;
    std::optional<double> output_bytes;
    bool last = false;
  };

  [[nodiscard]] const std::optional<Architecture>& architecture(NodeId node) const {
    return architectures_[nodes_[node.index()].model.index()];
  }
  [[nodiscard]] const std::optional<Roofline>& roofline(NodeId node, GpuTypeId gpu) const {
    return rooflines_[nodes_[node.index()].model.index() * gpu_count_ + gpu.index()];
  }
  [[nodiscard]] bool predictable(NodeId node, GpuTypeId gpu) const {
    return predictable_[node.index() * gpu_count_ + gpu.index()] != 0;
  }
  [[nodiscard]] Estimate predicted(const Query& query, NumberFormat format) const;
  [[nodiscard]] Source predicted_source(NodeId node, GpuTypeId gpu) const;
  [[nodiscard]] Source source_in(const Scenario& scenario, const PoolSpec& pool, NodeId node,
                                 GpuTypeId gpu) const;

  CostTable table_;
  std::size_t gpu_count_ = 0;
  std::vector<Node> nodes_;
  std::vector<std::optional<Architecture>> architectures_;  ///< by model
  std::vector<std::optional<Roofline>> rooflines_;          ///< by model, then GPU type
  std::vector<std::uint8_t> predictable_;                   ///< by node, then GPU type
  std::vector<std::optional<FittedNode>> fitted_;           ///< by node, then GPU type, or empty
  First first_ = First::lines;
  std::vector<CostUse> costs_used_;
  std::vector<std::string> not_modelled_;
};

Call call_of(const Query& query, NumberFormat format) {
  Call call;
  call.shape = query.shape;
  call.batch = query.batch;
  call.sequence = query.degree;
  call.vae = 1;
  call.format = format;
  call.offload = query.offload;
  return call;
}

ScenarioCosts::ScenarioCosts(const Scenario& scenario, const StageGraph& graph,
                             const std::vector<std::string>& gpu_types,
                             const std::vector<CostLine>& lines, const Profile* profile,
                             First first)
    : table_(scenario, graph, gpu_types, lines), gpu_count_(gpu_types.size()), first_(first) {
  for (const ModelSpec& model : scenario.models) {
    architectures_.push_back(model.architecture);
    for (const std::string& name : gpu_types) {
      const auto gpu = scenario.gpus.find(name);
      const bool known = model.architecture && gpu != scenario.gpus.end();
      rooflines_.push_back(
          known ? std::optional<Roofline>(std::in_place, *model.architecture, gpu->second)
                : std::nullopt);
    }
  }
  for (std::uint16_t n = 0; n < graph.nodes.size(); ++n) {
    const StageNode& stage = graph.nodes[n];
    const StageSpec& spec = scenario.models[stage.model.index()].stages[stage.stage];
    nodes_.push_back({stage.model, spec.kind, spec.output_bytes, stage.before.empty()});
    for (std::uint16_t g = 0; g < gpu_count_; ++g)
      predictable_.push_back(refusal(NodeId(n), GpuTypeId(g)).empty() ? 1 : 0);
  }
  if (profile == nullptr) return;
  for (std::uint16_t n = 0; n < graph.nodes.size(); ++n)
    for (std::uint16_t g = 0; g < gpu_count_; ++g) {
      fitted_.emplace_back();
      if (predictable(NodeId(n), GpuTypeId(g)))
        fitted_.back().emplace(*profile, nodes_[n].kind, graph.model_names[nodes_[n].model.index()],
                               *architecture(NodeId(n)), scenario.gpus.at(gpu_types[g]));
    }
}

std::string ScenarioCosts::refusal(NodeId node, GpuTypeId gpu) const {
  if (!architecture(node)) return "the model has no architecture";
  const std::optional<Roofline>& model = roofline(node, gpu);
  if (!model) return "the GPU has no data sheet";
  return model->refusal(nodes_[node.index()].kind);
}

Estimate ScenarioCosts::estimate(const Query& query) const {
  const auto format = parse_number_format(query.dtype);
  if (first_ == First::prediction && format && predictable(query.node, query.gpu))
    return predicted(query, *format);
  if (const PreparedLine* line = table_.find(query)) return line->estimate(query.shape);
  if (format && predictable(query.node, query.gpu)) return predicted(query, *format);
  Estimate estimate;
  if (const PreparedLine* line = table_.nearest(query)) {
    estimate = line->estimate(query.shape);
  } else {
    DF_CHECK(predictable(query.node, query.gpu), "no cost of node {} on GPU type {}",
             query.node.value, query.gpu.value);
    estimate = predicted(query, NumberFormat::bf16);
  }
  estimate.source = Source::extrapolated;
  return estimate;
}

Estimate ScenarioCosts::predicted(const Query& query, NumberFormat format) const {
  const StageKind kind = nodes_[query.node.index()].kind;
  if (!fitted_.empty()) {
    Query sized = query;
    sized.shape = roofline(query.node, query.gpu)->with_defaults(query.shape);
    return fitted_[query.node.index() * gpu_count_ + query.gpu.index()]->estimate(sized, format);
  }
  const StageSeconds seconds =
      roofline(query.node, query.gpu)->seconds(kind, call_of(query, format));
  const Spread spread = spread_of(kind);
  Estimate estimate;
  estimate.fixed_s = seconds.fixed.total();
  estimate.per_step_s = seconds.per_step.total();
  estimate.seconds = estimate.fixed_s + estimate.per_step_s * query.shape.steps;
  estimate.lo_s = estimate.seconds * spread.lo;
  estimate.hi_s = estimate.seconds * spread.hi;
  estimate.source = Source::roofline;
  return estimate;
}

bool ScenarioCosts::supports(NodeId node, GpuTypeId gpu) const {
  return predictable(node, gpu) || table_.mentions(node, gpu);
}

bool ScenarioCosts::covers(const Query& query) const {
  if (table_.find(query) != nullptr) return true;
  return parse_number_format(query.dtype) && predictable(query.node, query.gpu);
}

double ScenarioCosts::output_bytes(NodeId node, const Shape& shape) const {
  const Node& stage = nodes_[node.index()];
  if (stage.output_bytes) return *stage.output_bytes;
  if (stage.last || !architecture(node)) return 0;
  return stage_output_bytes(stage.kind, *architecture(node), shape);
}

double ScenarioCosts::weight_bytes(NodeId node, std::string_view dtype) const {
  if (!architecture(node)) return 0;
  const NumberFormat format = parse_number_format(dtype).value_or(NumberFormat::bf16);
  return stage_weight_bytes(nodes_[node.index()].kind, *architecture(node), format);
}

double ScenarioCosts::resident_weight_bytes(const Query& query) const {
  if (!query.offload || !architecture(query.node)) return weight_bytes(query.node, query.dtype);
  const NumberFormat format = parse_number_format(query.dtype).value_or(NumberFormat::bf16);
  return streamed_weight_bytes(nodes_[query.node.index()].kind, *architecture(query.node), format);
}

double ScenarioCosts::activation_bytes(const Query& query) const {
  if (!architecture(query.node)) return 0;
  return stage_activation_bytes(nodes_[query.node.index()].kind, *architecture(query.node),
                                call_of(query, NumberFormat::bf16));
}

Source ScenarioCosts::predicted_source(NodeId node, GpuTypeId gpu) const {
  if (!predictable(node, gpu)) return Source::extrapolated;
  if (fitted_.empty()) return Source::roofline;
  const bool unseen = fitted_[node.index() * gpu_count_ + gpu.index()]->unseen().any();
  return unseen ? Source::extrapolated : Source::fitted;
}

/// Measured when lines cover every shape of the mix at the smallest and the largest batch.
Source ScenarioCosts::source_in(const Scenario& scenario, const PoolSpec& pool, NodeId node,
                                GpuTypeId gpu) const {
  if (first_ == First::prediction && predictable(node, gpu)) return predicted_source(node, gpu);
  bool all = table_.mentions(node, gpu);
  for (const MixEntry& entry : scenario.workload.mix) {
    if (entry.model != nodes_[node.index()].model) continue;
    for (const std::uint32_t requests : {1U, pool.max_batch}) {
      Query query{node, entry.shape, gpu};
      query.degree = static_cast<std::uint16_t>(pool.degree);
      query.batch = requests * std::max(1U, entry.shape.images);
      query.dtype = pool.dtype.empty() ? "bf16" : std::string_view(pool.dtype);
      all = all && table_.find(query) != nullptr;
    }
  }
  return all ? Source::measured : predicted_source(node, gpu);
}

void ScenarioCosts::describe(const Scenario& scenario, const StageGraph& graph,
                             const std::vector<std::string>& gpu_types) {
  std::set<std::pair<NodeId, GpuTypeId>> told;
  for (std::uint16_t n = 0; n < nodes_.size(); ++n) {
    for (const PoolSpec& pool : scenario.fleet.pools) {
      const auto at = std::find(gpu_types.begin(), gpu_types.end(), pool.gpu);
      if (!hosts(pool, graph, NodeId(n)) || at == gpu_types.end()) continue;
      const GpuTypeId gpu(static_cast<std::uint16_t>(at - gpu_types.begin()));
      if (!told.insert({NodeId(n), gpu}).second) continue;
      costs_used_.push_back({NodeId(n), gpu, graph.node_names[n], pool.gpu,
                             source_in(scenario, pool, NodeId(n), gpu)});
    }
  }
  for (std::size_t m = 0; m < architectures_.size(); ++m)
    if (!architectures_[m])
      not_modelled_.push_back(
          fmt::format("memory of model {}, which has no architecture", graph.model_names[m]));
  for (std::uint16_t n = 0; n < nodes_.size(); ++n)
    if (!nodes_[n].output_bytes && !nodes_[n].last &&
        (!architecture(NodeId(n)) || nodes_[n].kind == StageKind::other))
      not_modelled_.push_back(fmt::format(
          "bytes that stage {} hands over (taken as 0: it names no output)", graph.node_names[n]));
}

std::string shape_text(const Shape& shape) {
  return fmt::format("{}x{}, {} frames, {} steps", shape.width, shape.height, shape.frames,
                     shape.steps);
}

/// What a pool asks that nothing answers; empty when all is covered.
std::string uncovered(const ScenarioCosts& costs, const Scenario& scenario, const StageGraph& graph,
                      const PoolSpec& pool, NodeId node, GpuTypeId gpu) {
  const std::string_view dtype = pool.dtype.empty() ? "bf16" : std::string_view(pool.dtype);
  std::string refusal = costs.refusal(node, gpu);
  if (refusal.empty() && !parse_number_format(dtype))
    refusal = fmt::format("dtype {} is not {}", dtype, kNumberFormatNames);
  if (refusal.empty()) return {};
  if (!costs.table().mentions(node, gpu)) return "none, and " + refusal;
  if (!scenario.workload.trace.empty()) return {};  // its shapes are asked of covers() one by one
  for (const MixEntry& entry : scenario.workload.mix) {
    if (entry.model != graph.nodes[node.index()].model) continue;
    for (std::uint32_t requests = 1; requests <= pool.max_batch; ++requests) {
      Query query{node, entry.shape, gpu};
      query.degree = static_cast<std::uint16_t>(pool.degree);
      query.batch = requests * std::max(1U, entry.shape.images);
      query.dtype = dtype;
      if (costs.covers(query)) continue;
      return fmt::format("lines for other questions than {}, batch {}, degree {}, dtype {}, and {}",
                         shape_text(entry.shape), query.batch, pool.degree, dtype, refusal);
    }
  }
  return {};
}

Problem uncovered_problem(const Place& place, const std::string& stage, const std::string& gpu,
                          const std::string& where, const std::string& got) {
  return {place.file,
          place.line,
          place.column,
          place.path,
          fmt::format("a cost line or a model with an architecture for stage {} on GPU {} ({})",
                      stage, gpu, where),
          got,
          ""};
}

Problems coverage_problems(const ScenarioCosts& costs, const Scenario& scenario,
                           const StageGraph& graph, const std::vector<std::string>& gpu_types) {
  Problems problems;
  for (std::size_t p = 0; p < scenario.fleet.pools.size(); ++p) {
    const PoolSpec& pool = scenario.fleet.pools[p];
    const auto at = std::find(gpu_types.begin(), gpu_types.end(), pool.gpu);
    DF_CHECK(at != gpu_types.end(), "pool {} names GPU type {}, which gpu_types lacks", p + 1,
             pool.gpu);
    const GpuTypeId gpu(static_cast<std::uint16_t>(at - gpu_types.begin()));
    for (std::uint16_t n = 0; n < graph.nodes.size(); ++n) {
      if (!hosts(pool, graph, NodeId(n))) continue;
      const std::string got = uncovered(costs, scenario, graph, pool, NodeId(n), gpu);
      if (!got.empty())
        problems.push_back(uncovered_problem(pool.place, graph.node_names[n], pool.gpu,
                                             fmt::format("pool {}", p + 1), got));
    }
  }
  if (!scenario.fleet.pools.empty()) return problems;
  for (std::uint16_t n = 0; n < graph.nodes.size(); ++n) {
    bool any = false;
    for (std::uint16_t g = 0; g < gpu_types.size(); ++g)
      any = any || costs.supports(NodeId(n), GpuTypeId(g));
    if (any || gpu_types.empty()) continue;
    const StageNode& stage = graph.nodes[n];
    const StageSpec& spec = scenario.models[stage.model.index()].stages[stage.stage];
    problems.push_back(uncovered_problem(spec.place, graph.node_names[n], gpu_types.front(),
                                         "or any other GPU type of the catalogue",
                                         "none, and " + costs.refusal(NodeId(n), GpuTypeId(0))));
  }
  return problems;
}

/// The profile that the belief names, from the texts that were read with the scenario.
Result<Profile> profile_of(const Scenario& scenario) {
  for (const SourceText& source : scenario.sources)
    if (source.path == scenario.belief.profile) return read_profile(source.path, source.text);
  const Place& place = scenario.belief.place;
  return fail(Problem{place.file, place.line, place.column, place.path + ".profile",
                      "a profile that was read with the scenario", scenario.belief.profile, ""});
}

Result<std::unique_ptr<CostModel>> make(const Scenario& scenario, const StageGraph& graph,
                                        const std::vector<std::string>& gpu_types,
                                        const std::vector<CostLine>& lines, First first) {
  std::optional<Profile> profile;
  if (scenario.belief.source == BeliefSpec::Source::profile) {
    Result<Profile> read = profile_of(scenario);
    if (!read) return tl::unexpected<Problems>(std::move(read.error()));
    profile = std::move(*read);
  }
  auto costs = std::make_unique<ScenarioCosts>(scenario, graph, gpu_types, lines,
                                               profile ? &*profile : nullptr, first);
  Problems problems = unknown_names(scenario, graph, lines);
  for (Problems found : {ambiguous_lines(scenario, graph, gpu_types, lines, costs->table()),
                         coverage_problems(*costs, scenario, graph, gpu_types)})
    problems.insert(problems.end(), found.begin(), found.end());
  if (!problems.empty()) return fail(std::move(problems));
  costs->describe(scenario, graph, gpu_types);
  return std::unique_ptr<CostModel>(std::move(costs));
}

}  // namespace

Result<std::unique_ptr<CostModel>> make_cost_model(const Scenario& scenario,
                                                   const StageGraph& graph,
                                                   const std::vector<std::string>& gpu_types,
                                                   const std::vector<CostLine>& lines) {
  return make(scenario, graph, gpu_types, lines, First::lines);
}

Result<std::unique_ptr<CostModel>> make_profile_costs(const Scenario& scenario,
                                                      const StageGraph& graph,
                                                      const std::vector<std::string>& gpu_types,
                                                      const std::vector<CostLine>& lines) {
  return make(scenario, graph, gpu_types, lines, First::prediction);
}

}  // namespace disagfusion::predictor
