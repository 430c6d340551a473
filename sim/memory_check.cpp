#include "sim/memory_check.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

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

predictor::Query query_of(const scheduler::Role& role, NodeId node, const Shape& shape) {
  predictor::Query query;
  query.node = node;
  query.shape = shape;
  query.gpu = role.gpu;
  query.degree = static_cast<std::uint16_t>(role.degree);
  query.batch = role.max_batch * std::max<std::uint32_t>(1, shape.images);
  query.offload = role.offload;
  query.dtype = role.dtype;
  return query;
}

Need need_of(const Scenario& scenario, const scheduler::Setup& setup,
             const predictor::CostModel& truth, const scheduler::Role& role) {
  Need need;
  std::map<WeightsId, double> weights;
  for (std::size_t n = 0; n < setup.graph.nodes.size(); ++n) {
    const NodeId node{static_cast<std::uint16_t>(n)};
    const StageNode& info = setup.graph.nodes[n];
    if (std::find(role.stages.begin(), role.stages.end(), info.weights) == role.stages.end()) {
      continue;
    }
    for (const MixEntry& entry : scenario.workload.mix) {
      if (entry.model != info.model) continue;
      const predictor::Query query = query_of(role, node, entry.shape);
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

}  // namespace

Result<std::vector<std::string>> check_memory(const Scenario& scenario,
                                              const scheduler::Setup& setup,
                                              const predictor::CostModel& truth) {
  Problems problems;
  std::set<std::string> unknown_gpus;
  for (std::size_t p = 0; p < setup.roles.size(); ++p) {
    const scheduler::Role& role = setup.roles[p];
    const std::string& gpu = setup.gpu_types[role.gpu.index()];
    const auto spec = scenario.gpus.find(gpu);
    const double memory = spec == scenario.gpus.end() ? 0 : spec->second.memory_bytes;
    const Need need = need_of(scenario, setup, truth, role);
    if (memory <= 0) {
      unknown_gpus.insert(gpu);
      continue;
    }
    if (need.weights + need.activations <= memory) continue;
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
    problems.push_back(std::move(problem));
  }
  if (!problems.empty()) return fail(std::move(problems));
  std::vector<std::string> notes;
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
