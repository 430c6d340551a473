// Wrong files and every message each must give, as text anybody can add to (tests/base/bad/*.txt).
//
// A case starts with "== title". "- TEXT" and the "+ TEXT" after it replace text that occurs once
// in the valid file beside (scenario.yaml, question.yaml); "= TEXT" lines are a whole file instead.
// "! MESSAGE" are all messages, in order, without the file's name where it is the scenario's own.
// DISAGFUSION_UPDATE_GOLDEN=1 rewrites the messages: review the difference.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/scenario_reader.hpp"
#include "tests/base/shipped_texts.hpp"

namespace disagfusion {
namespace {

struct Edit {
  std::string from, to;
};

struct Case {
  std::string title;
  std::vector<Edit> edits;
  std::string whole;
  bool is_whole = false;
  std::vector<std::string> messages;
  std::vector<std::string> lines;  ///< as in the file, without messages
};

std::vector<Case> read_cases(const std::string& name) {
  std::vector<Case> cases;
  std::istringstream stream(test::read_test_file("bad/" + name));
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind("== ", 0) == 0) {
      cases.emplace_back();
      cases.back().title = line.substr(3);
    }
    if (cases.empty() || line.empty()) continue;
    Case& one = cases.back();
    const std::string text = line.size() > 2 ? line.substr(2) : "";
    if (line[0] == '!') {
      one.messages.push_back(text);
      continue;
    }
    one.lines.push_back(line);
    if (line[0] == '-') one.edits.push_back({text, ""});
    if (line[0] == '+') one.edits.back().to += (one.edits.back().to.empty() ? "" : "\n") + text;
    if (line[0] == '=' && line[1] != '=') {
      one.whole += text + "\n";
      one.is_whole = true;
    }
  }
  return cases;
}

std::string edited(const Case& one, std::string text) {
  if (one.is_whole) return one.whole;
  for (const Edit& edit : one.edits) {
    const std::size_t at = text.find(edit.from);
    EXPECT_NE(at, std::string::npos) << one.title << ": nothing to replace: " << edit.from;
    if (at == std::string::npos) continue;
    EXPECT_EQ(text.find(edit.from, at + 1), std::string::npos)
        << one.title << ": not unique: " << edit.from;
    text.replace(at, edit.from.size(), edit.to);
  }
  return text;
}

template <class T>
std::vector<std::string> messages_of(const Result<T>& result) {
  std::vector<std::string> messages;
  if (result) return messages;
  for (const Problem& problem : result.error()) {
    std::string text = problem.text();
    const std::string own = "scenario.yaml:";
    if (text.rfind(own, 0) == 0) text = text.substr(own.size());
    messages.push_back(std::move(text));
  }
  return messages;
}

void rewrite(const std::string& name, const std::vector<Case>& cases,
             const std::vector<std::vector<std::string>>& got) {
  std::ofstream out(std::string(DISAGFUSION_SOURCE_DIR "/tests/base/bad/") + name);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (const std::string& line : cases[i].lines) out << line << "\n";
    for (const std::string& message : got[i]) out << "! " << message << "\n";
    out << "\n";
  }
}

template <class Load>
void check_cases(const std::string& name, const std::string& valid_name, Load load) {
  const std::vector<Case> cases = read_cases(name);
  const std::string valid = test::read_test_file("bad/" + valid_name);
  ASSERT_EQ(messages_of(load(valid)), std::vector<std::string>{});
  std::vector<std::vector<std::string>> got;
  const bool update = std::getenv("DISAGFUSION_UPDATE_GOLDEN") != nullptr;
  for (const Case& one : cases) {
    got.push_back(messages_of(load(edited(one, valid))));
    EXPECT_FALSE(got.back().empty()) << one.title << ": loaded";
    if (update) continue;
    EXPECT_EQ(got.back(), one.messages) << one.title;
  }
  if (update) rewrite(name, cases, got);
}

TEST(BadInput, Scenarios) {
  check_cases("scenarios.txt", "scenario.yaml", [](const std::string& text) {
    TextFiles files(test::texts_with(text));
    return load_scenario("scenario.yaml", files);
  });
}

TEST(BadInput, Questions) {
  check_cases("questions.txt", "question.yaml", [](const std::string& text) {
    TextFiles files(test::texts_with(text));
    return load_question("scenario.yaml", files);
  });
}

}  // namespace
}  // namespace disagfusion
