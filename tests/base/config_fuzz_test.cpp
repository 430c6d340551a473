// Every beginning of a good file, and the file with random bytes changed, removed or doubled: the
// loader answers with a scenario or with Problems that each fit one line, and never crashes (run
// under ASan and UBSan). Bounded and the same on every run.
#include <gtest/gtest.h>

#include <random>

#include "base/scenario_reader.hpp"
#include "base/scenario_writer.hpp"
#include "tests/base/shipped_texts.hpp"

namespace disagfusion {
namespace {

void load_and_check(const std::string& text) {
  TextFiles files(test::texts_with(text));
  const auto scenario = load_scenario("scenario.yaml", files);
  if (scenario) {
    EXPECT_FALSE(write_scenario_yaml(*scenario).empty());
    return;
  }
  ASSERT_FALSE(scenario.error().empty());
  for (const Problem& problem : scenario.error()) {
    const std::string message = problem.text();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_NE(message.find("expected "), std::string::npos) << message;
  }
}

TEST(ConfigFuzz, EveryBeginning) {
  const std::string text = test::read_test_file("bad/scenario.yaml");
  for (std::size_t length = 0; length <= text.size(); ++length)
    load_and_check(text.substr(0, length));
}

TEST(ConfigFuzz, ChangedBytes) {
  const std::string text = test::read_test_file("bad/scenario.yaml");
  const std::string alphabet = "{}[]:,-#&*!|>'\"%@`? \n\t0a\x80\x01~.";
  std::mt19937 random(1);  // the sequence of mt19937 is fixed by the standard
  for (int round = 0; round < 2500; ++round) {
    std::string changed = text;
    const auto edits = 1 + random() % 3;
    for (std::uint32_t i = 0; i < edits; ++i) {
      const std::size_t at = random() % changed.size();
      const char byte = alphabet[random() % alphabet.size()];
      switch (random() % 4) {
        case 0:
          changed[at] = byte;
          break;
        case 1:
          changed.insert(at, 1, byte);
          break;
        case 2:
          changed.erase(at, 1 + random() % 8);
          break;
        default:
          changed.insert(at, changed.substr(random() % changed.size(), 12));
          break;
      }
    }
    load_and_check(changed);
  }
}

}  // namespace
}  // namespace disagfusion
