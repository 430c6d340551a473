// The emulated backend, modules of backends, and pictures.
#include <gtest/gtest.h>

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "base/scenario_reader.hpp"
#include "exec/deployment.hpp"
#include "exec/http/api.hpp"
#include "exec/stage/emulated.hpp"
#include "exec/stage/module.hpp"
#include "exec/stage/picture.hpp"
#include "predictor/service_draw.hpp"

namespace disagfusion::exec {
namespace {

constexpr const char* kScenario = R"(
name: two stages
models:
  - name: toy
    stages:
      - {name: dit, output: 64 kB}
      - {name: decoder, after: [dit]}
workload: {arrivals: {process: burst}, requests: 1, mix: [{model: toy, width: 8, height: 8, steps: 10}]}
fleet:
  gpus: {A10: 2}
  pools:
    - {stages: [dit], gpu: A10, count: 1}
    - {stages: [decoder], gpu: A10, count: 1}
costs:
  - {stage: dit, fixed: 0.0, per_step: 0.004}
  - {stage: decoder, seconds: 0.01, distribution: exponential}
)";

class Emulated : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto file = std::filesystem::temp_directory_path() /
                      ("disagfusion-stage-" + std::to_string(::getpid()) + ".yaml");
    std::ofstream(file) << kScenario;
    auto scenario = load_scenario(file.string());
    std::filesystem::remove(file);
    ASSERT_TRUE(scenario) << scenario.error().front().text();
    auto deployment = make_deployment(std::move(*scenario), true);
    ASSERT_TRUE(deployment) << deployment.error().front().text();
    deployment_ = *deployment;
    backend_ =
        make_emulated_backend(context_.get_executor(), emulated_costs(*deployment_, PoolId{0}, 1));
  }

  [[nodiscard]] BatchJob job(NodeId node, std::uint64_t seed, std::string input = "") const {
    BatchJob job;
    job.id = 1;
    job.node = node;
    job.weights = deployment_->setup.graph.nodes[node.index()].weights;
    job.last_step = 10;
    auto body = std::make_shared<scheduler::RequestBody>();
    body->model = ModelId{0};
    body->shape = {8, 8, 1, 10, 2};
    body->noise_seed = seed;
    MemberJob member;
    member.request = body;
    if (!input.empty()) member.inputs.push_back(Buffer::of(std::move(input)));
    job.members.push_back(member);
    return job;
  }

  /// Submits and runs to the end.
  BatchResult compute(BatchJob job) {
    std::optional<BatchResult> result;
    backend_->submit(std::move(job), {{}, [&](BatchResult r) { result = std::move(r); }});
    EXPECT_FALSE(result) << "done was called inside submit()";
    context_.restart();
    context_.run();
    EXPECT_TRUE(result);
    return std::move(*result);
  }

  boost::asio::io_context context_{1};
  std::shared_ptr<const Deployment> deployment_;
  std::unique_ptr<StageBackend> backend_;
};

TEST_F(Emulated, TakesAsLongAsTheTruthSays) {
  const BatchResult result = compute(job(NodeId{0}, 1));
  EXPECT_FALSE(result.preempted);
  EXPECT_EQ(result.steps_done, 10U);
  EXPECT_GE(result.compute.seconds(), 0.04);
  EXPECT_EQ(result.members[0].stands_for, 64000U);
}

TEST_F(Emulated, DrawsWhatTheSimulatorDrawsForTheSameRequestAndStage) {
  std::set<double> factors;
  for (const std::uint64_t number : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U}) {
    BatchJob one = job(NodeId{1}, 1, "in");
    one.members[0].number = number;
    predictor::Query query;
    query.node = NodeId{1};
    query.gpu = GpuTypeId{0};
    query.shape = one.members[0].request->shape;
    const double factor = predictor::service_factor(
        deployment_->truth->estimate(query), deployment_->scenario.seed, number - 1, 1,
        predictor::service_bits(deployment_->scenario.seed, number - 1));
    factors.insert(factor);
    EXPECT_GE(compute(std::move(one)).compute.seconds(), 0.01 * factor - 1e-6) << number;
  }
  EXPECT_EQ(factors.size(), 8U);
}

TEST_F(Emulated, OutputsDependOnSeedAndInputsAlone) {
  const auto bytes = [&](NodeId node, std::uint64_t seed, const std::string& input) {
    return std::string(compute(job(node, seed, input)).members[0].bytes.bytes());
  };
  EXPECT_EQ(bytes(NodeId{0}, 1, "in"), bytes(NodeId{0}, 1, "in"));
  EXPECT_NE(bytes(NodeId{0}, 1, "in"), bytes(NodeId{0}, 2, "in"));
  EXPECT_NE(bytes(NodeId{0}, 1, "in"), bytes(NodeId{0}, 1, "on"));
  EXPECT_EQ(parse_ppm(bytes(NodeId{1}, 1, "in")).size(), 2U) << "one for each image";
}

TEST_F(Emulated, PreemptedAndResumedGivesTheSame) {
  const BatchResult whole = compute(job(NodeId{0}, 5, "in"));
  std::optional<BatchResult> part;
  backend_->submit(job(NodeId{0}, 5, "in"), {{}, [&](BatchResult r) { part = std::move(r); }});
  backend_->preempt(2, true);  // another batch: nothing happens
  boost::asio::steady_timer timer(context_, std::chrono::milliseconds(10));
  timer.async_wait([&](auto) { backend_->preempt(1, true); });
  context_.restart();
  context_.run();
  ASSERT_TRUE(part && part->preempted);
  EXPECT_GE(part->steps_done, 3U);
  EXPECT_LT(part->steps_done, 10U);
  ASSERT_EQ(part->members[0].kind, MemberResult::Kind::state);
  BatchJob rest = job(NodeId{0}, 5);
  rest.first_step = part->steps_done;
  rest.members[0].state = part->members[0].bytes;
  const BatchResult resumed = compute(std::move(rest));
  EXPECT_EQ(resumed.members[0].bytes.bytes(), whole.members[0].bytes.bytes());
  EXPECT_LT(resumed.compute.seconds(), whole.compute.seconds());
}

TEST_F(Emulated, NobodyIsCalledAfterItsEnd) {
  backend_->submit(job(NodeId{0}, 1), {{}, [](BatchResult) { FAIL(); }});
  backend_.reset();
  context_.run();
}

TEST(Picture, PpmRoundTrip) {
  const Picture picture{2, 1, std::string("\1\2\3\4\n\6", 6)};
  std::string text;
  append_ppm(text, picture);
  append_ppm(text, picture);
  const auto parsed = parse_ppm(text);
  ASSERT_EQ(parsed.size(), 2U);
  EXPECT_EQ(parsed[1].pixels, picture.pixels);
  for (const std::string& bad : std::vector<std::string>{
           std::string("P5\n2 1\n255\n......"), text.substr(0, text.size() - 1), text + "x",
           std::string("P6\n0 1\n255\n"), std::string("P6\n99999 99999\n255\n"),
           std::string("P6\n2 1\n65535\n......"), std::string("P6\n")}) {
    EXPECT_TRUE(parse_ppm(bad).empty()) << bad;
  }
}

TEST(Module, WhatIsMissingIsNamedWithItsPath) {
  const BackendFactory factory = module_backend_factory("no-such-module.so");
  const auto backend = factory(BackendContext{});
  ASSERT_FALSE(backend.has_value());
  const Problem& problem = backend.error().front();
  EXPECT_EQ(std::filesystem::path(problem.file).filename(), "no-such-module.so");
  EXPECT_NE(problem.text().find("cannot open shared object file"), std::string::npos)
      << problem.text();
}

TEST(Picture, Png) {
  const std::string png = encode_png({2, 1, std::string(6, 'x')});
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_TRUE(encode_png({2, 2, "short"}).empty());
  EXPECT_TRUE(encode_png({}).empty());
}

TEST(Base64, Rfc4648) {
  EXPECT_EQ(to_base64(""), "");
  EXPECT_EQ(to_base64("f"), "Zg==");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  EXPECT_EQ(to_base64("foo"), "Zm9v");
  EXPECT_EQ(to_base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(to_base64(std::string("\xff\0\xfe", 3)), "/wD+");
}

}  // namespace
}  // namespace disagfusion::exec
