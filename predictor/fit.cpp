#include "predictor/fit.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "base/check.hpp"

namespace disagfusion::predictor {
namespace {

constexpr int kRounds = 10;      // of estimating spreads
constexpr int kStepsARound = 2;  // Gauss and Newton's
constexpr double kLongestStep = 1;
constexpr double kSettled = 1e-7;
// Degrees of freedom of Student's t: few for encoders, whose published figures differ 30-fold.
constexpr std::array<double, kGroups> kFreedom = {4, 2, 4};
constexpr std::array<double, kGroups> kNoise = {0.08, 0.3, 0.2};  // first guess and prior
constexpr double kPriorRows = 4;  // that the guess of a spread counts

struct Sparse {
  std::vector<std::pair<int, double>> entries;  ///< parameter, d ln(seconds) / d parameter
};

/// Everything of one fit that changes from step to step.
class Solver {
 public:
  Solver(const std::vector<Observation>& rows, const Posterior* before);
  Posterior solve();

 private:
  void linearise();
  void step();
  void reweigh();
  void estimate_spreads();
  [[nodiscard]] Eigen::MatrixXd prior_precision() const;
  [[nodiscard]] Eigen::MatrixXd precision() const;
  [[nodiscard]] double weight(std::size_t row) const {
    const double noise = posterior_.noise[at_group(row)];
    return robust_[row] / (noise * noise * rows_[row].variance_factor);
  }
  [[nodiscard]] std::size_t at_group(std::size_t row) const {
    return static_cast<std::size_t>(rows_[row].group);
  }

  const std::vector<Observation>& rows_;
  bool updating_;
  bool settled_ = false;  ///< the last step was short
  Posterior posterior_;
  Eigen::VectorXd prior_mean_;
  Eigen::MatrixXd kept_precision_;  ///< where an earlier fit is continued
  std::vector<std::vector<int>> index_;
  std::vector<Sparse> jacobian_;
  std::vector<double> residuals_, robust_;
};

Coefficients logarithms_of(const std::vector<Term>& terms, const std::vector<int>& index,
                           const Eigen::VectorXd& mean) {
  Coefficients logarithms{};
  for (std::size_t t = 0; t < terms.size(); ++t)
    logarithms[at(effects()[terms[t].effect].coefficient)] += terms[t].value * mean[index[t]];
  return logarithms;
}

std::vector<std::vector<Term>> terms_of_all(const std::vector<Observation>& rows) {
  std::vector<std::vector<Term>> terms;
  for (const Observation& row : rows) terms.push_back(row.terms);
  return terms;
}

Solver::Solver(const std::vector<Observation>& rows, const Posterior* before)
    : rows_(rows), updating_(before != nullptr), robust_(rows.size(), 1) {
  Posterior nothing;
  nothing.noise = kNoise;
  std::vector<std::vector<Term>> terms = terms_of_all(rows);
  terms.emplace_back();
  for (std::uint8_t e = 0; e < kEffects; ++e) {
    nothing.spread[e] = effects()[e].sd;
    if (!effects()[e].pooled) terms.back().push_back({e, "", 1});
  }
  posterior_ = extended(before == nullptr ? nothing : *before, terms);
  prior_mean_ = posterior_.mean;
  if (updating_) {
    const auto size = posterior_.mean.size();
    kept_precision_ = posterior_.covariance.llt().solve(Eigen::MatrixXd::Identity(size, size));
  }
  for (const Observation& row : rows_) {
    std::vector<int> index;
    for (const Term& term : row.terms) index.push_back(posterior_.find(term.effect, term.level));
    index_.push_back(std::move(index));
  }
}

void Solver::linearise() {
  jacobian_.assign(rows_.size(), {});
  residuals_.assign(rows_.size(), 0);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const Observation& row = rows_[r];
    const Timing timing =
        time_of(row.features, factors_of(logarithms_of(row.terms, index_[r], posterior_.mean)));
    residuals_[r] = row.log_seconds - std::log(timing.seconds);
    for (std::size_t t = 0; t < row.terms.size(); ++t) {
      const double share = timing.elasticity[at(effects()[row.terms[t].effect].coefficient)];
      if (share != 0) jacobian_[r].entries.emplace_back(index_[r][t], share * row.terms[t].value);
    }
  }
}

Eigen::MatrixXd Solver::prior_precision() const {
  if (updating_) return kept_precision_;
  const auto size = static_cast<Eigen::Index>(posterior_.keys.size());
  Eigen::MatrixXd precision = Eigen::MatrixXd::Zero(size, size);
  for (Eigen::Index i = 0; i < size; ++i)
    precision(i, i) =
        1 / std::pow(posterior_.spread[posterior_.keys[static_cast<std::size_t>(i)].first], 2);
  return precision;
}

Eigen::MatrixXd Solver::precision() const {
  Eigen::MatrixXd sum = prior_precision();
  for (std::size_t r = 0; r < rows_.size(); ++r)
    for (const auto& [i, a] : jacobian_[r].entries)
      for (const auto& [j, b] : jacobian_[r].entries) sum(i, j) += weight(r) * a * b;
  return sum;
}

// Gauss-Newton on  sum_i w_i (y_i - ln t_i(x))^2 + (x - m)' P (x - m):
//   (J' W J + P) dx = J' W r + P (m - x),  each entry of dx held to +-1
void Solver::step() {
  linearise();
  Eigen::VectorXd right = prior_precision() * (prior_mean_ - posterior_.mean);
  for (std::size_t r = 0; r < rows_.size(); ++r)
    for (const auto& [i, share] : jacobian_[r].entries)
      right[i] += weight(r) * share * residuals_[r];
  const Eigen::VectorXd change = precision().llt().solve(right);
  DF_CHECK(change.allFinite(), "a step of the fit is not finite");
  posterior_.mean += change.cwiseMax(-kLongestStep).cwiseMin(kLongestStep);
  settled_ = change.cwiseAbs().maxCoeff() < kSettled;
}

// Student's t with v degrees of freedom as a weighted normal (Lange, Little, Taylor 1989):
//   w = (v + 1) / (v + r^2 / s^2)
void Solver::reweigh() {
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const std::size_t g = at_group(r);
    const double noise = posterior_.noise[g];
    const double z = residuals_[r] * residuals_[r] / (noise * noise * rows_[r].variance_factor);
    robust_[r] = (kFreedom[g] + 1) / (kFreedom[g] + z);
  }
}

// Expectation maximisation (Dempster, Laird, Rubin 1977) with the first guess counting 4 rows:
//   spread^2 = (sum x^2 + var x + 4 guess^2) / (levels + 4)
//   noise^2  = (sum w (r^2 + j' S j) + 4 guess^2) / (rows + 4)
void Solver::estimate_spreads() {
  std::array<double, kGroups> squares{}, counts{};
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    double leverage = 0;
    for (const auto& [i, a] : jacobian_[r].entries)
      for (const auto& [j, b] : jacobian_[r].entries)
        leverage += a * b * posterior_.covariance(i, j);
    squares[at_group(r)] += robust_[r] * (residuals_[r] * residuals_[r] + leverage);
    counts[at_group(r)] += 1;
  }
  for (std::size_t g = 0; g < kGroups; ++g)
    posterior_.noise[g] =
        std::sqrt((squares[g] + kPriorRows * kNoise[g] * kNoise[g]) / (counts[g] + kPriorRows));
  std::array<double, kEffects> sums{}, levels{};
  for (std::size_t i = 0; i < posterior_.keys.size(); ++i) {
    const auto at = static_cast<Eigen::Index>(i);
    const std::uint8_t effect = posterior_.keys[i].first;
    const double deviation = posterior_.mean[at] - prior_mean_[at];
    sums[effect] += deviation * deviation + posterior_.covariance(at, at);
    levels[effect] += 1;
  }
  for (std::size_t e = 0; e < kEffects; ++e) {
    if (!effects()[e].pooled) continue;
    const double guess = effects()[e].sd;
    posterior_.spread[e] =
        std::sqrt((sums[e] + kPriorRows * guess * guess) / (levels[e] + kPriorRows));
  }
}

Posterior Solver::solve() {
  const auto size = static_cast<Eigen::Index>(posterior_.keys.size());
  const Eigen::MatrixXd one = Eigen::MatrixXd::Identity(size, size);
  for (int round = 0; round < kRounds && !(updating_ && settled_); ++round) {
    for (int i = 0; i < kStepsARound; ++i) step();
    linearise();
    reweigh();
    if (updating_) continue;
    posterior_.covariance = precision().llt().solve(one);
    if (round + 1 < kRounds) estimate_spreads();
  }
  posterior_.covariance = precision().llt().solve(one);
  return std::move(posterior_);
}

}  // namespace

int Posterior::find(std::uint8_t effect, const std::string& level) const {
  const auto found = std::lower_bound(keys.begin(), keys.end(), Key(effect, level));
  if (found == keys.end() || *found != Key(effect, level)) return -1;
  return static_cast<int>(found - keys.begin());
}

Posterior extended(const Posterior& posterior, const std::vector<std::vector<Term>>& terms) {
  Posterior more;
  more.spread = posterior.spread;
  more.noise = posterior.noise;
  more.keys = posterior.keys;
  for (const std::vector<Term>& each : terms)
    for (const Term& term : each) more.keys.emplace_back(term.effect, term.level);
  std::sort(more.keys.begin(), more.keys.end());
  more.keys.erase(std::unique(more.keys.begin(), more.keys.end()), more.keys.end());
  const auto size = static_cast<Eigen::Index>(more.keys.size());
  more.mean.resize(size);
  more.covariance = Eigen::MatrixXd::Zero(size, size);
  std::vector<Eigen::Index> before;
  for (Eigen::Index i = 0; i < size; ++i) {
    const auto& [effect, level] = more.keys[static_cast<std::size_t>(i)];
    before.push_back(posterior.find(effect, level));
    const Eigen::Index old = before.back();
    more.mean[i] = old < 0 ? effects()[effect].mean : posterior.mean[old];
    if (old < 0) more.covariance(i, i) = std::pow(more.spread[effect], 2);
    for (Eigen::Index j = 0; old >= 0 && j <= i; ++j)
      if (before[static_cast<std::size_t>(j)] >= 0)
        more.covariance(i, j) = more.covariance(j, i) =
            posterior.covariance(old, before[static_cast<std::size_t>(j)]);
  }
  return more;
}

Eigen::VectorXd gradient_of(const Features& features, const std::vector<Term>& terms,
                            const Posterior& posterior) {
  std::vector<int> index;
  for (const Term& term : terms) {
    index.push_back(posterior.find(term.effect, term.level));
    DF_CHECK(index.back() >= 0, "no parameter of effect {}", effects()[term.effect].name);
  }
  const Timing timing = time_of(features, factors_of(logarithms_of(terms, index, posterior.mean)));
  Eigen::VectorXd gradient = Eigen::VectorXd::Zero(posterior.mean.size());
  for (std::size_t t = 0; t < terms.size(); ++t)
    gradient[index[t]] +=
        terms[t].value * timing.elasticity[at(effects()[terms[t].effect].coefficient)];
  return gradient;
}

Posterior fit(const std::vector<Observation>& rows, const Posterior* before) {
  DF_CHECK(!rows.empty(), "a fit without rows");
  return Solver(rows, before).solve();
}

CoefficientBelief belief_of(const std::vector<Term>& terms, const Posterior& posterior) {
  CoefficientBelief belief;
  belief.covariance.setZero();
  std::vector<int> index;
  for (const Term& term : terms) {
    const Effect& effect = effects()[term.effect];
    index.push_back(posterior.find(term.effect, term.level));
    const double mean = index.back() < 0 ? effect.mean : posterior.mean[index.back()];
    const std::size_t c = at(effect.coefficient);
    belief.logarithms[c] += term.value * mean;
    if (index.back() < 0) {
      const double spread = term.value * posterior.spread[term.effect];
      belief.covariance(static_cast<int>(c), static_cast<int>(c)) += spread * spread;
    }
  }
  for (std::size_t s = 0; s < terms.size(); ++s) {
    if (index[s] < 0) continue;
    const auto c = static_cast<int>(at(effects()[terms[s].effect].coefficient));
    for (std::size_t t = 0; t < terms.size(); ++t) {
      if (index[t] < 0) continue;
      const auto d = static_cast<int>(at(effects()[terms[t].effect].coefficient));
      belief.covariance(c, d) +=
          terms[s].value * terms[t].value * posterior.covariance(index[s], index[t]);
    }
  }
  return belief;
}

LogPrediction predict_log(const Features& features, const std::vector<Term>& terms, Group group,
                          const Posterior& posterior) {
  const CoefficientBelief belief = belief_of(terms, posterior);
  const Timing timing = time_of(features, factors_of(belief.logarithms));
  const Eigen::Map<const Eigen::Matrix<double, static_cast<int>(kCoefficients), 1>> share(
      timing.elasticity.data());
  const double variance = share.dot(belief.covariance * share);
  const double noise = posterior.noise[static_cast<std::size_t>(group)];
  return {std::log(timing.seconds), std::sqrt(variance), std::sqrt(variance + noise * noise)};
}

Diagnostics diagnose(const std::vector<Observation>& rows, const Posterior& posterior) {
  const auto size = static_cast<Eigen::Index>(posterior.keys.size());
  Diagnostics found;
  found.rows = rows.size();
  found.parameters = posterior.keys.size();
  found.least_weight = 1;
  Eigen::MatrixXd scaled = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(rows.size()), size);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::vector<int> index;
    for (const Term& term : rows[r].terms) index.push_back(posterior.find(term.effect, term.level));
    const Timing timing =
        time_of(rows[r].features, factors_of(logarithms_of(rows[r].terms, index, posterior.mean)));
    const auto g = static_cast<std::size_t>(rows[r].group);
    const double noise = posterior.noise[g] * std::sqrt(rows[r].variance_factor);
    const double z = (rows[r].log_seconds - std::log(timing.seconds)) / noise;
    const double weight = (kFreedom[g] + 1) / (kFreedom[g] + z * z);
    found.mean_weight += weight / static_cast<double>(rows.size());
    found.least_weight = std::min(found.least_weight, weight);
    for (std::size_t t = 0; t < index.size(); ++t) {
      const Term& term = rows[r].terms[t];
      scaled(static_cast<Eigen::Index>(r), index[t]) +=
          std::sqrt(weight) / noise * term.value * posterior.spread[term.effect] *
          timing.elasticity[at(effects()[term.effect].coefficient)];
    }
  }
  Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(scaled);
  qr.setThreshold(1e-8);
  found.rank = static_cast<std::size_t>(qr.rank());
  const Eigen::MatrixXd precision =
      scaled.transpose() * scaled + Eigen::MatrixXd::Identity(size, size);
  const Eigen::VectorXd values =
      Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(precision, Eigen::EigenvaluesOnly)
          .eigenvalues();
  found.condition = values[size - 1] / values[0];
  return found;
}

}  // namespace disagfusion::predictor
