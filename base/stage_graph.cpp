// Dense identifiers for every stage of every model (StageGraph in base/scenario.hpp).
#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

namespace {

WeightsId intern(std::vector<std::string>& weights, const std::string& name) {
  const auto found = std::find(weights.begin(), weights.end(), name);
  const auto position = static_cast<std::uint16_t>(found - weights.begin());
  if (found == weights.end()) weights.push_back(name);
  return WeightsId(position);
}

/// Longest path from a source to each stage: relaxed until nothing grows. The graph is acyclic.
std::vector<std::uint32_t> path_lengths(const ModelSpec& model) {
  std::vector<std::uint32_t> length(model.stages.size(), 0);
  for (std::size_t round = 0; round <= model.stages.size(); ++round) {
    bool grew = false;
    for (std::size_t i = 0; i < model.stages.size(); ++i) {
      for (const std::uint16_t before : model.stages[i].after) {
        if (length[before] + 1 <= length[i]) continue;
        length[i] = length[before] + 1;
        grew = true;
      }
    }
    if (!grew) return length;
  }
  DF_CHECK(false, "the stages of {} have a cycle", model.name);
  return length;
}

}  // namespace

StageGraph make_stage_graph(const std::vector<ModelSpec>& models) {
  StageGraph graph;
  for (std::size_t m = 0; m < models.size(); ++m) {
    const ModelSpec& model = models[m];
    const auto first = static_cast<std::uint16_t>(graph.nodes.size());
    graph.first_node.push_back(NodeId(first));
    graph.model_names.push_back(model.name);
    const std::vector<std::uint32_t> length = path_lengths(model);
    const auto node_at = [&](std::uint16_t stage) {
      return NodeId(static_cast<std::uint16_t>(first + stage));
    };
    for (std::size_t s = 0; s < model.stages.size(); ++s) {
      const StageSpec& stage = model.stages[s];
      StageNode node;
      node.model = ModelId(static_cast<std::uint16_t>(m));
      node.stage = static_cast<std::uint16_t>(s);
      node.weights = intern(graph.weights, stage.weights);
      for (const std::uint16_t p : stage.after) node.after.push_back(node_at(p));
      for (const std::uint16_t p : stage.before) node.before.push_back(node_at(p));
      node.path_length = length[s];
      graph.nodes.push_back(std::move(node));
      graph.node_names.push_back(models.size() == 1 ? stage.name
                                                    : fmt::format("{}/{}", model.name, stage.name));
    }
  }
  graph.first_node.push_back(NodeId(static_cast<std::uint16_t>(graph.nodes.size())));
  return graph;
}

}  // namespace disagfusion
