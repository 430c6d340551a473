#include "sim/simulate_command.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include "tests/sim/scenario_text.hpp"

namespace disagfusion::sim {
namespace {

class SimulateCommand : public ::testing::Test {
 protected:
  SimulateCommand() {
    setenv("DISAGFUSION_CONFIGS", DISAGFUSION_SOURCE_DIR "/configs", 0);
    std::string name = std::filesystem::temp_directory_path() / "disagfusion-sim-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~SimulateCommand() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  static std::string read(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  std::string folder_;
};

const std::string kScenario = testing::chain(
    {{"a", "0.1, distribution: exponential", 1, "", "1 MB"}, {"b", "0.3", 4, "", ""}},
    "workload: {arrivals: {process: poisson, rate: 5 /s}, requests: 200}\n"
    "network: {latency: 5 ms, bandwidth: 1 GB/s}\n");

TEST_F(SimulateCommand, WritesWholeFilesAndJson) {
  SimulateOptions options;
  options.scenario = write("s.yaml", kScenario);
  options.json = true;
  options.out = folder_ + "/out";
  options.log = folder_ + "/events.log";
  const auto text = simulate(options);
  ASSERT_TRUE(text) << testing::text_of(text.error());
  const auto json = nlohmann::json::parse(*text);
  EXPECT_EQ(json["requests"]["completed"], 200);
  EXPECT_EQ(nlohmann::json::parse(read(options.out + "/result.json")), json);
  const std::string rows = read(options.out + "/requests.csv");
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 201);
  const auto trace = nlohmann::json::parse(read(options.out + "/trace.perfetto.json"));
  int computes = 0, receives = 0, sends = 0;
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] != "X") continue;
    const int track = event["tid"];
    (track == 1 ? computes : track < 2000 ? receives : sends) += 1;
  }
  EXPECT_EQ(computes, 400);
  EXPECT_EQ(receives, 200);
  EXPECT_EQ(sends, 200);
  EXPECT_GT(std::filesystem::file_size(options.log), 1000U);
}

TEST_F(SimulateCommand, DecisionsAreTheSameWithAndWithoutLogAndFiles) {
  SimulateOptions plain;
  plain.scenario = write("s.yaml", kScenario);
  plain.json = true;
  SimulateOptions logged = plain;
  logged.log = folder_ + "/events.log";
  logged.out = folder_ + "/out";
  const auto hash = [](const SimulateOptions& options) {
    return nlohmann::json::parse(*simulate(options))["engine"]["decision_hash"];
  };
  EXPECT_EQ(hash(plain), hash(logged));
}

TEST_F(SimulateCommand, WritesNothingOnBadInput) {
  SimulateOptions options;
  options.scenario = write("s.yaml", kScenario + "nonsense: 1\n");
  options.out = folder_ + "/out";
  options.log = folder_ + "/events.log";
  EXPECT_FALSE(simulate(options));
  options.scenario = write("t.yaml", kScenario);
  options.trace = write("bad.csv", "arrival_s\n1\n0.5\n");
  EXPECT_FALSE(simulate(options));
  EXPECT_FALSE(std::filesystem::exists(options.out));
  EXPECT_FALSE(std::filesystem::exists(options.log));
}

TEST_F(SimulateCommand, ReplaysATrace) {
  SimulateOptions options;
  options.scenario = write("s.yaml", kScenario);
  options.trace = write("t.csv", "arrival_s,id\n0,x\n1,y\n2.5,z\n");
  options.out = folder_ + "/out";
  const auto text = simulate(options);
  ASSERT_TRUE(text) << testing::text_of(text.error());
  EXPECT_NE(text->find("3 offered, 3 completed"), std::string::npos) << *text;
  EXPECT_NE(read(options.out + "/requests.csv").find("\ny,m,"), std::string::npos);
}

TEST_F(SimulateCommand, ATableNamesVerdictSourcesAndLimits) {
  SimulateOptions options;
  options.scenario = write("s.yaml", kScenario);
  options.replications = 3;
  const auto text = simulate(options);
  ASSERT_TRUE(text) << testing::text_of(text.error());
  for (const char* part : {"verdict", "stable", "measured on A10", "means of costs", "not modelled",
                           "95 % confidence interval"}) {
    EXPECT_NE(text->find(part), std::string::npos) << part << "\n" << *text;
  }
}

}  // namespace
}  // namespace disagfusion::sim
