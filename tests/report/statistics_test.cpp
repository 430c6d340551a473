#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.hpp"
#include "base/sha256.hpp"
#include "report/report.hpp"
#include "report/statistics/intervals.hpp"
#include "report/statistics/percentiles.hpp"

namespace disagfusion::report {
namespace {

TEST(Percentiles, InterpolateLinearlyBetweenOrderStatistics) {
  Percentiles p;
  for (const double s : {4.0, 1.0, 3.0, 2.0}) p.add(from_seconds(s));
  EXPECT_DOUBLE_EQ(*p.at(0), 1);
  EXPECT_DOUBLE_EQ(*p.at(0.5), 2.5);  // h = 1.5
  EXPECT_DOUBLE_EQ(*p.at(0.9), 3.7);  // h = 2.7
  EXPECT_DOUBLE_EQ(*p.at(1), 4);
}

TEST(Percentiles, OfNothingAreNone) {
  Percentiles p;
  EXPECT_FALSE(p.at(0.5).has_value());
}

TEST(Percentiles, OfOneValueAreThatValue) {
  Percentiles p;
  p.add(from_seconds(7));
  for (const double q : {0.0, 0.5, 0.99, 1.0}) EXPECT_DOUBLE_EQ(*p.at(q), 7);
}

TEST(Percentiles, AboveAMillionTheSketchIsRightWithinATenthOfAPercent) {
  Percentiles p;
  std::vector<double> values;
  RandomStream random(5, Purpose::test, 0);
  for (std::size_t i = 0; i < Percentiles::kExactLimit + 200'000; ++i) {
    const double s = std::exp(6 * random.uniform() - 3);
    values.push_back(from_seconds(s).seconds());
    p.add(from_seconds(s));
  }
  EXPECT_FALSE(p.exact());
  std::sort(values.begin(), values.end());
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const double exact =
        values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
    EXPECT_NEAR(*p.at(q), exact, 1e-3 * exact) << q;
  }
  EXPECT_DOUBLE_EQ(*p.at(1), values.back());
}

TEST(StudentT, AgreesWithTables) {
  EXPECT_NEAR(student_t_975(1), 12.7062, 1e-3);
  EXPECT_NEAR(student_t_975(9), 2.2622, 1e-3);
  EXPECT_NEAR(student_t_975(40), 2.0211, 1e-4);
  EXPECT_NEAR(student_t_975(120), 1.9799, 1e-4);
}

TEST(Intervals, OfTwoValuesUseOneDegreeOfFreedom) {
  const auto interval = interval_of_mean(std::vector<double>{1, 3});
  ASSERT_TRUE(interval);
  EXPECT_NEAR(interval->hi - 2, 12.7062, 1e-3);  // t s / sqrt(n) = 12.7062 x 1.4142 / 1.4142
  EXPECT_FALSE(interval_of_mean(std::vector<double>{1}));
}

/// 95 % intervals of independent values cover the mean about 95 times of 100.
TEST(BatchMeans, CoverTheMeanOfIndependentValues) {
  int covered = 0, given = 0;
  for (std::uint64_t trial = 0; trial < 400; ++trial) {
    RandomStream random(6, Purpose::test, trial);
    BatchMeans means;
    for (int i = 0; i < 5000; ++i) means.add(random.exponential(2));
    std::string why;
    if (const auto interval = means.interval(why)) {
      ++given;
      covered += interval->lo <= 2 && 2 <= interval->hi ? 1 : 0;
    }
  }
  EXPECT_GT(given, 360);
  EXPECT_NEAR(static_cast<double>(covered) / given, 0.95, 0.03);
}

TEST(BatchMeans, OfTooFewOrCorrelatedValuesSayWhy) {
  BatchMeans few;
  for (int i = 0; i < 100; ++i) few.add(i);
  std::string why;
  EXPECT_FALSE(few.interval(why));
  EXPECT_NE(why.find("too short"), std::string::npos);
  BatchMeans trend;
  for (int i = 0; i < 100'000; ++i) trend.add(i);
  EXPECT_FALSE(trend.interval(why));
  EXPECT_NE(why.find("correlated"), std::string::npos);
}

TEST(Sha256, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

}  // namespace
}  // namespace disagfusion::report
