#include "predictor/profile.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>

#include "base/config_parser.hpp"
#include "base/config_reader.hpp"

namespace disagfusion::predictor {
namespace {

constexpr std::array<const char*, kGroups> kGroupNames = {"dit", "other", "streamed"};
constexpr std::array<const char*, kLeftOut> kReachNames = {"seen", "unseen_gpu", "unseen_model"};
constexpr double kLargestRows = 1e9;

std::string names_text(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + yaml_text(name);
  return "[" + text + "]";
}

std::string parameter_text(const Posterior& posterior, std::size_t i) {
  const auto& [effect, level] = posterior.keys[i];
  const auto at = static_cast<Eigen::Index>(i);
  const std::string of = level.empty() ? "" : fmt::format("level: {}, ", yaml_text(level));
  return fmt::format("  - {{effect: {}, {}mean: {:.5g}, sd: {:.4g}}}\n", effects()[effect].name, of,
                     posterior.mean[at], std::sqrt(posterior.covariance(at, at)));
}

/// Correlations below the diagonal, in millionths.
std::string correlation_text(const Posterior& posterior, std::size_t i) {
  std::string row;
  const auto at = static_cast<Eigen::Index>(i);
  for (Eigen::Index j = 0; j < at; ++j) {
    const double scale = std::sqrt(posterior.covariance(at, at) * posterior.covariance(j, j));
    row += fmt::format("{}{:.0f}", j == 0 ? "" : " ", 1e6 * posterior.covariance(at, j) / scale);
  }
  return fmt::format("  - \"{}\"\n", row);
}

// ---- reading -----------------------------------------------------------------------------------

/// Whole numbers of a text, one space between.
bool read_integers(const std::string& text, std::vector<double>& numbers) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int value = 0;
    const auto [stop, error] = std::from_chars(at, end, value);
    if (error != std::errc()) return false;
    numbers.push_back(value);
    at = stop;
    if (at < end && *at++ != ' ') return false;
  }
  return true;
}

std::uint8_t read_effect(MapReader& map) {
  std::vector<std::string> names;
  for (const Effect& effect : effects()) names.emplace_back(effect.name);
  const std::string name = map.required("effect", as_choice(names));
  const auto found = std::find(names.begin(), names.end(), name);
  return static_cast<std::uint8_t>(found == names.end() ? 0 : found - names.begin());
}

struct ReadParameter {
  Posterior::Key key;
  double mean = 0, sd = 0;
};

std::vector<ReadParameter> read_parameters(MapReader& root) {
  std::vector<ReadParameter> parameters;
  const auto list = root.required("parameters", as_list_of(as_node("a parameter"), 1));
  for (const ConfigNode& node : list) {
    MapReader map(node, root.problems());
    ReadParameter parameter;
    const std::size_t before = root.problems().size();
    const std::uint8_t effect = read_effect(map);
    const std::string level = map.get("level", as_text(), std::string());
    parameter.key = {effect, level};
    parameter.mean = map.required("mean", as_number(-50, 50));
    parameter.sd = map.required("sd", as_positive_number(50));
    map.finish();
    const bool read = root.problems().size() == before;
    if (read && effects()[effect].pooled == level.empty())
      map.wrong("level",
                level.empty() ? "a level of a pooled effect" : "none, the effect is common",
                level.empty() ? "none" : level);
    if (read && !parameters.empty() && !(parameters.back().key < parameter.key))
      root.problems().push_back(problem_at(
          node.place(), "parameters in the order of their effects and levels, each once", level));
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

void read_covariance(MapReader& root, const std::vector<ReadParameter>& parameters,
                     Posterior& posterior) {
  const auto size = static_cast<Eigen::Index>(parameters.size());
  const auto rows = root.required("correlations", as_list_of(as_node("a line of numbers"), 1));
  posterior.covariance = Eigen::MatrixXd::Zero(size, size);
  posterior.mean.resize(size);
  if (rows.size() != parameters.size()) {
    root.wrong("correlations", fmt::format("{} lines, one a parameter", parameters.size()),
               fmt::format("{}", rows.size()));
    return;
  }
  for (Eigen::Index i = 0; i < size; ++i) {
    const auto at = static_cast<std::size_t>(i);
    std::vector<double> row;
    if (!read_integers(rows[at].text(), row) || row.size() != at) {
      root.problems().push_back(problem_at(rows[at].place(),
                                           fmt::format("{} whole numbers, one space between", at),
                                           rows[at].shown()));
      return;
    }
    posterior.keys.push_back(parameters[at].key);
    posterior.mean[i] = parameters[at].mean;
    posterior.covariance(i, i) = parameters[at].sd * parameters[at].sd;
    for (Eigen::Index j = 0; j < i; ++j)
      posterior.covariance(i, j) = posterior.covariance(j, i) =
          1e-6 * row[static_cast<std::size_t>(j)] * parameters[at].sd *
          parameters[static_cast<std::size_t>(j)].sd;
  }
  if (posterior.covariance.llt().info() != Eigen::Success)
    root.wrong("correlations", "correlations of a distribution (a positive definite matrix)",
               "others");
}

void read_numbers(MapReader& root, Posterior& posterior) {
  MapReader noise(root.required("noise", as_node("a map")), root.problems());
  for (std::size_t g = 0; g < kGroups; ++g)
    posterior.noise[g] = noise.required(kGroupNames[g], as_positive_number(10));
  noise.finish();
  MapReader spread(root.required("spread", as_node("a map")), root.problems());
  for (std::size_t e = 0; e < kEffects; ++e)
    posterior.spread[e] = spread.required(effects()[e].name, as_positive_number(10));
  spread.finish();
}

void read_reach(MapReader& root, Profile& profile) {
  MapReader map(root.required("reach", as_node("a map")), root.problems());
  for (std::size_t g = 0; g < kGroups; ++g) {
    MapReader group(map.required(kGroupNames[g], as_node("a map")), root.problems());
    for (std::size_t c = 0; c < kLeftOut; ++c)
      profile.reach[g][c] = group.required(kReachNames[c], as_positive_number(100));
    group.finish();
  }
  map.finish();
}

void read_seen(MapReader& root, Profile& profile) {
  MapReader map(root.required("seen", as_node("a map")), root.problems());
  for (std::size_t g = 0; g < kGroups; ++g) {
    MapReader group(map.required(kGroupNames[g], as_node("a map")), root.problems());
    const auto names = [&group](const char* key) {
      const auto list = group.required(key, as_list_of(as_text()));
      return std::set<std::string>(list.begin(), list.end());
    };
    profile.seen[g] = {names("models"), names("gpus"), names("layouts")};
    group.finish();
  }
  map.finish();
}

void read_diagnostics(MapReader& root, Diagnostics& found) {
  MapReader map(root.required("checks", as_node("a map")), root.problems());
  found.rows = static_cast<std::size_t>(map.required("rows", as_number(1, kLargestRows)));
  found.parameters =
      static_cast<std::size_t>(map.required("parameters", as_number(1, kLargestRows)));
  found.rank = static_cast<std::size_t>(map.required("rank", as_number(0, kLargestRows)));
  found.condition = map.required("condition", as_positive_number(1e15));
  found.least_weight = map.required("least_weight", as_number(0, 10));
  found.mean_weight = map.required("mean_weight", as_number(0, 10));
  map.finish();
}

void read_errors(MapReader& root, Profile& profile) {
  const auto list = root.required("errors", as_list_of(as_node("a map")));
  for (const ConfigNode& node : list) {
    MapReader map(node, root.problems());
    HeldOutErrors errors;
    errors.left_out = map.required("left_out", as_choice({"source", "gpu", "model"}));
    errors.stages = map.required("stages", as_text());
    errors.rows = static_cast<std::size_t>(map.required("rows", as_number(1, kLargestRows)));
    errors.median = map.required("median", as_number(0, 1e9));
    errors.p90 = map.required("p90", as_number(0, 1e9));
    errors.inside = map.required("inside", as_number(0, 1));
    map.finish();
    profile.errors.push_back(std::move(errors));
  }
}

}  // namespace

std::size_t common_effects() {
  std::size_t count = 0;
  for (const Effect& effect : effects()) count += effect.pooled ? 0 : 1;
  return count;
}

bool intervals_judged(const Profile& profile, Group group) {
  const bool continued = profile.sha256.size() > 1;
  if (!continued && profile.diagnostics.rank < common_effects()) return false;
  const auto counts_in = [group](const std::string& stages) {
    if (stages == "streamed weights") return group == Group::streamed;
    return group == (stages == "dit and end_to_end" ? Group::dit : Group::other);
  };
  std::map<std::string, std::size_t> rows;
  for (const HeldOutErrors& errors : profile.errors)
    if (counts_in(errors.stages)) rows[errors.left_out] += errors.rows;
  return std::any_of(rows.begin(), rows.end(),
                     [](const auto& each) { return each.second >= kFewestHeldOut; });
}

bool is_date(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0;
  int end = 0;
  const bool shaped = text.size() == 10 &&
                      std::sscanf(text.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &end) == 3 &&
                      end == 10;
  return shaped && fmt::format("{:04}-{:02}-{:02}", year, month, day) == text &&
         std::chrono::year_month_day(std::chrono::year(year), std::chrono::month(month),
                                     std::chrono::day(day))
             .ok();
}

std::string profile_yaml(const Profile& profile) {
  const Posterior& posterior = profile.posterior;
  std::string text = fmt::format(
      "# A fitted predictor, written by `disagfusion calibrate`; docs/models/predictor.md explains "
      "it.\n"
      "schema: {}\ndate: {}\nsha256: [{}]\n",
      kProfileSchema, yaml_text(profile.date), fmt::join(profile.sha256, ", "));
  const Diagnostics& d = profile.diagnostics;
  text += fmt::format(
      "checks: {{rows: {}, parameters: {}, rank: {}, condition: {:.3g}, least_weight: {:.3g}, "
      "mean_weight: {:.3g}}}\n",
      d.rows, d.parameters, d.rank, d.condition, d.least_weight, d.mean_weight);
  text +=
      "# On rows that the fit had not seen: |predicted / measured - 1|, share inside 5-95 "
      "%.\nerrors:";
  if (profile.errors.empty())
    text += " []  # too few rows to leave any out: the intervals are the priors'";
  text += "\n";
  for (const HeldOutErrors& e : profile.errors)
    text += fmt::format(
        "  - {{left_out: {}, stages: {}, rows: {}, median: {:.3f}, p90: {:.3f}, inside: {:.3f}}}\n",
        e.left_out, yaml_text(e.stages), e.rows, e.median, e.p90, e.inside);
  text += "# Standard deviations that a 90 % interval reaches.\nreach:\n";
  for (std::size_t g = 0; g < kGroups; ++g)
    text +=
        fmt::format("  {}: {{seen: {:.3f}, unseen_gpu: {:.3f}, unseen_model: {:.3f}}}\n",
                    kGroupNames[g], profile.reach[g][0], profile.reach[g][1], profile.reach[g][2]);
  text += "seen:\n";
  for (std::size_t g = 0; g < kGroups; ++g)
    text += fmt::format("  {}:\n    models: {}\n    gpus: {}\n    layouts: {}\n", kGroupNames[g],
                        names_text(profile.seen[g].models), names_text(profile.seen[g].gpus),
                        names_text(profile.seen[g].layouts));
  text += fmt::format(
      "# Standard deviations of ln(seconds): of one row, and of an effect's levels.\n"
      "noise: {{dit: {:.4g}, other: {:.4g}, streamed: {:.4g}}}\nspread:\n",
      posterior.noise[0], posterior.noise[1], posterior.noise[2]);
  for (std::size_t e = 0; e < kEffects; ++e)
    text += fmt::format("  {}: {:.4g}\n", effects()[e].name, posterior.spread[e]);
  text += "# Addends of the coefficients' logarithms.\nparameters:\n";
  for (std::size_t i = 0; i < posterior.keys.size(); ++i) text += parameter_text(posterior, i);
  text += "# With the parameters before, in millionths.\ncorrelations:\n";
  for (std::size_t i = 0; i < posterior.keys.size(); ++i) text += correlation_text(posterior, i);
  return text;
}

Result<Profile> read_profile(const std::string& file, const std::string& text) {
  Result<ConfigNode> node = parse_config(file, text);
  if (!node) return fail(std::move(node.error()));
  Problems problems;
  MapReader root(*node, problems);
  Profile profile;
  static_cast<void>(root.required("schema", as_choice({kProfileSchema})));
  profile.date = root.required("date", as_text());
  profile.sha256 = root.required("sha256", as_list_of(as_text(), 1));
  read_diagnostics(root, profile.diagnostics);
  read_errors(root, profile);
  read_reach(root, profile);
  read_seen(root, profile);
  read_numbers(root, profile.posterior);
  const std::vector<ReadParameter> parameters = read_parameters(root);
  read_covariance(root, parameters, profile.posterior);
  root.finish();
  if (!problems.empty()) return fail(std::move(problems));
  return profile;
}

}  // namespace disagfusion::predictor
