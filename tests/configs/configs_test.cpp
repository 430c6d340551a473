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
