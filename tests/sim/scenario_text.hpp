// Scenarios for tests, written as the files that users write.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/scenario_reader.hpp"
#include "sim/engine.hpp"
#include "tests/base/one_text.hpp"

namespace disagfusion::sim::testing {

inline std::string text_of(const Problems& problems) {
  std::string text;
  for (const Problem& problem : problems) text += problem.text() + "\n";
  return text;
}

/// Ends the test where the text is no scenario.
inline Scenario scenario_of(const std::string& text) {
  test::OneText files(text);
  Result<Scenario> scenario = load_scenario("test.yaml", files);
  if (!scenario) throw std::runtime_error(text_of(scenario.error()) + text);
  return *scenario;
}

inline Simulation simulation_of(const std::string& text) {
  Result<Simulation> simulation = Simulation::prepare(scenario_of(text));
  if (!simulation) throw std::runtime_error(text_of(simulation.error()));
  return *simulation;
}

inline report::RunSummary run_of(const std::string& text, std::uint64_t seed = 0) {
  const Simulation simulation = simulation_of(text);
  Result<report::RunSummary> run = simulation.run(seed);
  if (!run) throw std::runtime_error(text_of(run.error()));
  return *run;
}

/// One stage of a chain: the text after `seconds:`, instances, and what else its pool says.
struct Stage {
  std::string name, cost;
  int count = 1;
  std::string pool = {}, output = {};
};

/// An inline model that is a chain of these stages, a pool for each on A10; `rest` holds workload,
/// network and what else is wanted.
inline std::string chain(const std::vector<Stage>& stages, const std::string& rest) {
  std::string model = "models:\n  - name: m\n    stages:\n", pools, costs = "costs:\n";
  int gpus = 0;
  std::string before;
  for (const Stage& stage : stages) {
    model += fmt::format("      - {{name: {}{}{}}}\n", stage.name,
                         before.empty() ? "" : ", after: [" + before + "]",
                         stage.output.empty() ? "" : ", output: " + stage.output);
    pools += fmt::format("    - {{stages: [{}], gpu: A10, count: {}{}}}\n", stage.name, stage.count,
                         stage.pool.empty() ? "" : ", " + stage.pool);
    costs += fmt::format("  - {{stage: {}, seconds: {}}}\n", stage.name, stage.cost);
    gpus += stage.count;
    before = stage.name;
  }
  return "name: test\n" + model + fmt::format("fleet:\n  gpus: {{A10: {}}}\n  pools:\n", gpus) +
         pools + costs + rest;
}

}  // namespace disagfusion::sim::testing
