// Every shipped scenario and question loads, and its fleet fits and can be costed.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/scenario_reader.hpp"
#include "sim/engine.hpp"

namespace disagfusion {
namespace {

std::set<std::string> files_of(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(DISAGFUSION_SOURCE_DIR "/configs/" + folder)) {
    files.insert(entry.path().string());
  }
  return files;
}

std::string text_of(const Problems& problems) {
  std::string text;
  for (const Problem& problem : problems) text += problem.text() + "\n";
  return text;
}

TEST(Configs, EveryScenarioLoadsAndCanBeRun) {
  const std::set<std::string> files = files_of("scenarios");
  EXPECT_GE(files.size(), 10U);
  for (const std::string& file : files) {
    const Result<Scenario> scenario = load_scenario(file);
    ASSERT_TRUE(scenario) << text_of(scenario.error());
    const auto simulation = sim::Simulation::prepare(*scenario);
    EXPECT_TRUE(simulation) << file << "\n" << text_of(simulation.error());
  }
}

TEST(Configs, AGivenTraceOfGenTD26IsReplayedWholeAndTwentyTimesAsFast) {
  const std::string file = DISAGFUSION_SOURCE_DIR "/configs/scenarios/gentd26.yaml";
  Overrides overrides;
  overrides.trace = "gentd26.csv";
  const Result<Scenario> replayed = load_scenario(file, overrides);
  ASSERT_TRUE(replayed) << text_of(replayed.error());
  EXPECT_EQ(replayed->workload.trace_rate, 20);
  EXPECT_EQ(replayed->workload.requests, 26'823U);
  const Result<Scenario> standing_in = load_scenario(file);
  ASSERT_TRUE(standing_in) << text_of(standing_in.error());
  EXPECT_DOUBLE_EQ(standing_in->workload.arrivals->rate_per_s, 0.27);
}

TEST(Configs, EveryQuestionLoads) {
  const std::set<std::string> files = files_of("questions");
  EXPECT_GE(files.size(), 3U);
  for (const std::string& file : files) {
    const Result<Question> question = load_question(file);
    EXPECT_TRUE(question) << text_of(question.error());
  }
}

}  // namespace
}  // namespace disagfusion
