#include "predictor/belief.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/random.hpp"
#include "predictor/cost_table.hpp"

namespace disagfusion::predictor {
namespace {

/// FNV-1a over bytes, then a SplitMix64 finaliser between numbers: an id that depends on names and
/// shapes, not on the order in which a fleet lists them.
std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15ULL + (hash << 6U) + (hash >> 2U);
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31U);
}

std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

/// Means of another model's answers, times the deliberate error.
class BelievedCosts final : public CostModel {
 public:
  BelievedCosts(std::unique_ptr<CostModel> inner, const Scenario& scenario, const StageGraph& graph,
                const std::vector<std::string>& gpu_types)
      : inner_(std::move(inner)),
        seed_(scenario.seed),
        cv_(scenario.belief.error_cv),
        error_(1, scenario.belief.error_cv) {
    for (const std::string& name : gpu_types) gpu_hashes_.push_back(hash_of(name));
    for (std::uint16_t n = 0; n < graph.nodes.size(); ++n) {
      const std::string stage = stage_name_of(scenario, graph, NodeId(n));
      const std::string full = graph.model_names[graph.nodes[n].model.index()] + "/" + stage;
      node_hashes_.push_back(hash_of(full));
      biases_.push_back(bias_of(scenario.belief, stage, full));
    }
  }

  [[nodiscard]] Estimate estimate(const Query& query) const override {
    Estimate estimate = inner_->estimate(query);
    const double factor = biases_[query.node.index()] * error_of(query);
    estimate.seconds *= factor;
    estimate.lo_s *= factor;
    estimate.hi_s *= factor;
    estimate.fixed_s *= factor;
    estimate.per_step_s *= factor;
    estimate.distribution = Distribution::constant;
    estimate.cv = 0;
    return estimate;
  }
  [[nodiscard]] bool supports(NodeId node, GpuTypeId gpu) const override {
    return inner_->supports(node, gpu);
  }
  [[nodiscard]] bool covers(const Query& query) const override { return inner_->covers(query); }
  [[nodiscard]] double output_bytes(NodeId node, const Shape& shape) const override {
    return inner_->output_bytes(node, shape);
  }
  [[nodiscard]] double weight_bytes(NodeId node, std::string_view dtype) const override {
    return inner_->weight_bytes(node, dtype);
  }
  [[nodiscard]] double activation_bytes(const Query& query) const override {
    return inner_->activation_bytes(query);
  }
  [[nodiscard]] double resident_weight_bytes(const Query& query) const override {
    return inner_->resident_weight_bytes(query);
  }
  [[nodiscard]] std::vector<CostUse> costs_used() const override { return inner_->costs_used(); }
  [[nodiscard]] std::vector<std::string> not_modelled() const override {
    return inner_->not_modelled();
  }

 private:
  static double bias_of(const BeliefSpec& belief, const std::string& stage,
                        const std::string& full) {
    for (const std::string& name : {full, stage})
      if (const auto found = belief.bias.find(name); found != belief.bias.end())
        return found->second;
    return 1;
  }

  /// The shape's steps are left out: a request's error does not change with how much of it is left.
  [[nodiscard]] double error_of(const Query& query) const {
    if (cv_ <= 0) return 1;
    std::uint64_t id = mix(node_hashes_[query.node.index()], gpu_hashes_[query.gpu.index()]);
    for (const std::uint32_t value :
         {query.shape.width, query.shape.height, query.shape.frames, query.shape.images})
      id = mix(id, value);
    return error_.from(to_unit(draw(seed_, Purpose::belief_error, id, 0)));
  }

  std::unique_ptr<CostModel> inner_;
  std::uint64_t seed_;
  double cv_;
  LognormalDistribution error_;
  std::vector<std::uint64_t> node_hashes_, gpu_hashes_;
  std::vector<double> biases_;  ///< by node
};

Problems unknown_biases(const Scenario& scenario, const StageGraph& graph) {
  std::vector<std::string> known;
  for (std::uint16_t n = 0; n < graph.nodes.size(); ++n) {
    const std::string stage = stage_name_of(scenario, graph, NodeId(n));
    known.push_back(stage);
    known.push_back(graph.model_names[graph.nodes[n].model.index()] + "/" + stage);
  }
  Problems problems;
  const Place& place = scenario.belief.place;
  for (const auto& [name, factor] : scenario.belief.bias)
    if (std::find(known.begin(), known.end(), name) == known.end())
      problems.push_back({place.file, place.line, place.column, place.path + ".error.bias",
                          "a stage of this scenario", name, nearest_name(name, known)});
  return problems;
}

std::string description_of(const Scenario& scenario) {
  const BeliefSpec& belief = scenario.belief;
  std::string text = "means of costs";
  if (belief.source == BeliefSpec::Source::costs) text = "costs of its own";
  if (belief.source == BeliefSpec::Source::profile)
    text = "profile " + std::filesystem::path(belief.profile).stem().string();
  if (!belief.bias.empty()) {
    text += ", biased:";
    for (const auto& [stage, factor] : belief.bias) text += fmt::format(" {} x {}", stage, factor);
  }
  if (belief.error_cv > 0) text += fmt::format(", error cv {}", belief.error_cv);
  if (learns(scenario))
    text += belief.learning ? ", learning" : ", learning (the default of elasticity hybrid)";
  return text;
}

}  // namespace

Result<Belief> make_belief(const Scenario& scenario, const StageGraph& graph,
                           const std::vector<std::string>& gpu_types) {
  const BeliefSpec& spec = scenario.belief;
  if (Problems problems = unknown_biases(scenario, graph); !problems.empty())
    return fail(std::move(problems));
  const bool own = spec.source == BeliefSpec::Source::costs;
  const std::vector<CostLine>& lines = own ? spec.costs : scenario.costs;
  auto inner = spec.source == BeliefSpec::Source::profile
                   ? make_profile_costs(scenario, graph, gpu_types, lines)
                   : make_cost_model(scenario, graph, gpu_types, lines);
  if (!inner) return tl::unexpected<Problems>(std::move(inner.error()));
  Belief belief;
  belief.costs = std::make_unique<BelievedCosts>(std::move(*inner), scenario, graph, gpu_types);
  belief.learning = learns(scenario);
  belief.description = description_of(scenario);
  return belief;
}

}  // namespace disagfusion::predictor
