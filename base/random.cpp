#include "base/random.hpp"

#include <Random123/philox.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.hpp"

namespace disagfusion {

std::array<std::uint64_t, 4> draw_block(std::uint64_t seed, Purpose purpose, std::uint64_t id,
                                        std::uint64_t block, std::uint64_t sub) {
  // Counter (block, id, sub, 0), key (seed, purpose): Philox is a bijection of the counter for each
  // key, so no two draws of a seed share a counter value.
  const philox4x64_ctr_t counter{{block, id, sub, 0}};
  const philox4x64_key_t key{{seed, static_cast<std::uint64_t>(purpose)}};
  const philox4x64_ctr_t out = philox4x64(counter, key);
  return {out.v[0], out.v[1], out.v[2], out.v[3]};
}

std::uint64_t draw(std::uint64_t seed, Purpose purpose, std::uint64_t id, std::uint64_t index) {
  return draw_block(seed, purpose, id, index >> 2U)[index & 3U];
}

void RandomStream::seek(std::uint64_t index) {
  index_ = index;
  if ((index & 3U) != 0) block_ = draw_block(seed_, purpose_, id_, index >> 2U, sub_);
}

namespace {

// ln 2 in two parts: the high part has 32 trailing zero bits, so k * kLn2High is exact for |k| <
// 2048.
constexpr double kLn2High = 0x1.62e42feep-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

}  // namespace

// x = 2^k m with m in [sqrt(1/2), sqrt(2)); with s = (m - 1) / (m + 1), |s| < 0.1716,
//   ln m = 2 artanh s = 2 s (1 + z/3 + z^2/5 + ... + z^10/21),  z = s^2,
// the rest below z^11/23 < 1e-18 (series of artanh; Abramowitz and Stegun 4.1.27). To keep the last
// bits, ln m is summed as f - (f s - s R) with f = m - 1, since 2 s = f - f s; R is the sum from
// z/3 on, doubled. Branch-free; the polynomial is evaluated in Estrin's order for throughput.
double portable_log(double x) {
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  constexpr std::uint64_t kSqrtHalf = 0x3fe6a09e667f3bcdULL;
  const std::uint64_t shifted = bits - kSqrtHalf;
  const std::int64_t exponent = static_cast<std::int64_t>(shifted) >> 52;
  const double m = std::bit_cast<double>(bits - (static_cast<std::uint64_t>(exponent) << 52U));
  const double k = static_cast<double>(exponent);

  const double f = m - 1.0;
  const double s = f / (2.0 + f);
  const double z = s * s;
  const double z2 = z * z;
  const double z4 = z2 * z2;
  const double c01 = 2.0 / 3 + z * (2.0 / 5);
  const double c23 = 2.0 / 7 + z * (2.0 / 9);
  const double c45 = 2.0 / 11 + z * (2.0 / 13);
  const double c67 = 2.0 / 15 + z * (2.0 / 17);
  const double c89 = 2.0 / 19 + z * (2.0 / 21);
  const double r = z * ((c01 + z2 * c23) + z4 * ((c45 + z2 * c67) + z4 * c89));
  return k * kLn2High + ((f - s * (f - r)) + k * kLn2Low);
}

// e^x = 2^k e^r with k the integer nearest x / ln 2 and |r| <= ln 2 / 2 = 0.347; Taylor's series of
// e^r to r^13 (rest below 0.347^14 / 14! = 4e-18), in Estrin's order.
double portable_exp(double x) {
  DF_CHECK(std::abs(x) <= 700, "portable_exp({})", x);
  constexpr double kInverseLn2 = 0x1.71547652b82fep0;
  const double k = std::floor(x * kInverseLn2 + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  const double r2 = r * r;
  const double r4 = r2 * r2;
  const double r8 = r4 * r4;
  const double c23 = 1.0 / 2 + r * (1.0 / 6);
  const double c45 = 1.0 / 24 + r * (1.0 / 120);
  const double c67 = 1.0 / 720 + r * (1.0 / 5040);
  const double c89 = 1.0 / 40320 + r * (1.0 / 362880);
  const double c1011 = 1.0 / 3628800 + r * (1.0 / 39916800);
  const double c1213 = 1.0 / 479001600 + r * (1.0 / 6227020800.0);
  const double tail = (c23 + r2 * c45) + r4 * (c67 + r2 * c89) + r8 * (c1011 + r2 * c1213);
  const double e_r = 1.0 + (r + r2 * tail);
  const auto scale = static_cast<std::uint64_t>(static_cast<std::int64_t>(k) + 1023) << 52U;
  return e_r * std::bit_cast<double>(scale);
}

namespace {

/// c0 + c1 x + ... + c7 x^7.
double polynomial(const std::array<double, 8>& c, double x) {
  double sum = c[7];
  for (std::size_t i = 7; i-- > 0;) sum = sum * x + c[i];
  return sum;
}

}  // namespace

// M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
// Statistics 37 (1988) 477-484, routine PPND16: rational approximations of the quantile, in
// q = p - 1/2 near the middle and in r = sqrt(-ln min(p, 1 - p)) in the tails.
double normal_quantile(double p) {
  static constexpr std::array<double, 8> a{3.3871328727963666080e0,  1.3314166789178437745e+2,
                                           1.9715909503065514427e+3, 1.3731693765509461125e+4,
                                           4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                           3.3430575583588128105e+4, 2.5090809287301226727e+3};
  static constexpr std::array<double, 8> b{1.0,
                                           4.2313330701600911252e+1,
                                           6.8718700749205790830e+2,
                                           5.3941960214247511077e+3,
                                           2.1213794301586595867e+4,
                                           3.9307895800092710610e+4,
                                           2.8729085735721942674e+4,
                                           5.2264952788528545610e+3};
  static constexpr std::array<double, 8> c{1.42343711074968357734e0,  4.63033784615654529590e0,
                                           5.76949722146069140550e0,  3.64784832476320460504e0,
                                           1.27045825245236838258e0,  2.41780725177450611770e-1,
                                           2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static constexpr std::array<double, 8> d{1.0,
                                           2.05319162663775882187e0,
                                           1.67638483018380384940e0,
                                           6.89767334985100004550e-1,
                                           1.48103976427480074590e-1,
                                           1.51986665636164571966e-2,
                                           5.47593808499534494600e-4,
                                           1.05075007164441684324e-9};
  static constexpr std::array<double, 8> e{6.65790464350110377720e0,  5.46378491116411436990e0,
                                           1.78482653991729133580e0,  2.96560571828504891230e-1,
                                           2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                           2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static constexpr std::array<double, 8> f{1.0,
                                           5.99832206555887937690e-1,
                                           1.36929880922735805310e-1,
                                           1.48753612908506148525e-2,
                                           7.86869131145613259100e-4,
                                           1.84631831751005468180e-5,
                                           1.42151175831644588870e-7,
                                           2.04426310338993978564e-15};
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * polynomial(a, r) / polynomial(b, r);
  }
  const double r = std::sqrt(-portable_log(q < 0 ? p : 1.0 - p));
  const double magnitude = r <= 5.0 ? polynomial(c, r - 1.6) / polynomial(d, r - 1.6)
                                    : polynomial(e, r - 5.0) / polynomial(f, r - 5.0);
  return q < 0 ? -magnitude : magnitude;
}

// ln X is normal with variance sigma^2 = ln(1 + cv^2) and mean mu = ln(mean) - sigma^2 / 2; then
// E X = exp(mu + sigma^2 / 2) = mean and Var X / mean^2 = exp(sigma^2) - 1 = cv^2.
LognormalDistribution::LognormalDistribution(double mean, double cv) : mean_(mean) {
  DF_CHECK(mean > 0 && cv >= 0, "lognormal mean {} cv {}", mean, cv);
  const double variance = portable_log(1.0 + cv * cv);
  mu_ = portable_log(mean) - variance / 2;
  sigma_ = std::sqrt(variance);
}

double LognormalDistribution::from(double u) const {
  if (sigma_ == 0) return mean_;
  return portable_exp(mu_ + sigma_ * normal_quantile(u));
}

// Shape k = 1 / cv^2, scale theta = mean cv^2: E X = k theta = mean, Var X = k theta^2.
GammaDistribution::GammaDistribution(double mean, double cv) : mean_(mean) {
  DF_CHECK(mean > 0 && cv >= 0, "gamma mean {} cv {}", mean, cv);
  if (cv * cv < 1e-15) return;  // indistinguishable from the constant in double precision
  shape_ = 1.0 / (cv * cv);
  scale_ = mean * (cv * cv);
  d_ = (shape_ < 1 ? shape_ + 1 : shape_) - 1.0 / 3;
  c_ = 1.0 / std::sqrt(9.0 * d_);
}

// G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", ACM Transactions
// on Mathematical Software 26 (2000) 363-372. With d = k - 1/3, c = 1 / sqrt(9 d), x normal and v =
// (1 + c x)^3 > 0, d v is accepted where ln u < x^2/2 + d - d v + d ln v. For k < 1 (their section
// 6): gamma(k) = gamma(k + 1) u^(1/k).
double GammaDistribution::operator()(RandomStream& stream) const {
  if (shape_ == 0) return mean_;
  double variate = 0;
  for (;;) {
    const double x = stream.normal();
    const double root = 1.0 + c_ * x;
    const double u = stream.uniform();
    if (root <= 0) continue;
    const double v = root * root * root;
    const bool squeezed = u < 1.0 - 0.0331 * (x * x) * (x * x);  // accepts most without logarithms
    if (squeezed || portable_log(u) < 0.5 * x * x + d_ - d_ * v + d_ * portable_log(v)) {
      variate = d_ * v;
      break;
    }
  }
  if (shape_ < 1) {
    // u^(1/k) underflows to 0 for tiny k; exp is cut where doubles end.
    const double exponent = portable_log(stream.uniform()) / shape_;
    variate *= exponent < -700 ? 0.0 : portable_exp(exponent);
  }
  return variate * scale_;
}

WeightedChoice::WeightedChoice(std::span<const double> weights) {
  double sum = 0;
  for (const double weight : weights) {
    DF_CHECK(std::isfinite(weight) && weight >= 0, "weight {}", weight);
    sum += weight;
    cumulative_.push_back(sum);
  }
  DF_CHECK(sum > 0 && std::isfinite(sum), "sum of weights {}", sum);
}

// The first i with u * total < w_0 + ... + w_i: entries of weight 0 are never chosen.
std::size_t WeightedChoice::from(double u) const {
  const double target = u * cumulative_.back();
  constexpr std::size_t kFew = 16;  // counted without branches: the draw cannot be predicted
  if (cumulative_.size() <= kFew) {
    std::size_t below = 0;
    for (const double sum : cumulative_) below += sum <= target ? 1 : 0;
    return std::min(below, cumulative_.size() - 1);
  }
  const auto at = std::upper_bound(cumulative_.begin(), cumulative_.end(), target);
  return std::min(static_cast<std::size_t>(at - cumulative_.begin()), cumulative_.size() - 1);
}

}  // namespace disagfusion
