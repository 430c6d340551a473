#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "predictor/cost_model.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

using ::testing::HasSubstr;
using namespace testing;  // NOLINT: the predictor's own test helpers

const std::vector<std::string> kOneGpu = {"A10"};

Result<std::unique_ptr<CostModel>> make(const Scenario& scenario,
                                        const std::vector<CostLine>& lines,
                                        const std::vector<std::string>& gpus = kOneGpu) {
  return make_cost_model(scenario, make_stage_graph(scenario.models), gpus, lines);
}

std::vector<CostLine> a10_lines() {
  CostLine four = line("dit", 74.2, 1);
  four.gpu = "A10";
  four.steps = 4;
  CostLine any = line("dit", 0, 2);
  any.seconds.reset();
  any.fixed = 0.4;
  any.per_step = 18.45;
  return {four, any, line("encoder", 5.05, 3), line("decoder", 9.0, 4)};
}

TEST(CostTable, MostSpecificLineWins) {
  const auto costs = make(scenario_of({chain("m")}), a10_lines());
  ASSERT_TRUE(costs) << text_of(costs.error());
  const Estimate four = (*costs)->estimate(query_of(1, {832, 480, 81, 4, 1}));
  EXPECT_EQ(four.seconds, 74.2);
  EXPECT_EQ(four.per_step_s, 74.2 / 4);
  EXPECT_EQ(four.lo_s, 74.2);
  EXPECT_EQ(four.hi_s, 74.2);
  EXPECT_EQ(four.source, Source::measured);
  const Estimate one = (*costs)->estimate(query_of(1, {832, 480, 81, 1, 1}));
  EXPECT_DOUBLE_EQ(one.seconds, 0.4 + 18.45);
  EXPECT_EQ(one.fixed_s, 0.4);
  EXPECT_DOUBLE_EQ(one.seconds_of(3), 0.4 + 3 * 18.45);
}

TEST(CostTable, LineWithoutBatchIsConstantACall) {
  const auto costs = make(scenario_of({chain("m")}), a10_lines());
  ASSERT_TRUE(costs);
  EXPECT_EQ((*costs)->estimate(query_of(2, {832, 480, 81, 4, 1}, 8)).seconds, 9.0);
}

TEST(CostTable, MatchFieldsOfBatchDegreeDtypeAndShape) {
  Scenario scenario = scenario_of({chain("m")});
  scenario.fleet.pools[1].max_batch = 4;
  std::vector<CostLine> lines = a10_lines();
  CostLine batch = line("dit", 200, 5);
  batch.gpu = "A10";
  batch.steps = 4;
  batch.batch = 4;
  CostLine fp8 = line("dit", 40, 6);
  fp8.gpu = "A10";
  fp8.steps = 4;
  fp8.dtype = "fp8";
  CostLine small = line("decoder", 2, 7);
  small.width = 416;
  small.height = 240;
  lines.insert(lines.end(), {batch, fp8, small});
  const auto costs = make(scenario, lines);
  ASSERT_TRUE(costs) << text_of(costs.error());  // fp8 is not asked by any pool: no ambiguity
  EXPECT_EQ((*costs)->estimate(query_of(1, {832, 480, 81, 4, 1}, 4)).seconds, 200);
  Query eight = query_of(1, {832, 480, 81, 4, 1});
  eight.dtype = "fp8";
  EXPECT_EQ((*costs)->estimate(eight).seconds, 40);
  EXPECT_EQ((*costs)->estimate(query_of(2, {416, 240, 81, 4, 1})).seconds, 2);
  EXPECT_EQ((*costs)->estimate(query_of(2, {832, 480, 81, 4, 1})).seconds, 9);
}

TEST(CostTable, ModelAndStageInOneFieldCountAsTwo) {
  const Scenario scenario = scenario_of({chain("a"), chain("b")});
  std::vector<CostLine> lines = {line("encoder", 1, 1), line("dit", 2, 2), line("decoder", 3, 3),
                                 line("b/dit", 7, 4)};
  const auto costs = make(scenario, lines);
  ASSERT_TRUE(costs) << text_of(costs.error());
  EXPECT_EQ((*costs)->estimate(query_of(1, {832, 480, 81, 4, 1})).seconds, 2);
  EXPECT_EQ((*costs)->estimate(query_of(4, {832, 480, 81, 4, 1})).seconds, 7);
}

TEST(CostTable, TwoEquallySpecificLinesAreAProblemNamingBoth) {
  std::vector<CostLine> lines = a10_lines();
  CostLine rival = line("dit", 70, 5);
  rival.steps = 4;
  rival.width = 832;
  lines.push_back(rival);
  const auto costs = make(scenario_of({chain("m")}), lines);
  ASSERT_FALSE(costs);
  const std::string text = text_of(costs.error());
  EXPECT_EQ(costs.error().size(), 1U) << text;
  EXPECT_THAT(text, HasSubstr("lines 61 (costs[1]) and 65 (costs[5])"));
  EXPECT_THAT(text, HasSubstr("stage dit on GPU A10"));
}

TEST(CostTable, UnreachableOverlapIsNoProblem) {
  std::vector<CostLine> lines = a10_lines();
  CostLine rival = line("dit", 70, 5);
  rival.steps = 4;
  rival.width = 1280;  // no mix entry is that wide
  lines.push_back(rival);
  Scenario scenario = scenario_of({chain("m")});
  EXPECT_TRUE(make(scenario, lines));
  scenario.workload.trace = "any.csv";  // a trace may bring it
  EXPECT_FALSE(make(scenario, lines));
}

TEST(CostTable, MoreSpecificLineSettlesARivalry) {
  std::vector<CostLine> lines = a10_lines();
  CostLine rival = line("dit", 70, 5);
  rival.steps = 4;
  rival.width = 832;
  CostLine judge = line("dit", 71, 6);
  judge.gpu = "A10";
  judge.steps = 4;
  judge.width = 832;
  lines.insert(lines.end(), {rival, judge});
  const auto costs = make(scenario_of({chain("m")}), lines);
  ASSERT_TRUE(costs) << text_of(costs.error());
  EXPECT_EQ((*costs)->estimate(query_of(1, {832, 480, 81, 4, 1})).seconds, 71);
}

TEST(CostTable, UncoveredStageIsNamedWithItsPool) {
  const std::vector<CostLine> lines = {line("encoder", 1, 1), line("dit", 2, 2)};
  const auto costs = make(scenario_of({chain("m")}), lines);
  ASSERT_FALSE(costs);
  EXPECT_EQ(text_of(costs.error()),
            "s.yaml:42:7: fleet.pools[2]: expected a cost line or a model with an architecture for "
            "stage decoder on GPU A10 (pool 3), got none, and the model has no architecture\n");
}

TEST(CostTable, PoolServesEveryStageWithItsWeights) {
  std::vector<ModelSpec> models = {chain("a"), chain("b")};
  models[0].stages[0].weights = models[1].stages[0].weights = "t5-xxl";
  Scenario scenario = scenario_of(models);
  scenario.fleet.pools.erase(scenario.fleet.pools.begin() + 3);  // b's encoder runs in a's pool
  std::vector<CostLine> lines = {line("a/encoder", 1, 1), line("dit", 2, 2), line("decoder", 3, 3)};
  const auto costs = make(scenario, lines);
  ASSERT_FALSE(costs);
  EXPECT_THAT(text_of(costs.error()), HasSubstr("stage b/encoder on GPU A10 (pool 1)"));
}

TEST(CostTable, UncoveredShapeIsNamed) {
  std::vector<CostLine> lines = {line("encoder", 1, 1), line("dit", 2, 2), line("decoder", 3, 3)};
  lines[1].steps = 50;
  const auto costs = make(scenario_of({chain("m")}), lines);
  ASSERT_FALSE(costs);
  EXPECT_THAT(text_of(costs.error()), HasSubstr("832x480, 81 frames, 4 steps, batch 1"));
}

TEST(CostTable, ShapesOfATraceAreAskedOneByOne) {
  std::vector<CostLine> lines = {line("encoder", 1, 1), line("dit", 2, 2), line("decoder", 3, 3)};
  lines[1].steps = 50;
  Scenario scenario = scenario_of({chain("m")});
  scenario.workload.trace = "any.csv";
  const auto costs = make(scenario, lines);
  ASSERT_TRUE(costs) << text_of(costs.error());
  EXPECT_FALSE((*costs)->covers(query_of(1, {832, 480, 81, 4, 1})));
  EXPECT_TRUE((*costs)->covers(query_of(1, {832, 480, 81, 50, 1})));
  const Estimate nearest = (*costs)->estimate(query_of(1, {832, 480, 81, 4, 1}));
  EXPECT_EQ(nearest.seconds, 2);
  EXPECT_EQ(nearest.source, Source::extrapolated);
}

TEST(CostTable, UnknownNamesGetTheNearest) {
  std::vector<CostLine> lines = a10_lines();
  lines.push_back(line("decodr", 3, 5));
  lines.back().model = "n";
  const auto costs = make(scenario_of({chain("m")}), lines);
  ASSERT_FALSE(costs);
  const std::string text = text_of(costs.error());
  EXPECT_THAT(text, HasSubstr("costs[5].stage: expected a stage of this scenario, got decodr"));
  EXPECT_THAT(text, HasSubstr("did you mean 'decoder'"));
  EXPECT_THAT(text, HasSubstr("costs[5].model"));
}

TEST(CostTable, UncoveredButPredictableIsRoofline) {
  ModelSpec flux = chain("flux");
  flux.architecture = flux_architecture();
  Scenario scenario = scenario_of({flux}, "H100-SXM");
  scenario.gpus["H100-SXM"] = h100();
  scenario.workload.mix[0].shape = {1024, 1024, 1, 28, 1};
  const auto costs = make(scenario, {line("dit", 6, 1)}, {"H100-SXM"});
  ASSERT_TRUE(costs) << text_of(costs.error());
  EXPECT_EQ((*costs)->estimate(query_of(0, scenario.workload.mix[0].shape)).source,
            Source::roofline);
  const std::vector<CostUse> used = (*costs)->costs_used();
  ASSERT_EQ(used.size(), 3U);
  EXPECT_EQ(used[0].stage, "encoder");
  EXPECT_EQ(used[0].gpu_name, "H100-SXM");
  EXPECT_EQ(used[0].source, Source::roofline);
  EXPECT_EQ(used[1].source, Source::measured);
  EXPECT_EQ(used[2].source, Source::roofline);
  EXPECT_TRUE((*costs)->not_modelled().empty());
}

TEST(CostTable, WithoutArchitectureBytesAndMemoryAreNotModelled) {
  Scenario scenario = scenario_of({chain("m")});
  scenario.models[0].stages[0].output_bytes = 1e6;
  const auto costs = make(scenario, a10_lines());
  ASSERT_TRUE(costs);
  const Shape shape{832, 480, 81, 4, 1};
  EXPECT_EQ((*costs)->output_bytes(NodeId(0), shape), 1e6);
  EXPECT_EQ((*costs)->output_bytes(NodeId(1), shape), 0);
  EXPECT_EQ((*costs)->weight_bytes(NodeId(1), "bf16"), 0);
  EXPECT_EQ((*costs)->activation_bytes(query_of(1, shape)), 0);
  ASSERT_EQ((*costs)->not_modelled().size(), 2U);
  EXPECT_THAT((*costs)->not_modelled()[0], HasSubstr("memory of model m"));
  EXPECT_THAT((*costs)->not_modelled()[1], HasSubstr("bytes that stage dit hands over"));
}

TEST(CostTable, PairsThatNoPoolHostsAreAskedOfSupports) {
  std::vector<CostLine> lines = a10_lines();
  for (CostLine& each : lines) each.gpu = "A10";
  const auto costs = make(scenario_of({chain("m")}), lines, {"A10", "L4"});
  ASSERT_TRUE(costs);
  EXPECT_TRUE((*costs)->supports(NodeId(0), GpuTypeId(0)));
  EXPECT_FALSE((*costs)->supports(NodeId(0), GpuTypeId(1)));
}

TEST(Interval, FactorsOfMeanOne) {
  EXPECT_EQ(interval_of(Distribution::constant, 0).hi, 1);
  EXPECT_NEAR(interval_of(Distribution::exponential, 1).lo, 0.0512933, 1e-6);
  EXPECT_NEAR(interval_of(Distribution::exponential, 1).hi, 2.9957323, 1e-6);
  // Quantiles by an independent tool (SciPy 1.x: lognorm.ppf, gamma.ppf) for mean 1, cv 0.5.
  EXPECT_NEAR(interval_of(Distribution::lognormal, 0.5).lo, 0.4113, 1e-3);
  EXPECT_NEAR(interval_of(Distribution::lognormal, 0.5).hi, 1.9449, 1e-3);
  EXPECT_NEAR(interval_of(Distribution::gamma, 0.5).lo, 0.3416, 4e-3);
  EXPECT_NEAR(interval_of(Distribution::gamma, 0.5).hi, 1.9384, 4e-3);
}

}  // namespace
}  // namespace disagfusion::predictor
