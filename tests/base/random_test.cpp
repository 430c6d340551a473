// Random streams: the generator against Random123's own test vectors, values pinned for every
// machine, moments and distributions at fixed seeds.
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace disagfusion {
namespace {

TEST(Random, PhiloxKnownAnswers) {
  // Random123's kat_vectors, philox4x64 10: counter 0 under key 0.
  const auto block = draw_block(0, static_cast<Purpose>(0), 0, 0);
  EXPECT_EQ(block[0], 0x16554d9eca36314cULL);
  EXPECT_EQ(block[1], 0xdb20fe9d672d0fdcULL);
  EXPECT_EQ(block[2], 0xd7e772cee186176bULL);
  EXPECT_EQ(block[3], 0x7e68b68aec7ba23bULL);
}

TEST(Random, DrawsAreFunctionsOfTheirIndex) {
  RandomStream stream(7, Purpose::service, 42);
  for (std::uint64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(stream.bits(), draw(7, Purpose::service, 42, i));
  }
  stream.seek(5);
  EXPECT_EQ(stream.bits(), draw(7, Purpose::service, 42, 5));
  EXPECT_EQ(stream.index(), 6U);
  RandomStream sub(7, Purpose::service, 42, 1);
  EXPECT_EQ(sub.bits(), draw_block(7, Purpose::service, 42, 0, 1)[0]);
  EXPECT_NE(draw(7, Purpose::service, 42, 0), draw(7, Purpose::mix, 42, 0));
  EXPECT_NE(draw(7, Purpose::service, 42, 0), draw(7, Purpose::service, 43, 0));
  EXPECT_NE(draw(7, Purpose::service, 42, 0), draw(8, Purpose::service, 42, 0));
}

TEST(Random, UniformExcludesBothEnds) {
  EXPECT_EQ(to_unit(0), 0x1p-53);
  EXPECT_EQ(to_unit(~0ULL), 1.0 - 0x1p-53);
}

TEST(Random, LogarithmAndExponentialAreExactToTwoUlp) {
  RandomStream stream(1, Purpose::test, 0);
  for (int i = 0; i < 200'000; ++i) {
    const double u = stream.uniform();
    for (const double x : {u, 1.0 + (u - 0.5) * 1e-3, u * 1e-290, u * 1e290}) {
      const long double exact = std::log(static_cast<long double>(x));
      EXPECT_LE(std::abs((portable_log(x) - exact) / exact), 4.5e-16L) << x;
    }
    const double y = (u - 0.5) * 1400;
    const long double exact = std::exp(static_cast<long double>(y));
    EXPECT_LE(std::abs((portable_exp(y) - exact) / exact), 4.5e-16L) << y;
  }
  EXPECT_EQ(portable_log(1.0), 0.0);
  EXPECT_EQ(portable_exp(0.0), 1.0);
}

TEST(Random, NormalQuantileInvertsTheDistribution) {
  // Phi(x) = erfc(-x / sqrt 2) / 2.
  for (const double p :
       {1e-15, 1e-9, 1e-3, 0.02425, 0.0749, 0.0751, 0.3, 0.5, 0.8, 0.975, 0.9999}) {
    EXPECT_NEAR(std::erfc(-normal_quantile(p) / std::sqrt(2.0)) / 2 / p, 1.0, 1e-13) << p;
  }
  EXPECT_EQ(normal_quantile(0.5), 0.0);
  EXPECT_DOUBLE_EQ(normal_quantile(0.975), 1.959963984540054);
}

TEST(Random, PinnedValues) {
  // Hexadecimal floating point: every bit. A change here changes every result that was published.
  RandomStream stream(2026, Purpose::test, 11);
  EXPECT_EQ(stream.bits(), 0x8d5c5d39c9eb5105ULL);
  EXPECT_EQ(stream.uniform(), 0x1.bc53b4dcffa8dp-1);
  EXPECT_EQ(stream.exponential(2.5), 0x1.79fbd4ddf43c5p+2);
  EXPECT_EQ(stream.normal(), -0x1.4e69de1525f29p-1);
  EXPECT_EQ(LognormalDistribution(3, 0.3)(stream), 0x1.dae90b7fa0ef4p+0);
  EXPECT_EQ(GammaDistribution(2, 0.5)(stream), 0x1.512a02be92365p+1);
  EXPECT_EQ(GammaDistribution(2, 3)(stream), 0x1.1a2f72104afd9p-13);
  EXPECT_EQ(stream.index(), 12U);
}

// ---- distributions -----------------------------------------------------------------------------

constexpr int kDraws = 200'000;

std::vector<double> sample(const std::function<double(RandomStream&)>& one) {
  RandomStream stream(99, Purpose::test, 3);
  std::vector<double> values;
  values.reserve(kDraws);
  for (int i = 0; i < kDraws; ++i) values.push_back(one(stream));
  return values;
}

void expect_moments(const std::vector<double>& values, double mean, double cv) {
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double found = sum / kDraws;
  for (const double value : values) squares += (value - found) * (value - found);
  const double deviation = std::sqrt(squares / kDraws);
  // Five standard errors of the mean; the deviation's own is not known, 4 % serves.
  EXPECT_NEAR(found, mean, 5 * mean * cv / std::sqrt(kDraws));
  EXPECT_NEAR(deviation, mean * cv, 0.04 * mean * cv);
}

/// Kolmogorov and Smirnov: D = sup |F_n - F|; D sqrt n exceeds 1.63 with probability 1 %.
void expect_distribution(std::vector<double> values, const std::function<double(double)>& cdf) {
  std::sort(values.begin(), values.end());
  double d = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double f = cdf(values[static_cast<std::size_t>(i)]);
    d = std::max({d, std::abs(f - static_cast<double>(i) / kDraws),
                  std::abs(f - static_cast<double>(i + 1) / kDraws)});
  }
  EXPECT_LT(d * std::sqrt(kDraws), 1.63);
}

double normal_cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }

/// Regularised lower incomplete gamma function P(a, x), by its power series (Abramowitz and Stegun
/// 6.5.29): e^-x x^a sum x^n / Gamma(a + n + 1).
double gamma_p(double a, double x) {
  if (x <= 0) return 0;
  double term = std::exp(-x + a * std::log(x) - std::lgamma(a + 1));
  double sum = term;
  for (double n = 1; n < 2000 && term > sum * 1e-16; ++n) sum += term *= x / (a + n);
  return std::min(sum, 1.0);
}

TEST(RandomDistributions, Uniform) {
  expect_distribution(sample([](RandomStream& s) { return s.uniform(); }),
                      [](double x) { return x; });
}

TEST(RandomDistributions, Exponential) {
  const auto values = sample([](RandomStream& s) { return s.exponential(4.0); });
  expect_moments(values, 4, 1);
  expect_distribution(values, [](double x) { return -std::expm1(-x / 4); });
}

TEST(RandomDistributions, Normal) {
  expect_distribution(sample([](RandomStream& s) { return s.normal(); }), normal_cdf);
}

TEST(RandomDistributions, Lognormal) {
  const LognormalDistribution lognormal(3.0, 0.3);
  const auto values = sample([&](RandomStream& s) { return lognormal(s); });
  expect_moments(values, 3, 0.3);
  const double sigma = std::sqrt(std::log(1.09));
  expect_distribution(
      values, [&](double x) { return normal_cdf((std::log(x / 3) + sigma * sigma / 2) / sigma); });
  EXPECT_EQ(LognormalDistribution(3.0, 0.0).from(0.2), 3.0);
}

TEST(RandomDistributions, Gamma) {
  for (const double cv : {0.2, 1.0, 1.7}) {  // shapes 25, 1 and 0.346
    const GammaDistribution gamma(2.0, cv);
    const auto values = sample([&](RandomStream& s) { return gamma(s); });
    expect_moments(values, 2, cv);
    const double shape = 1 / (cv * cv), scale = 2 * cv * cv;
    expect_distribution(values, [&](double x) { return gamma_p(shape, x / scale); });
  }
  RandomStream stream(1, Purpose::test, 0);
  EXPECT_EQ(GammaDistribution(2.0, 0.0)(stream), 2.0);
  EXPECT_GE(GammaDistribution(2.0, 100.0)(stream), 0.0);
}

TEST(RandomDistributions, WeightedChoice) {
  const std::vector<double> weights{0, 1, 3, 0, 4, 0};
  const WeightedChoice choice(weights);
  std::vector<int> counts(weights.size());
  RandomStream stream(5, Purpose::mix, 0);
  for (int i = 0; i < kDraws; ++i) ++counts[choice.from(stream.uniform())];
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_NEAR(counts[i], kDraws * weights[i] / 8, 5 * std::sqrt(kDraws * 0.25)) << i;
    EXPECT_EQ(counts[i] == 0, weights[i] == 0);
  }
  EXPECT_EQ(choice.from(to_unit(0)), 1U);
  EXPECT_EQ(choice.from(to_unit(~0ULL)), 4U);
}

TEST(RandomDistributions, Bernoulli) {
  RandomStream stream(6, Purpose::test, 0);
  int hits = 0;
  for (int i = 0; i < kDraws; ++i) hits += stream.bernoulli(0.3) ? 1 : 0;
  EXPECT_NEAR(hits, 0.3 * kDraws, 5 * std::sqrt(kDraws * 0.21));
  EXPECT_FALSE(stream.bernoulli(0));
  EXPECT_TRUE(stream.bernoulli(1));
}

}  // namespace
}  // namespace disagfusion
