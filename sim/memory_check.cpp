#include "sim/memory_check.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "predictor/cost_table.hpp"

namespace disagfusion::sim {

namespace {

struct Need {
  double weights = 0, activations = 0;  ///< bytes a GPU
  std::string largest;                  ///< stage and shape of the largest activations
};

std::string shape_text(const Shape& shape) {
  std::string text = fmt::format("{}x{}", shape.width, shape.height);
  if (shape.frames > 1) text += fmt::format("x{}", shape.frames);
  return text;
}

predictor::Query query_of(const scheduler::Role& role, NodeId node, const Shape& shape,
                          bool offload) {
  predictor::Query query;
  query.node = node;
  query.shape = shape;
  query.gpu = role.gpu;
  query.degree = static_cast<std::uint16_t>(role.degree);
  query.batch = role.max_batch * std::max<std::uint32_t>(1, shape.images);
  query.offload = offload;
  query.dtype = role.dtype;
  return query;
}

bool hosts(const scheduler::Role& role, const StageNode& node) {
  return std::find(role.stages.begin(), role.stages.end(), node.weights) != role.stages.end();
}

Need need_of(const Scenario& scenario, const scheduler::Setup& setup,
             const predictor::CostModel& truth, const scheduler::Role& role, bool offload) {
  Need need;
  std::map<WeightsId, double> weights;
  for (std::size_t n = 0; n < setup.graph.nodes.size(); ++n) {
    const NodeId node{static_cast<std::uint16_t>(n)};
    const StageNode& info = setup.graph.nodes[n];
    if (!hosts(role, info)) continue;
    for (const MixEntry& entry : scenario.workload.mix) {
      if (entry.model != info.model) continue;
      const predictor::Query query = query_of(role, node, entry.shape, offload);
      double& known = weights[info.weights];
      known = std::max(known, truth.resident_weight_bytes(query));
      const double activations = truth.activation_bytes(query);
      if (activations > need.activations) {
        need.activations = activations;
        need.largest = fmt::format("{} at {}, batch {}", setup.graph.node_names[n],
                                   shape_text(entry.shape), query.batch);
      }
    }
  }
  for (const auto& [stage, bytes] : weights) need.weights += bytes;
  return need;
}

/// Whether `costs` state seconds of this very GPU type for all that the pool hosts and the mix
/// asks: whoever measured there ran it there.
bool measured_there(const Scenario& scenario, const scheduler::Setup& setup,
                    const predictor::CostModel& truth, const scheduler::Role& role) {
  const std::string& gpu = setup.gpu_types[role.gpu.index()];
  for (std::size_t n = 0; n < setup.graph.nodes.size(); ++n) {
    const NodeId node{static_cast<std::uint16_t>(n)};
    if (!hosts(role, setup.graph.nodes[n])) continue;
    const std::string stage = predictor::stage_name_of(scenario, setup.graph, node);
    const bool named =
        std::any_of(scenario.costs.begin(), scenario.costs.end(), [&](const CostLine& line) {
          return line.gpu == gpu && predictor::admits_node(line, setup.graph, node, stage);
        });
    if (!named) return false;
    for (const MixEntry& entry : scenario.workload.mix) {
      if (entry.model != setup.graph.nodes[n].model) continue;
      const predictor::Query query = query_of(role, node, entry.shape, role.offload);
      if (truth.estimate(query).source != predictor::Source::measured) return false;
    }
  }
  return true;
}

}  // namespace

Result<std::vector<std::string>> check_memory(const Scenario& scenario,
                                              const scheduler::Setup& setup,
                                              const predictor::CostModel& truth) {
  Problems problems;
  std::vector<std::string> notes;
  std::set<std::string> unknown_gpus;
  for (std::size_t p = 0; p < setup.roles.size(); ++p) {
    const scheduler::Role& role = setup.roles[p];
    const std::string& gpu = setup.gpu_types[role.gpu.index()];
    const auto spec = scenario.gpus.find(gpu);
    const double memory = spec == scenario.gpus.end() ? 0 : spec->second.memory_bytes;
    const Need need = need_of(scenario, setup, truth, role, role.offload);
    if (memory <= 0) {
      unknown_gpus.insert(gpu);
      continue;
    }
    if (need.weights + need.activations <= memory) continue;
    const Need streamed = need_of(scenario, setup, truth, role, true);
    const bool fits_streamed = streamed.weights + streamed.activations <= memory;
    if (!role.offload && fits_streamed && measured_there(scenario, setup, truth, role)) {
      notes.push_back(
          fmt::format("memory of {} on {}: {:.1f} GB of weights do not fit in {:.1f} GB; they are "
                      "taken to be streamed from host memory, as costs were measured there",
                      role.name, gpu, need.weights * 1e-9, memory * 1e-9));
      continue;
    }
    const Place& place = scenario.fleet.pools[p].place;
    Problem problem;
    problem.file = place.file;
    problem.line = place.line;
    problem.column = place.column;
    problem.path = place.path.empty() ? fmt::format("fleet.pools[{}]", p) : place.path;
    problem.expected = fmt::format("at most {:.1f} GB on a {}", memory * 1e-9, gpu);
    problem.got =
        fmt::format("{:.1f} GB: {:.1f} GB of weights and {:.1f} GB of activations{}",
                    (need.weights + need.activations) * 1e-9, need.weights * 1e-9,
                    need.activations * 1e-9, need.largest.empty() ? "" : " (" + need.largest + ")");
    if (!role.offload && fits_streamed)
      problem.got += "; with offload: true, which streams the weights, it fits";
    problems.push_back(std::move(problem));
  }
  if (!problems.empty()) return fail(std::move(problems));
  const auto list = [](const std::set<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
  };
  if (!unknown_gpus.empty()) {
    notes.push_back("GPU memory on " + list(unknown_gpus) + ": the size is not stated");
  }
  return notes;
}

}  // namespace disagfusion::sim
