#include "predictor/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "base/sha256.hpp"
#include "predictor/fitted.hpp"
#include "predictor/question_rows.hpp"

namespace disagfusion::predictor {
namespace {

constexpr double kContradiction = 1.25;
constexpr double kUnits = 150;
constexpr double kInferredVariance = 2, kChartVariance = 4;
constexpr double kWorstCondition = 1e10;
constexpr double kLeastMeanWeight = 0.5;

/// Of the noise of a row, by its `quality`: all settings stated, some inferred, read off a chart.
double variance_of(const std::string& quality) {
  if (quality == "C") return kChartVariance;
  return quality == "B" ? kInferredVariance : 1;
}

/// Stages of the table that take no time on a GPU, or that no formula covers.
bool is_timed(const std::string& stage) {
  return !stage.starts_with("transfer") && stage != "memory_only";
}
bool is_fitted(const std::string& split) {
  return split.empty() || split == "calibrate" || split == "reference_offload";
}

class RowsReader {
 public:
  RowsReader(const std::string& file, const Columns& columns, const Catalogue& catalogue,
             const Posterior& expected, Problems& problems)
      : file_(file),
        columns_(columns),
        catalogue_(catalogue),
        expected_(expected),
        problems_(problems) {}

  void read(const CsvRow& row, MeasuredRows& rows);

 private:
  void problem(const CsvRow& row, const std::string& column, std::string expected, std::string got,
               std::string nearest = {}) const {
    const CsvField* field = columns_.field(row, column.c_str());
    problems_.push_back({file_, row.line, field == nullptr ? 1 : field->column, column,
                         std::move(expected), std::move(got), std::move(nearest)});
  }
  void refuse(const CsvRow& row, const Problems& why);
  [[nodiscard]] std::optional<double> seconds(const CsvRow& row) const;
  void check_twins(const CsvRow& row, double seconds);
  void check_units(const CsvRow& row, const Observation& observation) const;

  const std::string& file_;
  const Columns& columns_;
  const Catalogue& catalogue_;
  const Posterior& expected_;
  Problems& problems_;
  std::map<std::string, int> lines_by_id_;
  std::set<std::string> told_;                                ///< of files that rows name
  std::map<std::string, std::pair<int, double>> by_setting_;  ///< line and seconds
};

/// What is wrong in a file that several rows name is told once.
void RowsReader::refuse(const CsvRow& row, const Problems& why) {
  for (const Problem& each : why) {
    if (each.file.empty()) {
      problem(row, column_of(each.path), each.expected, each.got, each.nearest);
    } else if (told_.insert(each.text()).second) {
      problems_.push_back(each);
    }
  }
}

std::optional<double> RowsReader::seconds(const CsvRow& row) const {
  const std::size_t before = problems_.size();
  const auto seconds = RowReader(columns_, row, file_, problems_).number("seconds");
  if (seconds && *seconds > 0) return seconds;
  if (problems_.size() == before)
    problem(row, "seconds", "measured seconds above 0",
            seconds ? columns_.text(row, "seconds") : "nothing");
  return std::nullopt;
}

void RowsReader::check_twins(const CsvRow& row, double seconds) {
  const std::string id = columns_.text(row, "id");
  const auto [known, fresh] = lines_by_id_.emplace(id, row.line);
  if (!fresh && !id.empty())
    problem(row, "id", "each id once", fmt::format("{} again (line {})", id, known->second));
  std::string setting;
  for (const char* column :
       {"model", "stage", "width", "height", "frames", "steps", "passes_per_step", "batch", "dtype",
        "gpu", "num_gpus", "parallel", "framework", "offload", "notes", "source"})
    setting += columns_.text(row, column) + '\n';
  const auto [twin, first] = by_setting_.emplace(setting, std::make_pair(row.line, seconds));
  if (first) return;
  const double ratio = seconds / twin->second.second;
  if (std::max(ratio, 1 / ratio) > kContradiction)
    problem(row, "seconds",
            fmt::format("about {} s, as line {} has in the same setting", twin->second.second,
                        twin->second.first),
            columns_.text(row, "seconds"));
}

void RowsReader::check_units(const CsvRow& row, const Observation& observation) const {
  const LogPrediction predicted =
      predict_log(observation.features, observation.terms, observation.group, expected_);
  const double ratio = std::exp(observation.log_seconds - predicted.mean);
  if (ratio < kUnits && ratio > 1 / kUnits) return;
  problem(row, "seconds",
          fmt::format("about {:.3g} s (are these {}?)", std::exp(predicted.mean),
                      ratio > 1 ? "milliseconds" : "thousands of seconds"),
          columns_.text(row, "seconds"));
}

void RowsReader::read(const CsvRow& row, MeasuredRows& rows) {
  if (!is_fitted(columns_.text(row, "split")) || !is_timed(columns_.text(row, "stage"))) {
    ++rows.left_out;
    return;
  }
  const std::size_t before = problems_.size();
  const PredictOptions options = options_of(columns_, row, file_, problems_);
  if (problems_.size() > before) return;
  const auto measured = seconds(row);
  const auto question = question_of(options, catalogue_);
  if (!question) refuse(row, question.error());
  if (!question || !measured) return;
  check_twins(row, *measured);
  const Setting& setting = question->setting;
  Observation observation;
  observation.id = columns_.text(row, "id");
  observation.model = setting.model;
  observation.gpu = setting.gpu;
  observation.framework = setting.framework;
  observation.source = setting.source;
  observation.layout = layout_class(question->work.layout);
  observation.stage = columns_.text(row, "stage");
  observation.line = row.line;
  observation.group = group_of(question->work.asked, question->work.offload);
  observation.features = features_of(question->architecture(), question->gpu, question->work);
  observation.terms = terms_of(question->architecture(), question->gpu, question->work, setting);
  observation.log_seconds = std::log(*measured);
  observation.variance_factor = variance_of(columns_.text(row, "quality"));
  check_units(row, observation);
  rows.observations.push_back(std::move(observation));
}

// ---- what a fit leaves behind ------------------------------------------------------------------

/// What was measured with resident weights counts as seen where they are streamed, and nothing the
/// other way round.
void note_seen(const std::vector<Observation>& rows, Profile& profile) {
  for (const Observation& row : rows)
    for (const Group group : {row.group, Group::streamed}) {
      Seen& seen = profile.seen[static_cast<std::size_t>(group)];
      seen.models.insert(row.model);
      seen.gpus.insert(row.gpu);
      if (!row.layout.empty()) seen.layouts.insert(row.layout);
    }
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

bool counts_in(const Observation& row, const std::string& stages) {
  if (stages == "streamed weights") return row.group == Group::streamed;
  if (row.group == Group::streamed) return false;
  return stages == "dit and end_to_end" ? row.group == Group::dit : row.stage == stages;
}

std::optional<HeldOutErrors> errors_of(LeftOut what, const std::string& stages,
                                       const std::vector<HeldOut>& held_out,
                                       const std::vector<Observation>& rows,
                                       const Profile& profile) {
  HeldOutErrors errors;
  errors.left_out = name_of(what);
  errors.stages = stages;
  std::vector<double> misses;
  double inside = 0;
  for (const HeldOut& held : held_out) {
    const Observation& row = rows[held.row];
    if (!counts_in(row, stages)) continue;
    misses.push_back(std::abs(std::exp(held.error) - 1));
    const double reach =
        profile.reach[static_cast<std::size_t>(row.group)][static_cast<std::size_t>(what)];
    inside += std::abs(held.error) <= reach * held.predicted.row_sd ? 1 : 0;
  }
  if (misses.empty()) return std::nullopt;
  errors.rows = misses.size();
  errors.median = quantile(misses, 0.5);
  errors.p90 = quantile(misses, 0.9);
  errors.inside = inside / static_cast<double>(misses.size());
  return errors;
}

void cross_validate(const MeasuredRows& rows, const CalibrateOptions& options, Profile& profile) {
  constexpr std::array<LeftOut, kLeftOut> kEach = {LeftOut::source, LeftOut::gpu, LeftOut::model};
  for (const LeftOut what : kEach) {
    std::vector<HeldOut> held_out = leave_out(rows.observations, what);
    for (const Group group : {Group::dit, Group::other, Group::streamed})
      profile.reach[static_cast<std::size_t>(group)][static_cast<std::size_t>(what)] =
          conformal_factor(held_out, rows.observations, group);
    for (const char* stages : {"dit and end_to_end", "encoder", "decoder", "streamed weights"})
      if (const auto errors = errors_of(what, stages, held_out, rows.observations, profile))
        profile.errors.push_back(*errors);
    if (options.held_out != nullptr) options.held_out->push_back(std::move(held_out));
  }
}

/// Why the fit is no use: it is not determined, or most rows contradict it (those are named).
Problems unfit(const std::vector<Observation>& rows, const std::string& file,
               const Profile& profile) {
  const Diagnostics& found = profile.diagnostics;
  if (!profile.posterior.mean.allFinite() || !(found.condition < kWorstCondition))
    return {{file, 0, 0, "", "rows that determine a fit",
             fmt::format("a condition of {:.2g}", found.condition), ""}};
  Problems problems;
  if (found.mean_weight >= kLeastMeanWeight) return problems;
  for (const Observation& row : rows) {
    const LogPrediction fitted = predict_log(row.features, row.terms, row.group, profile.posterior);
    const double ratio = std::exp(row.log_seconds - fitted.mean);
    if (std::max(ratio, 1 / ratio) < kContradiction) continue;
    problems.push_back(
        {file, row.line, 1, "seconds",
         fmt::format("about {:.3g} s, even after fitting to this file", std::exp(fitted.mean)),
         fmt::format("{:.3g} ({:.2g} times that)", std::exp(row.log_seconds), ratio), ""});
  }
  if (problems.empty())
    problems.push_back({file, 0, 0, "", "rows that agree with one another and with the prior",
                        fmt::format("a mean weight of {:.2g}", found.mean_weight), ""});
  return problems;
}

}  // namespace

Posterior priors() {
  Posterior posterior;
  for (std::uint8_t e = 0; e < kEffects; ++e) {
    posterior.spread[e] = effects()[e].sd;
    if (!effects()[e].pooled) posterior.keys.emplace_back(e, "");
  }
  const auto size = static_cast<Eigen::Index>(posterior.keys.size());
  posterior.mean.resize(size);
  posterior.covariance = Eigen::MatrixXd::Zero(size, size);
  for (Eigen::Index i = 0; i < size; ++i) {
    const Effect& effect = effects()[posterior.keys[static_cast<std::size_t>(i)].first];
    posterior.mean[i] = effect.mean;
    posterior.covariance(i, i) = effect.sd * effect.sd;
  }
  posterior.noise = {0.1, 0.5, 0.3};
  return posterior;
}

Result<MeasuredRows> read_measured_rows(const std::string& text, const std::string& file,
                                        const Catalogue& catalogue, const Posterior& expected) {
  auto parsed = parse_csv(text, file);
  if (!parsed) return tl::unexpected<Problems>(std::move(parsed.error()));
  Problems problems;
  const Columns columns(parsed->front(), file, problems);
  if (!problems.empty()) return fail(std::move(problems));
  MeasuredRows rows;
  rows.sha256 = sha256_hex(text);
  const Catalogue cached = remembering(catalogue);
  RowsReader reader(file, columns, cached, expected, problems);
  for (std::size_t i = 1; i < parsed->size(); ++i) reader.read((*parsed)[i], rows);
  if (rows.observations.empty() && problems.empty())
    problems.push_back({file, 1, 1, "", "rows to fit",
                        fmt::format("none ({} are for reference)", rows.left_out), ""});
  if (!problems.empty()) return fail(std::move(problems));
  return rows;
}

Result<Profile> calibrate(const MeasuredRows& rows, const std::string& file,
                          const CalibrateOptions& options) {
  Profile profile;
  std::vector<Observation> observations = rows.observations;
  if (options.prior != nullptr) {
    profile = *options.prior;
    const auto& known = profile.sha256;
    if (std::find(known.begin(), known.end(), rows.sha256) != known.end())
      return fail(Problem{file, 0, 0, "", "rows that the prior was not made from",
                          "rows that it was made from (they would count twice)", ""});
    for (Observation& row : observations) row.variance_factor *= kOwnVariance;
  }
  profile.date = options.date;
  profile.sha256.push_back(rows.sha256);
  profile.posterior =
      fit(observations, options.prior == nullptr ? nullptr : &options.prior->posterior);
  profile.diagnostics = diagnose(observations, profile.posterior);
  if (Problems problems = unfit(observations, file, profile); !problems.empty())
    return fail(std::move(problems));
  note_seen(observations, profile);
  if (options.prior == nullptr) cross_validate(rows, options, profile);
  return profile;
}

std::string doubt_of(const Profile& profile) {
  if (intervals_judged(profile, Group::dit) || intervals_judged(profile, Group::other) ||
      intervals_judged(profile, Group::streamed))
    return {};
  const Diagnostics& found = profile.diagnostics;
  std::string text = fmt::format(
      "rank {} of {} parameters ({} {}, {} effects common to all settings): the priors "
      "decide most; intervals are theirs",
      found.rank, found.parameters, found.rows, found.rows == 1 ? "row" : "rows", common_effects());
  if (profile.errors.empty()) text += ", and no row could be held out to check them";
  return text;
}

std::string held_out_csv(const std::vector<std::vector<HeldOut>>& held_out,
                         const std::vector<Observation>& rows) {
  std::string text =
      "id,left_out,stage,model,gpu,layout,framework,streamed,measured_s,predicted_s,lo_s,hi_s,"
      "constant_utilisation_s,nearest_neighbour_s\n";
  for (std::size_t what = 0; what < held_out.size(); ++what) {
    const auto name = [&](const HeldOut& held) {
      const Observation& row = rows[held.row];
      return what == 0 ? row.source : (what == 1 ? row.gpu : row.model);
    };
    std::map<std::pair<std::string, Group>, double> reach;
    for (const HeldOut& held : held_out[what]) {
      const Observation& row = rows[held.row];
      const auto key = std::make_pair(name(held), row.group);
      if (!reach.contains(key)) {
        std::vector<HeldOut> others;
        for (const HeldOut& other : held_out[what])
          if (name(other) != key.first) others.push_back(other);
        reach[key] = conformal_factor(others, rows, row.group);
      }
      const double wide = std::exp(reach[key] * held.predicted.row_sd);
      const double predicted = std::exp(held.predicted.mean);
      text += fmt::format("{},{},{},{},{},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g},{:.6g}\n",
                          csv_field(row.id), name_of(static_cast<LeftOut>(what)), row.stage,
                          csv_field(row.model), csv_field(row.gpu), row.layout,
                          csv_field(row.framework), row.group == Group::streamed ? 1 : 0,
                          std::exp(row.log_seconds), predicted, predicted / wide, predicted * wide,
                          std::exp(held.constant_utilisation), std::exp(held.nearest_neighbour));
    }
  }
  return text;
}

}  // namespace disagfusion::predictor
