// How long a question takes: cold formulas, the table, the scheduler's cached path, one correction.
#include <benchmark/benchmark.h>

#include <fstream>
#include <sstream>

#include "predictor/belief.hpp"
#include "predictor/cached_costs.hpp"
#include "predictor/fitted.hpp"
#include "predictor/online.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

using namespace testing;  // NOLINT: the predictor's own test helpers

Scenario flux_scenario(bool table) {
  ModelSpec flux = chain("flux");
  flux.architecture = flux_architecture();
  Scenario scenario = scenario_of({flux}, "H100-SXM");
  scenario.gpus["H100-SXM"] = h100();
  scenario.workload.mix[0].shape = {1024, 1024, 1, 28, 1};
  if (!table) return scenario;
  for (int i = 0; i < 8; ++i) {
    CostLine each = line("dit", 1 + i, i);
    each.steps = 20 + static_cast<std::uint32_t>(i);
    scenario.costs.push_back(each);
  }
  scenario.costs.push_back(line("", 1, 9));
  return scenario;
}

std::unique_ptr<CostModel> costs_of(const Scenario& scenario) {
  return std::move(
      *make_cost_model(scenario, make_stage_graph(scenario.models), {"H100-SXM"}, scenario.costs));
}

void estimate(benchmark::State& state, bool table) {
  const auto costs = costs_of(flux_scenario(table));
  const Query query = query_of(1, {1024, 1024, 1, 28, 1});
  for (auto _ : state) benchmark::DoNotOptimize(costs->estimate(query));
}
BENCHMARK_CAPTURE(estimate, roofline, false);
BENCHMARK_CAPTURE(estimate, table, true);

/// By the shipped profile: the scheduler's question, as it is asked the first time.
void fitted(benchmark::State& state) {
  Scenario scenario = flux_scenario(false);
  std::ifstream file(std::string(DISAGFUSION_SOURCE_DIR) + "/configs/profiles/published.yaml");
  std::stringstream text;
  text << file.rdbuf();
  scenario.belief.source = BeliefSpec::Source::profile;
  scenario.belief.profile = "published.yaml";
  scenario.sources.push_back({"published.yaml", text.str()});
  const auto costs = costs_of(scenario);
  Query query = query_of(1, {1024, 1024, 1, 28, 1});
  for (auto _ : state) {
    benchmark::DoNotOptimize(costs->estimate(query));
    query.shape.width = query.shape.width > 2000 ? 512 : query.shape.width + 16;
  }
}
BENCHMARK(fitted);

/// A stage on a GPU type that was never asked for: terms, coefficients and their covariance first.
void fitted_cold(benchmark::State& state) {
  std::ifstream file(std::string(DISAGFUSION_SOURCE_DIR) + "/configs/profiles/published.yaml");
  std::stringstream text;
  text << file.rdbuf();
  const Profile profile = *read_profile("published.yaml", text.str());
  const Architecture model = flux_architecture();
  const GpuSpec gpu = h100();
  Work work;
  work.shape = {1024, 1024, 1, 28, 1};
  const Setting setting = {"flux.1-dev", gpu.name, "Hopper", "", "", ""};
  for (auto _ : state) {
    const FittedStage stage(profile, model, gpu, work, setting);
    benchmark::DoNotOptimize(stage.answer(features_of(model, gpu, work)));
  }
}
BENCHMARK(fitted_cold);

void cached(benchmark::State& state) {
  const auto costs = costs_of(flux_scenario(false));
  CachedCosts cache(*costs, 3, 1, {{}}, 4);
  constexpr std::uint32_t kShapes = 16;
  for (std::uint32_t i = 0; i < kShapes; ++i) cache.add_shape({16 * (i + 1), 1024, 1, 28, 1});
  std::uint32_t shape = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.at(NodeId(1), shape, GpuTypeId(0), 0, 1).seconds);
    shape = (shape + 1) % kShapes;
  }
}
BENCHMARK(cached);

void correction(benchmark::State& state) {
  OnlineCorrection online(make_stage_graph({chain("m")}), 1);
  double measured = 0.9;
  for (auto _ : state) {
    online.observe(NodeId(1), GpuTypeId(0), 1, measured);
    benchmark::DoNotOptimize(online.factor(NodeId(1), GpuTypeId(0)));
    measured = measured > 1.1 ? 0.9 : measured + 0.01;
  }
}
BENCHMARK(correction);

}  // namespace
}  // namespace disagfusion::predictor

BENCHMARK_MAIN();
