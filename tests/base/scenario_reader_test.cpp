// What a good file means, and that a scenario written or carried in a log is the same again.
#include "base/scenario_reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/scenario_writer.hpp"
#include "tests/base/shipped_texts.hpp"

namespace disagfusion {
namespace {

std::string problems_text(const Problems& problems) {
  std::string text;
  for (const Problem& problem : problems) text += problem.text() + "\n";
  return text;
}

Scenario loaded(const std::string& text, const Overrides& overrides = {}) {
  TextFiles files(test::texts_with(text));
  auto scenario = load_scenario("scenario.yaml", files, overrides);
  EXPECT_TRUE(scenario) << problems_text(scenario.error());
  return scenario.value_or(Scenario{});
}

Question asked(const std::string& text) {
  TextFiles files(test::texts_with(text));
  auto question = load_question("scenario.yaml", files);
  EXPECT_TRUE(question) << problems_text(question.error());
  return question.value_or(Question{});
}

std::string first_message(const std::string& text, const Overrides& overrides = {}) {
  TextFiles files(test::texts_with(text));
  const auto scenario = load_scenario("scenario.yaml", files, overrides);
  return scenario ? "" : scenario.error().front().text();
}

/// The least a scenario needs, and `more` at its end.
std::string minimal(const std::string& more = {}) {
  return "models: [toy-image]\n"
         "workload: {arrivals: {process: burst}, requests: 3}\n"
         "fleet: {gpus: {A10: 3}, pools: [{stages: [encoder, dit, decoder], gpu: A10, count: "
         "3}]}\n" +
         more;
}

TEST(LoadScenario, ModelsStagesAndWorkload) {
  const Scenario s = loaded(test::read_test_file("bad/scenario.yaml"));
  EXPECT_EQ(s.name, "two models on two kinds of GPU");
  EXPECT_EQ(s.seed, 7U);
  ASSERT_EQ(s.models.size(), 2U);
  EXPECT_TRUE(s.models[0].shipped);
  EXPECT_EQ(s.models[0].architecture->heads, 24);
  EXPECT_EQ(s.models[1].input_bytes, 100e3);
  ASSERT_EQ(s.models[1].stages.size(), 4U);
  EXPECT_EQ(s.models[1].stages[0].kind, StageKind::encoder);
  EXPECT_EQ(s.models[1].stages[3].kind, StageKind::decoder);
  EXPECT_EQ(s.models[1].stages[1].before, (std::vector<std::uint16_t>{2, 3}));
  EXPECT_EQ(s.models[1].stages[1].weights, "toy-video/dit");
  EXPECT_EQ(s.workload.arrivals->process, ArrivalsSpec::Process::gamma);
  EXPECT_EQ(s.workload.arrivals->cv, 2);
  EXPECT_EQ(s.workload.requests, 100U);
  EXPECT_EQ(s.workload.duration, from_seconds(3600));
  ASSERT_EQ(s.workload.mix.size(), 2U);
  EXPECT_EQ(s.workload.mix[0].shape, (Shape{512, 512, 1, 4, 1}));
  EXPECT_EQ(s.workload.mix[1].model, ModelId(1));
  EXPECT_EQ(s.workload.mix[1].deadline, from_seconds(90));
  EXPECT_EQ(s.workload.mix[1].tenant, "studio");
}

TEST(LoadScenario, FleetNetworkAndPolicy) {
  const Scenario s = loaded(test::read_test_file("bad/scenario.yaml"));
  ASSERT_EQ(s.fleet.nodes.size(), 2U);
  EXPECT_EQ(s.fleet.nodes[0].gpus.at("A10"), 2U);
  EXPECT_EQ(s.fleet.nodes[0].inside_bandwidth, 16e9);
  EXPECT_EQ(s.fleet.nodes[1].name, "H100-SXM");
  EXPECT_EQ(s.fleet.nodes[1].count, 2U);
  ASSERT_EQ(s.fleet.pools.size(), 3U);
  EXPECT_EQ(s.fleet.pools[0].stages[0].nodes, (std::vector<NodeId>{NodeId(0), NodeId(3)}));
  EXPECT_EQ(s.fleet.pools[0].stages[1].nodes, (std::vector<NodeId>{NodeId(6)}));
  EXPECT_EQ(s.fleet.pools[1].dtype, "fp8");
  EXPECT_EQ(s.fleet.pools[2].degree, 2U);
  EXPECT_EQ(s.fleet.pools[2].output_slots, 3U);
  EXPECT_EQ(input_slots_of(s.fleet.pools[2], s), 1U);
  EXPECT_EQ(input_slots_of(s.fleet.pools[1], s), 2U);
  EXPECT_EQ(s.network->bandwidth, 1.25e9);
  EXPECT_EQ(s.network->jitter_cv, 0.3);
  EXPECT_FALSE(s.policy.async_handoff);
  EXPECT_TRUE(s.policy.pull_dispatch);
  EXPECT_EQ(s.policy.elasticity.name, "hybrid");
  EXPECT_EQ(s.policy.elasticity.parameters.find("horizon").text(), "120 s");
  EXPECT_EQ(s.policy.elasticity.parameters.size(), 1U);
  EXPECT_TRUE(s.policy.queue.parameters.is_map());
  EXPECT_EQ(s.gpus.at("A10").memory_bytes, 24e9);
  EXPECT_TRUE(s.gpus.at("H100-SXM").shipped);
}

TEST(LoadScenario, CostsAndConduct) {
  const Scenario s = loaded(test::read_test_file("bad/scenario.yaml"));
  ASSERT_EQ(s.costs.size(), 3U);
  EXPECT_EQ(s.costs[0].specificity(), 3);
  EXPECT_EQ(s.costs[0].per_step, 0.5);
  EXPECT_FALSE(s.costs[0].seconds);
  EXPECT_EQ(s.costs[1].distribution, Distribution::lognormal);
  EXPECT_EQ(s.belief.bias.at("toy-video/audio"), 2);
  EXPECT_EQ(s.belief.learning, true);
  ASSERT_EQ(s.startup.size(), 2U);
  EXPECT_EQ(s.startup[0].gpu, "A10");
  EXPECT_FALSE(s.startup[1].provision);
  EXPECT_EQ(s.request_timeout, from_seconds(600));
  EXPECT_EQ(s.max_retries, 1U);
  ASSERT_EQ(s.faults.size(), 2U);
  EXPECT_EQ(s.faults[0].repair, from_seconds(10));
  EXPECT_EQ(s.faults[1].kind, FaultSpec::Kind::reclaim);
  EXPECT_EQ(s.faults[1].notice, from_seconds(30));
  ASSERT_EQ(s.slo.size(), 2U);
  EXPECT_EQ(s.slo[0].where_model, "toy-image");
  EXPECT_EQ(s.slo[0].latency->absolute, from_seconds(10));
  EXPECT_EQ(s.slo[1].statistics.at("mean").times_unloaded, 3);
  EXPECT_EQ(s.run.replications, 3U);
  EXPECT_EQ(s.run.warmup, from_seconds(10));
  EXPECT_EQ(s.serve->state, "state/");
}

TEST(LoadScenario, Defaults) {
  const Scenario s = loaded(minimal());
  EXPECT_EQ(s.name, "scenario");
  EXPECT_FALSE(s.network);
  EXPECT_EQ(input_slots_of(s.fleet.pools[0], s), 0U);
  EXPECT_EQ(s.fleet.pools[0].output_slots, kUnlimited);
  EXPECT_TRUE(s.policy.async_handoff);
  EXPECT_EQ(s.policy.routing.name, "least-completion");
  EXPECT_EQ(s.max_retries, 2U);
  EXPECT_EQ(s.control.delay, Duration{});
  EXPECT_EQ(s.control.lost_after, from_seconds(5));
  EXPECT_FALSE(s.request_timeout);
  EXPECT_FALSE(s.serve);
  EXPECT_TRUE(s.slo.empty());
  ASSERT_EQ(s.workload.mix.size(), 1U);
  EXPECT_EQ(s.workload.mix[0].shape, (Shape{1024, 768, 1, 28, 1}));
}

TEST(LoadScenario, OtherForms) {
  const Scenario s = loaded(minimal(
      "network: none\nslo: {latency: 1.5x}\nstartup: {load: 3 s}\nhardware: [own/gpu.yaml]\n"
      "costs: [{stage: dit, gpu: OwnGpu, seconds: 0}]\nbelief: {costs: [{seconds: 1}]}\n"));
  EXPECT_FALSE(s.network);
  EXPECT_EQ(s.slo[0].latency->times_unloaded, 1.5);
  EXPECT_EQ(s.slo[0].attainment, 0.95);
  EXPECT_EQ(s.startup[0].load, from_seconds(3));
  EXPECT_EQ(s.costs[0].seconds, 0);
  EXPECT_EQ(s.gpus.at("OwnGpu").memory_bytes, 10e9);
  EXPECT_EQ(s.belief.source, BeliefSpec::Source::costs);
}

TEST(LoadScenario, NicsWithoutANetworkAreANetwork) {
  const Scenario s = loaded(
      "models: [own/model.yaml]\n"
      "workload: {closed_loop: {concurrency: 2}, duration: 1 min}\n"
      "fleet:\n"
      "  nodes: [{name: n, gpus: {A10: 1}, nic: {bandwidth: 10 Gbit/s}, price: 0 USD/h}]\n"
      "  pools: [{stages: [own/only], gpu: A10}]\n");
  ASSERT_TRUE(s.network);
  EXPECT_EQ(s.network->bandwidth, 0);
  EXPECT_EQ(s.workload.closed_loop_concurrency, 2U);
  EXPECT_EQ(s.fleet.nodes[0].price_usd_h, 0);
}

TEST(LoadScenario, EmptyPoolsWhereElasticityFillsThem) {
  const Scenario s = loaded(
      "models: [toy-image]\nworkload: {arrivals: {process: burst}, requests: 3}\n"
      "policy: {elasticity: hybrid}\n"
      "fleet: {gpus: {A10: 2}, pools: [{stages: [encoder, decoder], gpu: A10, count: 2}, "
      "{stages: [dit], gpu: A10, count: 0}]}\n");
  EXPECT_EQ(s.fleet.pools[1].count, 0U);
}

TEST(LoadScenario, PathsAreRelativeToTheFileThatNamesThem) {
  std::vector<SourceText> texts = test::texts_with("");
  texts.push_back({"deep/er/s.yaml",
                   "models: [../../own/model.yaml]\nworkload: {trace: ../t.csv, rate_scale: 2.5}\n"
                   "fleet: {gpus: {A10: 1}, pools: [{stages: [only], gpu: A10}]}\n"
                   "serve: {state: /var/x, models: m}\n"});
  TextFiles files(texts);
  const auto s = load_scenario("deep/er/s.yaml", files);
  ASSERT_TRUE(s) << problems_text(s.error());
  EXPECT_EQ(s->workload.trace, "deep/t.csv");
  EXPECT_EQ(s->workload.trace_rate, 2.5);
  EXPECT_EQ(s->serve->state, "/var/x");
  EXPECT_EQ(s->serve->models, "deep/er/m");
  ASSERT_EQ(s->sources.size(), 3U);
  EXPECT_EQ(s->sources[1].path, "own/model.yaml");
  EXPECT_EQ(s->sources[2].path, "configs:hardware/A10.yaml");
}

TEST(LoadScenario, Overrides) {
  Overrides overrides;
  overrides.trace = "other.csv";
  overrides.seed = 99;
  overrides.replications = 5;
  overrides.listen = "[::1]:0";
  const Scenario s = loaded(minimal(), overrides);
  EXPECT_EQ(s.workload.trace, "other.csv");
  EXPECT_FALSE(s.workload.arrivals);
  EXPECT_EQ(s.seed, 99U);
  EXPECT_EQ(s.run.replications, 5U);
  EXPECT_EQ(s.serve->listen, "[::1]:0");

  const auto again = load_scenario(s.sources);
  ASSERT_TRUE(again) << problems_text(again.error());
  EXPECT_EQ(write_scenario_yaml(*again), write_scenario_yaml(s));
  overrides.listen = "10.0.0.1:80";
  EXPECT_EQ(
      first_message(minimal(), overrides),
      "--listen: expected a loopback address such as 127.0.0.1:8080 (others wait until tokens "
      "and TLS exist), got 10.0.0.1:80");
}

TEST(LoadScenario, ATraceMayComeFromTheCommandLineAlone) {
  const std::string text =
      "models: [toy-image]\nworkload: {rate_scale: 2x}\n"
      "fleet: {gpus: {A10: 3}, pools: [{stages: [encoder, dit, decoder], gpu: A10}]}\n";
  EXPECT_NE(first_message(text), "");
  Overrides overrides;
  overrides.trace = "t.csv";
  EXPECT_EQ(loaded(text, overrides).workload.trace, "t.csv");
}

TEST(LoadScenario, LoopbackAddresses) {
  for (const char* good : {"127.0.0.1:8080", "127.9.9.9:1", "localhost:0", "\"[::1]:65535\""})
    loaded(minimal(std::string("serve: {listen: ") + good + "}\n"));
  for (const char* bad : {"0.0.0.0:80", "128.0.0.1:80", "example.org:80", "\"::1:80\"", ":80",
                          "\"[::]:80\"", "127.1:80", "localhost:", "localhost:x"})
    EXPECT_NE(first_message(minimal(std::string("serve: {listen: ") + bad + "}\n")), "") << bad;
}

TEST(LoadScenario, TheWrittenScenarioIsTheSame) {
  const std::vector<std::string> all{
      test::read_test_file("bad/scenario.yaml"), minimal(),
      minimal("network: {latency: 1 ns}\nslo: {latency: {p99: 1.5x}}\nhardware: [own/gpu.yaml]\n"
              "policy: {admission: {name: bounded, limit: 3}, elasticity: {name: schedule, moves: "
              "[{at: 690 s, from: dit, to: decoder, count: 1}]}}\n"
              "belief: {costs: [{stage: dit, fixed: 1.25, distribution: gamma, cv: 0.5}]}\n")};
  for (const std::string& text : all) {
    const Scenario s = loaded(text);
    const std::string written = write_scenario_yaml(s);
    const Scenario again = loaded(written);
    EXPECT_EQ(write_scenario_yaml(again), written);
    EXPECT_EQ(again.models.size(), s.models.size());
    EXPECT_EQ(again.gpus.size(), s.gpus.size());
    EXPECT_EQ(again.fleet.pools.size(), s.fleet.pools.size());
    EXPECT_EQ(again.network.has_value(), s.network.has_value());
    EXPECT_EQ(again.control.lost_after, s.control.lost_after);
    EXPECT_EQ(again.costs.size(), s.costs.size());
    EXPECT_EQ(again.belief.bias, s.belief.bias);
    EXPECT_EQ(again.startup.size(), std::max<std::size_t>(1, s.startup.size()));  // 0 s is said
    EXPECT_EQ(again.request_timeout, s.request_timeout);
    EXPECT_EQ(again.faults.size(), s.faults.size());
    EXPECT_EQ(again.slo.size(), s.slo.size());
    EXPECT_EQ(again.workload.mix[0].shape, s.workload.mix[0].shape);
    EXPECT_EQ(input_slots_of(again.fleet.pools[0], again), input_slots_of(s.fleet.pools[0], s));
  }
}

TEST(LoadScenario, PathsAreWrittenRelativeToAFolder) {
  Overrides overrides;
  overrides.trace = "data/t.csv";
  const Scenario s = loaded(minimal(), overrides);
  EXPECT_NE(write_scenario_yaml(s, "out").find("trace: \"../data/t.csv\""), std::string::npos);
  EXPECT_NE(write_scenario_yaml(s).find("trace: data/t.csv"), std::string::npos);
}

TEST(LoadScenario, UnreadableFiles) {
  DiskFiles files("");
  const auto message = [&](const std::string& path) {
    return load_scenario(path, files).error().front().text();
  };
  EXPECT_EQ(message("no/such.yaml"),
            "no/such.yaml: expected a readable scenario file, got no such file");
  EXPECT_EQ(message("/"), "/: expected a readable scenario file, got a folder");
  const std::string big = ::testing::TempDir() + "/big.yaml";
  {
    std::ofstream stream(big);
    stream << std::string(kLargestConfigBytes + 1, '#');
  }
  EXPECT_EQ(message(big), big + ": expected a readable scenario file, got a file above 4 MiB");
  std::filesystem::remove(big);
}

TEST(LoadQuestion, CatalogueAndNodes) {
  const std::string text = test::read_test_file("bad/question.yaml");
  const Question q = asked(text);
  ASSERT_EQ(q.catalogue.size(), 2U);
  EXPECT_EQ(q.catalogue[0].gpu, "A10");
  EXPECT_EQ(q.catalogue[1].price_usd_h, 2.69);
  EXPECT_EQ(q.catalogue[1].max, 8U);
  EXPECT_EQ(q.degrees, (std::vector<std::uint32_t>{1}));
  EXPECT_FALSE(q.colocate);
  EXPECT_EQ(q.confidence, 0.95);
  EXPECT_EQ(q.event_budget, 2e8);
  EXPECT_EQ(q.base.gpus.size(), 2U);
  EXPECT_TRUE(q.base.fleet.pools.empty());

  const Question nodes = asked(
      "models: [toy-image]\nworkload: {arrivals: {process: burst}, requests: 9}\n"
      "nodes: [{name: n, gpus: {A10: 4}, price: 3 USD/h, max: 5}]\nslo: {latency: 3x}\n");
  ASSERT_EQ(nodes.base.fleet.nodes.size(), 1U);
  EXPECT_EQ(nodes.base.fleet.nodes[0].max, 5U);
  EXPECT_EQ(nodes.objective, Question::Objective::cost);
  EXPECT_EQ(nodes.degrees, (std::vector<std::uint32_t>{1}));
}

TEST(LoadQuestion, NeitherPriceNorSloForThroughput) {
  const Question q = asked(
      "models: [toy-image]\nworkload: {arrivals: {process: poisson, rate: 1 /s}}\n"
      "catalogue: {A10: {max: 4}}\nobjective: throughput\n");
  EXPECT_EQ(q.objective, Question::Objective::throughput);
  EXPECT_EQ(q.catalogue[0].price_usd_h, std::nullopt);
}

TEST(ShippedConfigs, EveryModelAndGpuLoads) {
  DiskFiles files(DISAGFUSION_SOURCE_DIR "/configs");
  for (const std::string& name : files.shipped_names("models")) {
    const auto model = load_shipped_model(name, files);
    ASSERT_TRUE(model) << problems_text(model.error());
    EXPECT_EQ(model->name, name);
  }
  for (const std::string& name : files.shipped_names("hardware")) {
    const auto gpu = load_shipped_gpu(name, files);
    ASSERT_TRUE(gpu) << problems_text(gpu.error());
    EXPECT_EQ(gpu->name, name);
  }
  EXPECT_GE(files.shipped_names("models").size(), 24U);
  const auto unknown = load_shipped_model("wan2.2-i2v-a14", files);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().front().nearest, "wan2.2-i2v-a14b");
}

TEST(ShippedConfigs, TheSampleOfTheDesignLoads) {
  DiskFiles files(DISAGFUSION_SOURCE_DIR "/configs");
  const auto s = load_scenario(DISAGFUSION_SOURCE_DIR "/tests/base/design_sample.yaml", files);
  ASSERT_TRUE(s) << problems_text(s.error());
  EXPECT_EQ(s->fleet.nodes.size(), 2U);
  EXPECT_EQ(s->serve->backend, "torch");
  // The names and texts alone give it again.
  const auto again = load_scenario(s->sources);
  ASSERT_TRUE(again) << problems_text(again.error());
  EXPECT_EQ(write_scenario_yaml(*again), write_scenario_yaml(*s));
}

}  // namespace
}  // namespace disagfusion
