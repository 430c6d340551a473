#include "predictor/cross_validation.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "predictor/baselines.hpp"

namespace disagfusion::predictor {
namespace {

constexpr double kNormal95 = 1.6448536269514722;
constexpr double kCoverage = 0.9;

const std::string& group_name(const Observation& row, LeftOut what) {
  if (what == LeftOut::model) return row.model;
  return what == LeftOut::gpu ? row.gpu : row.source;
}

/// Rows of the group that may be judged.
std::vector<std::size_t> judged(const std::vector<Observation>& rows, LeftOut what,
                                const std::string& name) {
  std::set<std::string> models, gpus;
  for (const Observation& row : rows) {
    if (group_name(row, what) == name) continue;
    models.insert(row.model);
    gpus.insert(row.gpu);
  }
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (group_name(rows[i], what) != name) continue;
    if (what != LeftOut::source || (models.contains(rows[i].model) && gpus.contains(rows[i].gpu)))
      result.push_back(i);
  }
  return result;
}

}  // namespace

const char* name_of(LeftOut what) {
  if (what == LeftOut::source) return "source";
  return what == LeftOut::gpu ? "gpu" : "model";
}

std::vector<HeldOut> leave_out(const std::vector<Observation>& rows, LeftOut what) {
  std::set<std::string> names;
  for (const Observation& row : rows) names.insert(group_name(row, what));
  std::vector<HeldOut> result;
  for (const std::string& name : names) {
    std::vector<Observation> kept;
    for (const Observation& row : rows)
      if (group_name(row, what) != name) kept.push_back(row);
    const std::vector<std::size_t> left = judged(rows, what, name);
    if (kept.empty() || left.empty()) continue;
    const Posterior posterior = fit(kept);
    for (const std::size_t i : left) {
      HeldOut held;
      held.row = i;
      held.predicted = predict_log(rows[i].features, rows[i].terms, rows[i].group, posterior);
      held.error = held.predicted.mean - rows[i].log_seconds;
      held.constant_utilisation = constant_utilisation(rows[i], kept);
      held.nearest_neighbour = nearest_neighbour(rows[i], kept);
      result.push_back(held);
    }
  }
  std::sort(result.begin(), result.end(),
            [](const HeldOut& a, const HeldOut& b) { return a.row < b.row; });
  return result;
}

double conformal_factor(const std::vector<HeldOut>& held_out, const std::vector<Observation>& rows,
                        Group group) {
  std::vector<double> scores;
  for (const HeldOut& held : held_out)
    if (rows[held.row].group == group)
      scores.push_back(std::abs(held.error) / held.predicted.row_sd);
  if (scores.size() < kFewestHeldOut) return kNormal95;
  std::sort(scores.begin(), scores.end());
  const auto rank =
      static_cast<std::size_t>(std::ceil(kCoverage * static_cast<double>(scores.size() + 1)));
  return scores[std::min(rank, scores.size()) - 1];
}

}  // namespace disagfusion::predictor
