#include "predictor/learning_curve.hpp"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/random.hpp"
#include "predictor/csv_rows.hpp"
#include "predictor/fitted.hpp"

namespace disagfusion::predictor {
namespace {

constexpr std::size_t kMostOwnRows = 6;
constexpr std::size_t kDraws = 10;
constexpr std::uint64_t kSeed = 5;

using Rows = std::vector<Observation>;

/// A permutation of 0 .. n - 1 (Fisher and Yates).
std::vector<std::size_t> shuffled(std::size_t n, std::uint64_t draw_number) {
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i;
  for (std::size_t i = n; i > 1; --i) {
    const double u = to_unit(draw(kSeed, Purpose::measurement_choice, draw_number, i));
    std::swap(order[i - 1],
              order[std::min(i - 1, static_cast<std::size_t>(u * static_cast<double>(i)))]);
  }
  return order;
}

/// The row that, measured, leaves the rows' expectations the least variance in all: the largest
/// sum_j (g_j' S g_i)^2 / (g_i' S g_i + noise).
std::size_t most_helpful(const Rows& own, const std::vector<std::size_t>& chosen,
                         const Posterior& posterior) {
  std::vector<std::vector<Term>> terms;
  for (const Observation& row : own) terms.push_back(row.terms);
  const Posterior all = extended(posterior, terms);
  const auto count = static_cast<Eigen::Index>(own.size());
  Eigen::MatrixXd gradients(all.mean.size(), count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const Observation& row = own[static_cast<std::size_t>(i)];
    gradients.col(i) = gradient_of(row.features, row.terms, all);
  }
  const Eigen::MatrixXd common = gradients.transpose() * (all.covariance * gradients);
  std::size_t best = own.size();
  double most = -1;
  for (Eigen::Index i = 0; i < count; ++i) {
    const auto row = static_cast<std::size_t>(i);
    if (std::find(chosen.begin(), chosen.end(), row) != chosen.end()) continue;
    const double noise = all.noise[static_cast<std::size_t>(own[row].group)];
    const double gain = common.col(i).squaredNorm() / (common(i, i) + kOwnVariance * noise * noise);
    if (gain <= most) continue;
    most = gain;
    best = row;
  }
  return best;
}

class Curve {
 public:
  Curve(const std::string& gpu, const std::string& framework, Rows own, const Posterior& before)
      : where_(csv_field(gpu) + "," + csv_field(framework)),
        own_(std::move(own)),
        before_(before) {}

  void random() {
    for (std::size_t d = 0; d < kDraws; ++d) {
      const auto order = shuffled(own_.size(), d);
      for (std::size_t k = 0; k <= std::min(kMostOwnRows, own_.size() - 1); ++k)
        judge("random", d, {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k)});
    }
  }
  void helpful() {
    std::vector<std::size_t> chosen;
    Posterior posterior = before_;
    for (std::size_t k = 0; k <= std::min(kMostOwnRows, own_.size() - 1); ++k) {
      judge("helpful", 0, chosen);
      chosen.push_back(most_helpful(own_, chosen, posterior));
      posterior = after(chosen);
    }
  }
  std::string take() { return std::move(text_); }

 private:
  [[nodiscard]] Posterior after(const std::vector<std::size_t>& chosen) const {
    if (chosen.empty()) return before_;
    Rows measured;
    for (const std::size_t i : chosen) {
      measured.push_back(own_[i]);
      measured.back().variance_factor *= kOwnVariance;
    }
    return fit(measured, &before_);
  }
  void judge(const char* choice, std::size_t draw_number, const std::vector<std::size_t>& chosen) {
    const Posterior posterior = after(chosen);
    std::set<std::string> measured;
    for (const std::size_t i : chosen) measured.insert(own_[i].model);
    for (const Observation& row : own_) {
      if (measured.contains(row.model)) continue;
      const double error =
          predict_log(row.features, row.terms, row.group, posterior).mean - row.log_seconds;
      text_ += fmt::format("{},{},{},{},{},{:.4f}\n", where_, choice, chosen.size(), draw_number,
                           csv_field(row.id), error);
    }
  }

  std::string where_;
  Rows own_;
  const Posterior& before_;
  std::string text_;
};

}  // namespace

std::string learning_curve_csv(const std::vector<Observation>& rows) {
  std::map<std::string, std::set<std::string>> frameworks;  // by GPU type
  for (const Observation& row : rows)
    if (row.group == Group::dit) frameworks[row.gpu].insert(framework_of(row.framework));
  std::string text = "gpu,framework,choice,own_rows,draw,id,error\n";
  for (const auto& [gpu, used] : frameworks) {
    Rows others;
    for (const Observation& row : rows)
      if (row.gpu != gpu) others.push_back(row);
    if (others.empty()) continue;
    const Posterior before = fit(others);
    for (const std::string& framework : used) {
      Rows own;
      std::set<std::string> models;
      for (const Observation& row : rows)
        if (row.gpu == gpu && row.group == Group::dit && framework_of(row.framework) == framework) {
          own.push_back(row);
          models.insert(row.model);
        }
      if (models.size() < 2) continue;
      Curve curve(gpu, framework, std::move(own), before);
      curve.random();
      curve.helpful();
      text += curve.take();
    }
  }
  return text;
}

}  // namespace disagfusion::predictor
