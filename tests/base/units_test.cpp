#include "base/units.hpp"

#include <gtest/gtest.h>

namespace disagfusion {
namespace {

struct Good {
  const char* text;
  Quantity quantity;
  double value;
};

TEST(Units, EveryUnit) {
  const double kibi = 1024;
  const std::vector<Good> all{
      {"7 ns", Quantity::time, 7},
      {"7us", Quantity::time, 7e3},
      {"24 ms", Quantity::time, 24e6},
      {"0 s", Quantity::time, 0},
      {"1.5 s", Quantity::time, 1.5e9},
      {"2 min", Quantity::time, 120e9},
      {"1 h", Quantity::time, 3600e9},
      {"1e3 s", Quantity::time, 1e12},
      {"-1 s", Quantity::time, -1e9},
      {"5 B", Quantity::bytes, 5},
      {"5 kB", Quantity::bytes, 5e3},
      {"5 KB", Quantity::bytes, 5e3},
      {"4.2 MB", Quantity::bytes, 4.2e6},
      {"80 GB", Quantity::bytes, 80e9},
      {"2 TB", Quantity::bytes, 2e12},
      {"1 KiB", Quantity::bytes, kibi},
      {"1 MiB", Quantity::bytes, kibi * kibi},
      {"3 GiB", Quantity::bytes, 3 * kibi * kibi * kibi},
      {"1 TiB", Quantity::bytes, kibi * kibi * kibi * kibi},
      {"8 bit/s", Quantity::bandwidth, 1},
      {"8 kbit/s", Quantity::bandwidth, 1e3},
      {"8 Mbit/s", Quantity::bandwidth, 1e6},
      {"10 Gbit/s", Quantity::bandwidth, 1.25e9},
      {"16 GB/s", Quantity::bandwidth, 16e9},
      {"1 GiB/s", Quantity::bandwidth, kibi * kibi * kibi},
      {"9 B/s", Quantity::bandwidth, 9},
      {"0.34 USD/h", Quantity::price, 0.34},
      {"0.065 /s", Quantity::rate, 0.065},
      {"0.065/s", Quantity::rate, 0.065},
      {"90 /min", Quantity::rate, 1.5},
      {"7200 /h", Quantity::rate, 2},
      {"95 %", Quantity::share, 0.95},
      {"57%", Quantity::share, 0.57},
      {"1.5x", Quantity::factor, 1.5},
      {"0x", Quantity::factor, 0},
      {"2e8 events", Quantity::events, 2e8},
      {"2events", Quantity::events, 2},
  };
  for (const Good& one : all) {
    const auto value = parse_quantity(one.text, one.quantity);
    ASSERT_TRUE(value) << one.text << ": " << value.error();
    EXPECT_EQ(*value, one.value) << one.text;
  }
}

TEST(Units, WhatIsNoQuantity) {
  const std::vector<std::pair<const char*, Quantity>> all{
      {"", Quantity::time},
      {"ms", Quantity::time},
      {"24", Quantity::time},
      {"24  ms", Quantity::time},
      {"24 ms ", Quantity::time},
      {" 24 ms", Quantity::time},
      {"24 MS", Quantity::time},
      {"24 m", Quantity::time},
      {"24\tms", Quantity::time},
      {"nan s", Quantity::time},
      {".nan s", Quantity::time},
      {"inf s", Quantity::time},
      {"1e999 s", Quantity::time},
      {"0x10 s", Quantity::time},
      {"1_000 s", Quantity::time},
      {"+1 s", Quantity::time},
      {".5 s", Quantity::time},
      {"--1 s", Quantity::time},
      {"1 s s", Quantity::time},
      {"24 ", Quantity::time},
      {"1e300 h", Quantity::time},
      {"10 Gb", Quantity::bytes},
      {"10 gb", Quantity::bytes},
      {"10 GB/s", Quantity::bytes},
      {"10 Gbps", Quantity::bandwidth},
      {"10 GB", Quantity::bandwidth},
      {"1 /s", Quantity::bandwidth},
      {"1 USD", Quantity::price},
      {"1 EUR/h", Quantity::price},
      {"1 $/h", Quantity::price},
      {"1 Hz", Quantity::rate},
      {"0.95", Quantity::share},
      {"1.5 times", Quantity::factor},
  };
  for (const auto& [text, quantity] : all) EXPECT_FALSE(parse_quantity(text, quantity)) << text;
}

TEST(Units, PlainNumbers) {
  EXPECT_EQ(*parse_number("3"), 3);
  EXPECT_EQ(*parse_number("-0.5"), -0.5);
  EXPECT_EQ(*parse_number("2e8"), 2e8);
  for (const char* text :
       {"", "3 ", "3s", ".nan", "nan", ".inf", "inf", "-inf", "0x1", "1e999", "-"})
    EXPECT_FALSE(parse_number(text)) << text;
}

TEST(Units, WrittenValuesReadBackExactly) {
  for (const std::int64_t ns : {0L, 1L, 999L, 1'000L, 1'500L, 24'000'000L, 1'000'000'000L,
                                1'000'000'001L, 3'600'000'000'000L, 1'000'000'000'000'000L}) {
    const auto value = parse_quantity(duration_text({ns}), Quantity::time);
    ASSERT_TRUE(value) << duration_text({ns});
    EXPECT_EQ(std::llround(*value), ns) << duration_text({ns});
  }
  for (const double bytes :
       {0.0, 1.0, 0.3, 4.2e6, 1.25e9, 80e9, 1073741824.0, 123456789.0, 1e15, 112.5e9, 1.0 / 3.0}) {
    EXPECT_EQ(*parse_quantity(bytes_text(bytes), Quantity::bytes), bytes) << bytes_text(bytes);
    EXPECT_EQ(*parse_quantity(bandwidth_text(bytes), Quantity::bandwidth), bytes);
  }
  EXPECT_EQ(duration_text({24'000'000}), "24 ms");
  EXPECT_EQ(bytes_text(4.2e6), "4.2 MB");
  EXPECT_EQ(bandwidth_text(1.25e9), "1.25 GB/s");
}

}  // namespace
}  // namespace disagfusion
