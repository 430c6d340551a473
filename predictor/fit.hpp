// The fit: a non-linear regression of ln(seconds) with Gaussian priors, pooled effects and a robust
// likelihood. docs/models/predictor.md has the formulas.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "predictor/effects.hpp"

namespace disagfusion::predictor {

/// DiT stages and end to end; encoders and decoders, whose rows scatter far more; all stages whose
/// weights are streamed from host memory, at rates that hang on how it was done.
enum class Group : std::uint8_t { dit, other, streamed };
inline constexpr std::size_t kGroups = 3;
inline Group group_of(Asked asked, bool streamed) {
  if (streamed) return Group::streamed;
  return has_dit(asked) ? Group::dit : Group::other;
}

/// One measured row, ready to fit.
struct Observation {
  std::string id, model, gpu, framework, source, layout, stage;
  int line = 0;
  Group group = Group::dit;
  Features features;
  std::vector<Term> terms;
  double log_seconds = 0;
  double variance_factor = 1;  ///< of the noise; below 1 counts more
};

/// Parameters with their joint distribution, N(mean, covariance), and the spreads behind them.
struct Posterior {
  using Key = std::pair<std::uint8_t, std::string>;  ///< effect, level
  std::vector<Key> keys;                             ///< sorted
  Eigen::VectorXd mean;
  Eigen::MatrixXd covariance;
  std::array<double, kEffects> spread{};  ///< prior standard deviation of an effect's levels
  std::array<double, kGroups> noise{};    ///< standard deviation of ln(seconds) of one row

  /// Position of a parameter, or -1.
  [[nodiscard]] int find(std::uint8_t effect, const std::string& level) const;
};

struct Diagnostics {
  std::size_t rows = 0, parameters = 0;
  std::size_t rank = 0;     ///< of the weighted rows alone, without priors
  double condition = 0;     ///< of the posterior precision, scaled by the priors' spreads
  double least_weight = 0;  ///< of a row in the robust likelihood, 1 in the middle
  double mean_weight = 0;
};

/// Fits from the priors of effects(), spreads and noise estimated along (expectation maximisation);
/// or, with `before`, from what an earlier fit knows, its spreads and noise kept. Deterministic.
Posterior fit(const std::vector<Observation>& rows, const Posterior* before = nullptr);

/// The same knowledge with parameters for all these terms: what it lacked has its prior.
Posterior extended(const Posterior& posterior, const std::vector<std::vector<Term>>& terms);

/// d ln(seconds) / d parameter; all the terms' parameters must be there.
Eigen::VectorXd gradient_of(const Features& features, const std::vector<Term>& terms,
                            const Posterior& posterior);

/// How well the rows determine the posterior. Costs more than the fit's own steps.
Diagnostics diagnose(const std::vector<Observation>& rows, const Posterior& posterior);

/// The logarithmic coefficients of a question and the covariance of their uncertainty. Levels that
/// the posterior lacks count with their prior spread.
struct CoefficientBelief {
  Coefficients logarithms{};
  Eigen::Matrix<double, static_cast<int>(kCoefficients), static_cast<int>(kCoefficients)>
      covariance;
};
CoefficientBelief belief_of(const std::vector<Term>& terms, const Posterior& posterior);

/// ln(seconds) as expected, the standard deviation of that expectation, and with a row's noise.
struct LogPrediction {
  double mean = 0, parameter_sd = 0, row_sd = 0;
};
LogPrediction predict_log(const Features& features, const std::vector<Term>& terms, Group group,
                          const Posterior& posterior);

}  // namespace disagfusion::predictor
