#include "predictor/belief.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "predictor/cached_costs.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

using ::testing::HasSubstr;
using namespace testing;  // NOLINT: the predictor's own test helpers

const std::vector<std::string> kOneGpu = {"A10"};
constexpr Shape kShape{832, 480, 81, 4, 1};

Scenario toy() {
  Scenario scenario = scenario_of({chain("m")});
  scenario.costs = {line("encoder", 1, 1), line("dit", 20, 2), line("decoder", 3, 3)};
  scenario.costs[0].distribution = Distribution::exponential;
  return scenario;
}

Belief believed(const Scenario& scenario, const std::vector<std::string>& gpus = kOneGpu) {
  auto belief = make_belief(scenario, make_stage_graph(scenario.models), gpus);
  EXPECT_TRUE(belief) << text_of(belief.error());
  return std::move(*belief);
}

TEST(Belief, DefaultIsTheMeansOfCosts) {
  const Belief belief = believed(toy());
  EXPECT_EQ(belief.description, "means of costs");
  EXPECT_FALSE(belief.learning);
  const Estimate encoder = belief.costs->estimate(query_of(0, kShape));
  EXPECT_EQ(encoder.seconds, 1);
  EXPECT_EQ(encoder.distribution, Distribution::constant);
  EXPECT_GT(encoder.hi_s, 2.9);
}

TEST(Belief, OtherCosts) {
  Scenario scenario = toy();
  scenario.belief.source = BeliefSpec::Source::costs;
  scenario.belief.costs = {line("", 5, 1)};
  scenario.belief.learning = true;
  const Belief belief = believed(scenario);
  EXPECT_EQ(belief.costs->estimate(query_of(1, kShape)).seconds, 5);
  EXPECT_TRUE(belief.learning);
  EXPECT_EQ(belief.description, "costs of its own, learning");
}

TEST(Belief, HybridElasticityLearnsUnlessTold) {
  Scenario scenario = toy();
  scenario.policy.elasticity.name = "hybrid";
  EXPECT_TRUE(believed(scenario).learning);
  EXPECT_EQ(believed(scenario).description,
            "means of costs, learning (the default of elasticity hybrid)");
  scenario.belief.learning = false;
  EXPECT_FALSE(believed(scenario).learning);
  EXPECT_EQ(believed(scenario).description, "means of costs");
}

TEST(Belief, BiasMultipliesAStage) {
  Scenario scenario = toy();
  scenario.belief.bias = {{"dit", 1.5}, {"m/decoder", 0.5}};
  const Belief belief = believed(scenario);
  EXPECT_EQ(belief.costs->estimate(query_of(0, kShape)).seconds, 1);
  EXPECT_EQ(belief.costs->estimate(query_of(1, kShape)).seconds, 30);
  EXPECT_EQ(belief.costs->estimate(query_of(2, kShape)).seconds, 1.5);
}

TEST(Belief, ErrorIsFixedAShapeAndGpuAndHasTheCv) {
  Scenario scenario = toy();
  scenario.belief.error_cv = 0.1;
  scenario.seed = 7;
  const Belief belief = believed(scenario);
  const double once = belief.costs->estimate(query_of(1, kShape)).seconds;
  EXPECT_EQ(belief.costs->estimate(query_of(1, kShape)).seconds, once);
  Shape half = kShape;
  half.steps = 2;
  EXPECT_EQ(belief.costs->estimate(query_of(1, half)).seconds, once);  // the same luck
  double sum = 0, squares = 0;
  constexpr std::uint32_t kShapes = 20000;
  for (std::uint32_t i = 0; i < kShapes; ++i) {
    const double f = belief.costs->estimate(query_of(1, {i + 1, 480, 81, 4, 1})).seconds / 20;
    sum += f;
    squares += f * f;
  }
  const double mean = sum / kShapes;
  EXPECT_NEAR(mean, 1, 0.003);
  EXPECT_NEAR(std::sqrt(squares / kShapes - mean * mean), 0.1, 0.003);
  scenario.seed = 8;
  EXPECT_NE(believed(scenario).costs->estimate(query_of(1, kShape)).seconds, once);
}

TEST(Belief, ErrorDoesNotDependOnTheOrderOfTheFleet) {
  Scenario scenario = toy();
  scenario.belief.error_cv = 0.3;
  const Belief one = believed(scenario, {"A10", "L4"});
  const Belief other = believed(scenario, {"L4", "A10"});
  Query query = query_of(1, kShape);
  const double first = one.costs->estimate(query).seconds;
  query.gpu = GpuTypeId(1);
  EXPECT_EQ(other.costs->estimate(query).seconds, first);
  EXPECT_NE(one.costs->estimate(query).seconds, first);
}

TEST(Belief, BiasForAnUnknownStageIsAProblem) {
  Scenario scenario = toy();
  scenario.belief.bias = {{"ditt", 1.5}};
  const auto belief = make_belief(scenario, make_stage_graph(scenario.models), kOneGpu);
  ASSERT_FALSE(belief);
  EXPECT_THAT(text_of(belief.error()), HasSubstr("ditt (did you mean 'dit'?)"));
}

TEST(Belief, ProfileMustHaveBeenReadAndBeOne) {
  Scenario scenario = toy();
  scenario.belief.source = BeliefSpec::Source::profile;
  scenario.belief.profile = "own.yaml";
  const auto none = make_belief(scenario, make_stage_graph(scenario.models), kOneGpu);
  ASSERT_FALSE(none);
  EXPECT_THAT(text_of(none.error()), HasSubstr("own.yaml"));
  scenario.sources.push_back({"own.yaml", "schema: disagfusion.profile/2\n"});
  const auto other = make_belief(scenario, make_stage_graph(scenario.models), kOneGpu);
  ASSERT_FALSE(other);
  EXPECT_THAT(text_of(other.error()), HasSubstr("own.yaml:1:9: schema: expected"));
}

TEST(CachedCosts, AnswersAsTheModelDoes) {
  Scenario scenario = toy();
  scenario.belief.error_cv = 0.2;
  const Belief belief = believed(scenario);
  CachedCosts cache(*belief.costs, 3, 1, {{}, {4, false, "fp8"}}, 4);
  std::vector<const Estimate*> kept;
  for (std::uint32_t s = 0; s < 50; ++s) {
    const std::uint32_t shape = cache.add_shape({16 * (s + 1), 480, 81, 4, 1});
    for (std::uint16_t node = 0; node < 3; ++node)
      for (std::size_t variant = 0; variant < 2; ++variant)
        for (std::uint32_t batch = 1; batch <= 6; ++batch) {
          const Estimate& answer = cache.at(NodeId(node), shape, GpuTypeId(0), variant, batch);
          Query query = query_of(node, cache.shape(shape), batch);
          query.degree = variant == 0 ? 1 : 4;
          query.dtype = variant == 0 ? "bf16" : "fp8";
          EXPECT_EQ(answer.seconds, belief.costs->estimate(query).seconds);
          kept.push_back(&answer);
        }
  }
  for (const Estimate* answer : kept) EXPECT_GT(answer->seconds, 0);  // references stay valid
}

}  // namespace
}  // namespace disagfusion::predictor
