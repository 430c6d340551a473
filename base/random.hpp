// Counter-based random streams: every draw is a pure function of (seed, purpose, id, index), so the
// same request meets the same luck under every policy (common random numbers), and a draw can be
// made out of order or again. The same bits come out on every machine: the generator is integer
// arithmetic, and the distributions use only IEEE additions, multiplications, divisions and roots
// (no libm, whose last bits differ between machines).
//
// Generator: Philox4x64-10. J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011; the Random123 library.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace disagfusion {

/// What a stream is drawn for. Values are part of the results: append, never renumber.
enum class Purpose : std::uint64_t {
  arrivals = 1,         ///< gaps between arrivals; id 0
  mix = 2,              ///< which mix entry a request is; id: request index
  service = 3,          ///< stage seconds; id: request index
  transfer_jitter = 4,  ///< network jitter of a transfer
  control_jitter = 5,   ///< jitter of the control plane
  belief_error = 6,     ///< deliberate error of the belief
  faults = 7,
  search = 8,               ///< choices of a search (tune, plan)
  weights = 9,              ///< noise of the built-in model and other synthetic data
  load = 10,                ///< choices of the load generator
  measurement_choice = 11,  ///< which rows a learning curve takes
  test = 1000,
};

/// Four consecutive 64-bit draws: draws 4 block ... 4 block + 3 of stream (seed, purpose, id, sub).
std::array<std::uint64_t, 4> draw_block(std::uint64_t seed, Purpose purpose, std::uint64_t id,
                                        std::uint64_t block, std::uint64_t sub = 0);

/// The index-th 64-bit draw of RandomStream(seed, purpose, id), without state.
std::uint64_t draw(std::uint64_t seed, Purpose purpose, std::uint64_t id, std::uint64_t index);

/// Uniform on the open interval (0, 1) from 64 random bits: (floor(bits / 2^12) + 1/2) / 2^52. The
/// 2^52 values are exact doubles, and neither 0 nor 1 is among them.
constexpr double to_unit(std::uint64_t bits) {
  return (static_cast<double>(bits >> 12U) + 0.5) * 0x1p-52;
}

// ---- elementary functions, the same bits everywhere --------------------------------------------

/// Natural logarithm of a positive, normal, finite x; relative error below 4e-16 (2 ulp).
double portable_log(double x);
/// e^x for |x| <= 700; relative error below 4e-16.
double portable_exp(double x);
/// Quantile of the standard normal distribution, 0 < p < 1; relative error about 1e-15.
double normal_quantile(double p);

// ---- quantiles: one uniform in, one variate out ------------------------------------------------

/// Exponential with the given mean: x = -mean ln u.
inline double exponential_from(double u, double mean) { return -mean * portable_log(u); }

/// A sequence of draws. Cheap to make (no allocation); one Philox call serves four draws.
class RandomStream {
 public:
  /// `sub` splits a stream further, e.g. by (stage, attempt) where a variate takes many draws.
  RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t id, std::uint64_t sub = 0)
      : seed_(seed), purpose_(purpose), id_(id), sub_(sub) {}

  /// The next 64 random bits.
  std::uint64_t bits() {
    const std::uint64_t lane = index_ & 3U;
    if (lane == 0) block_ = draw_block(seed_, purpose_, id_, index_ >> 2U, sub_);
    ++index_;
    return block_[lane];
  }
  /// Uniform on (0, 1), both ends excluded.
  double uniform() { return to_unit(bits()); }
  /// Exponential with the given mean. One draw.
  double exponential(double mean) { return exponential_from(uniform(), mean); }
  /// Standard normal, by inversion: monotone in its draw. One draw.
  double normal() { return normal_quantile(uniform()); }
  /// True with probability p. One draw.
  bool bernoulli(double p) { return uniform() < p; }

  /// How many draws were taken.
  [[nodiscard]] std::uint64_t index() const { return index_; }
  /// Goes on with draw `index`.
  void seek(std::uint64_t index);

 private:
  std::uint64_t seed_;
  Purpose purpose_;
  std::uint64_t id_, sub_;
  std::uint64_t index_ = 0;
  std::array<std::uint64_t, 4> block_{};
};

/// Lognormal with a given mean and coefficient of variation (standard deviation / mean).
class LognormalDistribution {
 public:
  /// mean > 0 and cv >= 0; cv 0 is the constant `mean`.
  LognormalDistribution(double mean, double cv);
  /// One draw of the stream.
  double operator()(RandomStream& stream) const { return from(stream.uniform()); }
  /// The quantile of u in (0, 1).
  [[nodiscard]] double from(double u) const;

 private:
  double mu_, sigma_;
  double mean_;
};

/// Gamma with a given mean and coefficient of variation. Takes two draws or more.
class GammaDistribution {
 public:
  /// mean > 0 and cv >= 0; cv 0 is the constant `mean`, cv 1 the exponential distribution.
  GammaDistribution(double mean, double cv);
  double operator()(RandomStream& stream) const;

 private:
  double mean_;
  double shape_ = 0;      ///< 1 / cv^2; 0 stands for "constant"
  double scale_ = 0;      ///< mean cv^2
  double d_ = 0, c_ = 0;  ///< Marsaglia and Tsang's constants
};

/// A choice among 0 ... n-1 with probabilities proportional to weights.
class WeightedChoice {
 public:
  WeightedChoice() = default;
  /// Weights are finite, not negative, and at least one is positive.
  explicit WeightedChoice(std::span<const double> weights);
  /// The choice that u in (0, 1) makes.
  [[nodiscard]] std::size_t from(double u) const;
  [[nodiscard]] std::size_t size() const { return cumulative_.size(); }

 private:
  std::vector<double> cumulative_;  ///< sums of the weights up to and including i
};

}  // namespace disagfusion
