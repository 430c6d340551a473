// Parsing to a tree with places, and reading maps through MapReader as a policy's factory does.
#include "base/config_reader.hpp"

#include <gtest/gtest.h>

#include "base/config_parser.hpp"

namespace disagfusion {
namespace {

ConfigNode parsed(const std::string& text) {
  const auto root = parse_config("f.yaml", text);
  EXPECT_TRUE(root) << root.error().front().text();
  return root.value_or(ConfigNode{});
}

TEST(ConfigParser, EveryValueKnowsItsPlace) {
  const ConfigNode root = parsed("a: 1\nlist:\n  - {x: 2, y: [3, \"4\"]}\nempty:\n");
  EXPECT_EQ(root.find("a").place().line, 1);
  EXPECT_EQ(root.find("a").place().column, 4);
  const ConfigNode y = root.find("list").at(0).find("y");
  EXPECT_EQ(y.place().path, "list[0].y");
  EXPECT_EQ(y.at(1).place().path, "list[0].y[1]");
  EXPECT_EQ(y.at(1).place().column, 19);
  EXPECT_FALSE(y.at(0).quoted());
  EXPECT_TRUE(y.at(1).quoted());
  EXPECT_EQ(root.find("empty").kind(), ConfigNode::Kind::nothing);
  EXPECT_EQ(root.find("empty").place().line, 4);
  EXPECT_EQ(root.key_place(1).line, 2);
  EXPECT_FALSE(root.find("b").valid());
}

TEST(ConfigParser, AByteOrderMarkAndWindowsLineEndsAreFine) {
  const ConfigNode root = parsed(
      "\xef\xbb\xbf"
      "a: 1\r\nb: \xc3\xa9\r\n");
  EXPECT_EQ(root.find("a").text(), "1");
  EXPECT_EQ(root.find("a").place().column, 4);
  EXPECT_EQ(root.find("b").text(), "\xc3\xa9");
}

TEST(ConfigParser, WhatIsNoTextIsRefusedWithItsPlace) {
  const std::vector<std::pair<std::string, std::string>> all{
      {std::string("a: 1\nb: \0", 9), "f.yaml:2:4: expected UTF-8 text, got byte 0x00"},
      {"\x7f"
       "ELF\x02\x01",
       "f.yaml:1:1: expected UTF-8 text, got byte 0x7f"},
      {"a: \xff\xfe", "f.yaml:1:4: expected UTF-8 text, got byte 0xff"},
      {"a: \xc3", "f.yaml:1:4: expected UTF-8 text, got byte 0xc3"},
      {"a: \xe2\x28\xa1", "f.yaml:1:4: expected UTF-8 text, got byte 0xe2"},
      {"a: \x1b[31m", "f.yaml:1:4: expected UTF-8 text, got byte 0x1b"},
  };
  for (const auto& [text, message] : all) {
    const auto root = parse_config("f.yaml", text);
    ASSERT_FALSE(root);
    EXPECT_EQ(root.error().front().text(), message);
  }
}

TEST(ConfigParser, HugeNestingIsAProblemNotACrash) {
  for (const char* opening : {"[", "{a: ", "- ", "? "}) {
    std::string text = "a: \n";
    for (int i = 0; i < 20'000; ++i) text += opening;
    EXPECT_FALSE(parse_config("f.yaml", text)) << opening;
  }
}

TEST(ConfigParser, FlowTextParsesToAnEqualTree) {
  const std::string text =
      "{a: 1, b: \"1\", c: [x y, \"\", \"null\", \"a: b\", \"q\\\"\\\\\"], d: {}, e: null, f: 24 "
      "ms}";
  EXPECT_EQ(flow_yaml(parsed(text)), text);
}

TEST(MapReader, ReadsParametersWithDefaults) {
  Problems problems;
  MapReader map(parsed("horizon: 120 s\nlimit: 4\nshare: 95 %\nmode: fast\n"), problems);
  EXPECT_EQ(map.get("horizon", as_duration(), Duration{}), from_seconds(120));
  EXPECT_EQ(map.required("limit", as_count(1, 10)), 4U);
  EXPECT_DOUBLE_EQ(map.get("share", as_share(), 0.0), 0.95);
  EXPECT_EQ(map.required("mode", as_choice({"slow", "fast"})), "fast");
  EXPECT_EQ(map.get("gain", as_number(0, 10), 1.5), 1.5);
  EXPECT_EQ(map.optional("other", as_text()), std::nullopt);
  map.finish();
  EXPECT_TRUE(problems.empty());
}

TEST(MapReader, CollectsEveryProblem) {
  Problems problems;
  MapReader map(parsed("horizon: 120\nlimit: 40\nhorizn: 3\n"), problems);
  EXPECT_EQ(map.get("horizon", as_duration(), from_seconds(7)), from_seconds(7));
  EXPECT_EQ(map.required("limit", as_count(1, 10)), 0U);
  map.required("moves", as_list_of(as_count(), 1));
  map.finish();
  ASSERT_EQ(problems.size(), 4U);
  EXPECT_EQ(problems[0].text(),
            "f.yaml:1:10: horizon: expected a duration such as 24 ms, with its unit, got 120");
  EXPECT_EQ(problems[1].text(), "f.yaml:2:8: limit: expected a count from 1 to 10, got 40");
  EXPECT_EQ(problems[2].text(),
            "f.yaml:1:1: moves: expected a list, each item a count from 0 to 1000000, got nothing");
  EXPECT_EQ(problems[3].text(),
            "f.yaml:3:1: horizn: expected a known key, got 'horizn' (did you mean 'horizon'?)");
}

TEST(NearestName, BeginsLikeWhatWasWrittenOrIsHardlyOff) {
  const std::vector<std::string> gpus = {"A10", "A100-SXM-80GB", "H100-PCIE", "H100-SXM",
                                         "H20", "H200",          "L4",        "RTX4090"};
  EXPECT_EQ(nearest_name("H101", gpus), "H100-SXM");
  EXPECT_EQ(nearest_name("A11", gpus), "A10");
  EXPECT_EQ(nearest_name("RTX409", gpus), "RTX4090");
  EXPECT_EQ(nearest_name("TX4090", gpus), "RTX4090");
  EXPECT_EQ(nearest_name("XX", gpus), "");
  EXPECT_EQ(nearest_name("B12", gpus), "");
  EXPECT_EQ(nearest_name("widht", {"id", "width", "height"}), "width");
  EXPECT_EQ(nearest_name("dti", {"encoder", "dit", "dit_step"}), "dit");
  EXPECT_EQ(nearest_name("foo", {"fifo", "fork-both", "none"}), "");
}

TEST(MapReader, AnInvalidNodeIsAnEmptyMapAndAnythingElseAProblem) {
  Problems problems;
  MapReader none(ConfigNode{}, problems);
  EXPECT_EQ(none.get("a", as_count(), 3U), 3U);
  none.finish();
  EXPECT_TRUE(problems.empty());
  MapReader text(parsed("a: hello").find("a"), problems, "a map such as {x: 1}");
  text.required("x", as_count());
  text.finish();
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].text(), "f.yaml:1:4: a: expected a map such as {x: 1}, got hello");
}

TEST(MapReader, AnOverlongDurationIsRefusedAndTheLongestIsNot) {
  Problems problems;
  MapReader map(parsed("a: 1e6 s\nb: 1000001 s\nc: 0.1 ns\n"), problems);
  EXPECT_EQ(map.get("a", as_duration(), Duration{}), from_seconds(1e6));
  map.optional("b", as_duration());
  map.optional("c", as_positive_duration());
  EXPECT_EQ(problems.size(), 2U);
}

}  // namespace
}  // namespace disagfusion
