// Dense stage identifiers, and where the initial instances stand.
#include <gtest/gtest.h>

#include "base/placement.hpp"
#include "base/scenario.hpp"

namespace disagfusion {
namespace {

StageSpec stage(const std::string& name, std::vector<std::uint16_t> after,
                std::vector<std::uint16_t> before, const std::string& weights) {
  StageSpec spec;
  spec.name = name;
  spec.after = std::move(after);
  spec.before = std::move(before);
  spec.weights = weights;
  return spec;
}

/// text and image encoders side by side, dit after both, decoder; text also feeds the decoder.
ModelSpec forked(const std::string& name) {
  ModelSpec model;
  model.name = name;
  model.stages = {stage("decoder", {3, 1}, {}, "vae"), stage("text", {}, {3, 0}, "t5"),
                  stage("image", {}, {3}, name + "/image"),
                  stage("dit", {1, 2}, {0}, name + "/dit")};
  return model;
}

TEST(StageGraph, OneModel) {
  const StageGraph graph = make_stage_graph({forked("m")});
  ASSERT_EQ(graph.nodes.size(), 4U);
  EXPECT_EQ(graph.node_names, (std::vector<std::string>{"decoder", "text", "image", "dit"}));
  EXPECT_EQ(graph.nodes[0].path_length, 2U);
  EXPECT_EQ(graph.nodes[1].path_length, 0U);
  EXPECT_EQ(graph.nodes[3].path_length, 1U);
  EXPECT_EQ(graph.nodes[3].after, (std::vector<NodeId>{NodeId(1), NodeId(2)}));
  EXPECT_EQ(graph.nodes[1].before, (std::vector<NodeId>{NodeId(3), NodeId(0)}));
}

TEST(StageGraph, ModelsShareWeights) {
  const StageGraph graph = make_stage_graph({forked("a"), forked("b")});
  ASSERT_EQ(graph.nodes.size(), 8U);
  EXPECT_EQ(graph.first_node, (std::vector<NodeId>{NodeId(0), NodeId(4), NodeId(8)}));
  EXPECT_EQ(graph.node_names[5], "b/text");
  EXPECT_EQ(graph.nodes[5].model, ModelId(1));
  EXPECT_EQ(graph.nodes[5].weights, graph.nodes[1].weights);
  EXPECT_NE(graph.nodes[6].weights, graph.nodes[2].weights);
  EXPECT_EQ(graph.weights.size(), 6U);
  EXPECT_EQ(graph.nodes[7].after, (std::vector<NodeId>{NodeId(5), NodeId(6)}));
}

NodeGroupSpec nodes(const std::string& gpu, std::uint32_t gpus, std::uint32_t count) {
  NodeGroupSpec group;
  group.gpus[gpu] = gpus;
  group.count = count;
  return group;
}

PoolSpec pool(const std::string& gpu, std::uint32_t count, std::uint32_t degree) {
  PoolSpec spec;
  spec.gpu = gpu;
  spec.count = count;
  spec.degree = degree;
  return spec;
}

TEST(Placement, PoolOrderFirstNodeWithRoom) {
  FleetSpec fleet;
  fleet.nodes = {nodes("A10", 3, 2), nodes("L4", 1, 1), nodes("A10", 1, 1)};
  fleet.pools = {pool("A10", 2, 2), pool("A10", 2, 1), pool("L4", 1, 1), pool("A10", 1, 1)};
  const Placement placement = place_instances(fleet);
  EXPECT_TRUE(placement.unplaced.empty());
  ASSERT_EQ(placement.machines.size(), 4U);
  std::vector<std::uint32_t> machines;
  for (const PlacedInstance& instance : placement.instances)
    machines.push_back(instance.machine.value);
  EXPECT_EQ(machines, (std::vector<std::uint32_t>{0, 1, 0, 1, 2, 3}));
}

TEST(Placement, SaysHowManyFoundRoom) {
  FleetSpec fleet;
  fleet.nodes = {nodes("A10", 3, 2)};
  fleet.pools = {pool("A10", 5, 2), pool("H200", 1, 1)};
  const Placement placement = place_instances(fleet);
  ASSERT_EQ(placement.unplaced.size(), 2U);
  EXPECT_EQ(placement.unplaced[0].placed, 2U);
  EXPECT_EQ(placement.unplaced[0].largest_node, 3U);
  EXPECT_EQ(placement.unplaced[1].largest_node, 0U);
}

}  // namespace
}  // namespace disagfusion
