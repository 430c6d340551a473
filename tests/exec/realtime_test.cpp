// `simulate --real-time`: short scenarios on a fast clock. Each run is also written as a log and
// verified.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "exec/realtime/simulate_realtime.hpp"
#include "report/compare.hpp"
#include "scheduler/log/verify.hpp"

namespace disagfusion::exec {
namespace {

constexpr const char* kHead = R"(
name: chain
models:
  - name: toy
    stages:
      - {name: encoder, output: 1 MB}
      - {name: dit, after: [encoder], output: 2 MB}
      - {name: decoder, after: [dit]}
workload:
  arrivals: {process: poisson, rate: 2 /s}
  requests: 40
  mix: [{model: toy, width: 64, height: 64, steps: 8}]
fleet:
  gpus: {A10: 5}
  pools:
    - {stages: [encoder], gpu: A10, count: 1}
    - {stages: [dit], gpu: A10, count: 3, max_batch: 2}
    - {stages: [decoder], gpu: A10, count: 1}
costs:
  - {stage: encoder, seconds: 0.1}
  - {stage: dit, fixed: 0.1, per_step: 0.1}
  - {stage: decoder, seconds: 0.1}
)";

class Realtime : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = (std::filesystem::temp_directory_path() /
               ("disagfusion-realtime-" + std::string(test->name()) + std::to_string(::getpid())))
                  .string();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  nlohmann::json run(const std::string& tail, double speed = 20) {
    std::ofstream(folder_ + "/s.yaml") << kHead << tail;
    SimulateRealtimeOptions options;
    options.scenario = folder_ + "/s.yaml";
    options.speed = speed;
    options.json = true;
    options.out = folder_ + "/out";
    options.log = folder_ + "/log";
    auto text = simulate_realtime(options);
    if (!text) {
      ADD_FAILURE() << text.error().front().text();
      return {};
    }
    auto verified = scheduler::log::verify(options.log, nullptr);
    EXPECT_TRUE(verified && !verified->mismatch);
    return nlohmann::json::parse(*text);
  }

  std::string folder_;
};

TEST_F(Realtime, EveryRequestEnds) {
  const auto result = run("network: {latency: 20 ms, bandwidth: 1 GB/s}\n");
  EXPECT_EQ(result["requests"]["completed"], 40);
  EXPECT_EQ(result["stale_events"], 0);
  EXPECT_GT(result["stages"]["dit"]["transfer_s"]["value"].get<double>(), 0.015);
  // An unloaded request takes 1.1 s of computing and 2 transfers.
  EXPECT_GT(result["latency_s"]["mean"]["value"].get<double>(), 1.1);
  EXPECT_LT(result["latency_s"]["mean"]["value"].get<double>(), 3);
  const auto with_itself = report::compare(folder_ + "/out", folder_ + "/out/result.json");
  ASSERT_TRUE(with_itself);
  EXPECT_EQ(with_itself->pairs, 40U);
  EXPECT_EQ(with_itself->latency[0].difference.value, 0.0);
}

TEST_F(Realtime, SyncHandoffBatchesAndPush) {
  const auto result = run(R"(network: {latency: 20 ms, bandwidth: 1 GB/s}
policy: {handoff: sync, dispatch: push, batching: equal-shapes}
)");
  EXPECT_EQ(result["requests"]["completed"], 40);
}

TEST_F(Realtime, ACrashedInstanceComesBack) {
  const auto result = run(R"(network: {latency: 20 ms, bandwidth: 1 GB/s}
control: {heartbeat: 200 ms, lost_after: 1 s}
faults: [{at: 3.05 s, instance: 3, kind: crash, repair: 2 s}, {at: 8 s, instance: 1, kind: crash, repair: 2 s}]
)");
  EXPECT_EQ(result["requests"]["completed"], 40);
}

TEST_F(Realtime, MovesBetweenRoles) {
  const auto result = run(R"(startup: {load: 1 s}
policy: {elasticity: {name: schedule, moves: [{at: 5 s, from: dit, to: decoder, count: 1}]}}
)");
  EXPECT_EQ(result["requests"]["completed"], 40);
  EXPECT_EQ(result["scaling"].size(), 1U);
}

TEST_F(Realtime, BadSpeedAndReplicationsAreRefused) {
  std::ofstream(folder_ + "/s.yaml") << kHead << "run: {replications: 3}\n";
  SimulateRealtimeOptions options;
  options.scenario = folder_ + "/s.yaml";
  EXPECT_FALSE(simulate_realtime(options));
  options.replications = 1;
  for (const double speed : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), 1e9}) {
    options.speed = speed;
    EXPECT_FALSE(simulate_realtime(options)) << speed;
  }
}

}  // namespace
}  // namespace disagfusion::exec
