#include "traces/decimal.hpp"

#include <gtest/gtest.h>

namespace disagfusion::traces {
namespace {

std::int64_t ns(const char* text) {
  return parse_seconds(text, from_seconds(1e8)).value_or(Duration{-1}).ns;
}

TEST(Decimal, Seconds) {
  EXPECT_EQ(ns("0"), 0);
  EXPECT_EQ(ns("12.5"), 12'500'000'000);
  EXPECT_EQ(ns("007"), 7'000'000'000);
  EXPECT_EQ(ns(".5"), 500'000'000);
  EXPECT_EQ(ns("5."), 5'000'000'000);
  EXPECT_EQ(ns("0.000000001"), 1);
  EXPECT_EQ(ns("0.0000000005"), 1);  // half up
  EXPECT_EQ(ns("0.00000000049999"), 0);
  EXPECT_EQ(ns("0.9999999995"), 1'000'000'000);
  EXPECT_EQ(ns("3500.123456789"), 3'500'123'456'789);
  EXPECT_EQ(ns("1e-5"), 10'000);
  EXPECT_EQ(ns("1.5E3"), 1'500'000'000'000);
  EXPECT_EQ(ns("100000000"), 100'000'000'000'000'000);
  EXPECT_EQ(ns("0000000000012"), 12'000'000'000);
}

TEST(Decimal, SecondsRefused) {
  for (const char* text : {"",         ".",
                           "-1",       "-0",
                           "+1",       "nan",
                           "NaN",      "inf",
                           "Infinity", "1e400",
                           "0x10",     "1,5",
                           "1 ",       " 1",
                           "1s",       "1e",
                           "e5",       "--1",
                           "1.2.3",    "100000000.1",
                           "1e9",      "99999999999999999999",
                           "1_000",    "1e-400x"}) {
    EXPECT_EQ(ns(text), -1) << text;
  }
}

TEST(Decimal, Whole) {
  EXPECT_EQ(parse_whole("30", 1, 100), 30);
  EXPECT_EQ(parse_whole("30.0", 1, 100), 30);
  EXPECT_EQ(parse_whole("-5", -9, 9), -5);
  for (const char* text :
       {"", "30.5", "30.", "1e2", "101", "0", "+3", "nan", "3x", "0x3", "99999999999999999999"}) {
    EXPECT_FALSE(parse_whole(text, 1, 100)) << text;
  }
}

TEST(Decimal, Real) {
  EXPECT_EQ(parse_real("7.5", 0, 10), 7.5);
  EXPECT_EQ(parse_real("1e1", 0, 10), 10.0);
  for (const char* text : {"", "nan", "inf", "-inf", "-nan", "-1", "10.1", "1 ", "-"}) {
    EXPECT_FALSE(parse_real(text, 0, 10)) << text;
  }
}

TEST(Decimal, SecondsWritten) {
  const auto text = [](std::int64_t value) {
    std::string out;
    append_seconds(out, value);
    return out;
  };
  EXPECT_EQ(text(0), "0");
  EXPECT_EQ(text(1), "0.000000001");
  EXPECT_EQ(text(1'500'000'000), "1.5");
  EXPECT_EQ(text(-1'500'000'000), "-1.5");
  EXPECT_EQ(text(9'223'372'036'854'775'807), "9223372036.854775807");
  EXPECT_EQ(text(-9'223'372'036'854'775'807 - 1), "-9223372036.854775808");
}

}  // namespace
}  // namespace disagfusion::traces
