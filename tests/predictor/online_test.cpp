#include "predictor/online.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "base/random.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

/// Feeds `count` samples of mean `level` and coefficient of variation `cv`.
void feed(Correction& correction, RandomStream& stream, double level, double cv, int count) {
  const LognormalDistribution noise(level, cv);
  for (int i = 0; i < count; ++i) correction.observe(1, noise(stream));
}

TEST(Online, LastingShiftIsLearntWithinTwentyCompletions) {
  for (const double shift : {2.0, 0.5})
    for (const int before : {0, 5, 100, 1000})
      for (const double cv : {0.0, 0.05}) {
        Correction correction;
        RandomStream stream(1, Purpose::test, static_cast<std::uint64_t>(before));
        feed(correction, stream, 1, cv, before);
        feed(correction, stream, shift, cv, 20);
        EXPECT_NEAR(correction.factor / shift, 1, 0.13)
            << shift << " after " << before << ", cv " << cv;
      }
}

TEST(Online, LastingShiftIsLearntUnderNoise) {
  for (const double shift : {2.0, 0.5})
    for (const int before : {0, 100}) {
      double sum = 0;
      constexpr int kRuns = 200;
      for (std::uint64_t run = 0; run < kRuns; ++run) {
        Correction correction;
        RandomStream stream(2, Purpose::test, run);
        feed(correction, stream, 1, 0.2, before);
        feed(correction, stream, shift, 0.2, 20);
        sum += correction.factor / shift;
      }
      EXPECT_NEAR(sum / kRuns, 1, 0.1) << shift << " after " << before;
    }
}

TEST(Online, OneWildSampleMovesLittle) {
  for (const double wild : {100.0, 0.001})
    for (const int before : {0, 3, 100}) {
      Correction correction;
      RandomStream stream(3, Purpose::test, 0);
      feed(correction, stream, 1, before == 0 ? 0 : 0.1, before);
      const double factor = correction.factor;
      correction.observe(1, wild);
      EXPECT_LT(std::abs(correction.factor - factor), before == 0 ? 0.14 : 0.1);
      feed(correction, stream, 1, 0.1, 30);
      EXPECT_NEAR(correction.factor, 1, 0.06);
    }
}

TEST(Online, TracksTheMeanOfASkewedDistribution) {
  Correction correction;
  RandomStream stream(4, Purpose::test, 0);
  double sum = 0;
  constexpr int kSamples = 20000;
  for (int i = 0; i < kSamples; ++i) {
    correction.observe(1, stream.exponential(1));
    sum += correction.factor;
  }
  EXPECT_NEAR(sum / kSamples, 1, 0.04);  // a median would say 0.69
}

TEST(Online, FalseAlarmsAreRareAndDriftsAreNoticed) {
  std::uint32_t alarms = 0;
  for (std::uint64_t run = 0; run < 10; ++run) {
    Correction correction;
    RandomStream stream(5, Purpose::test, run);
    feed(correction, stream, 1, 0.2, 10000);
    alarms += correction.alarms;
  }
  EXPECT_LE(alarms, 20U);  // of 100 000 samples
  Correction correction;
  RandomStream stream(6, Purpose::test, 0);
  feed(correction, stream, 1, 0.2, 200);
  const std::uint32_t before = correction.alarms;
  feed(correction, stream, 2, 0.2, 10);
  EXPECT_GT(correction.alarms, before);
}

TEST(Online, SharedWeightsShareACorrection) {
  std::vector<ModelSpec> models = {testing::chain("a"), testing::chain("b")};
  models[0].stages[0].weights = models[1].stages[0].weights = "t5-xxl";
  OnlineCorrection online(make_stage_graph(models), 2);
  for (int i = 0; i < 30; ++i) online.observe(NodeId(0), GpuTypeId(1), 1, 2);
  EXPECT_NEAR(online.factor(NodeId(3), GpuTypeId(1)), 2, 0.1);
  EXPECT_EQ(online.factor(NodeId(3), GpuTypeId(0)), 1);
  EXPECT_EQ(online.factor(NodeId(1), GpuTypeId(1)), 1);
  EXPECT_EQ(online.state(NodeId(0), GpuTypeId(1)).samples, 30U);
}

RC_GTEST_PROP(OnlineProperty, BoundedWhateverComes, ()) {
  Correction correction;
  const auto exponents = *rc::gen::container<std::vector<int>>(rc::gen::inRange(-30, 31));
  for (const int exponent : exponents) {
    correction.observe(1, std::ldexp(1.0, exponent));
    RC_ASSERT(correction.factor >= 0.125 && correction.factor <= 8);
    RC_ASSERT(std::isfinite(correction.spread) && correction.spread >= 0);
    RC_ASSERT(correction.gain >= 0.05 && correction.gain <= 0.5);
  }
  const Correction before = correction;
  correction.observe(0, 1);
  correction.observe(1, -1);
  correction.observe(1, std::nan(""));
  RC_ASSERT(correction.factor == before.factor && correction.samples == before.samples);
}

}  // namespace
}  // namespace disagfusion::predictor
