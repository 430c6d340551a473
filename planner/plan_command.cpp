#include "planner/plan_command.hpp"

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/scenario_reader.hpp"
#include "base/scenario_writer.hpp"
#include "planner/search.hpp"

namespace disagfusion::planner {

namespace {

using Json = nlohmann::ordered_json;

Json figure(const report::Figure& f) {
  Json json;
  json["value"] = f.value ? Json(*f.value) : Json();
  json["ci95"] = f.ci95 ? Json({f.ci95->lo, f.ci95->hi}) : Json();
  if (!f.ci95 && !f.why.empty()) json["why"] = f.why;
  return json;
}

/// The price; null, and KEY_why, where there is none.
void add_price(Json& json, const std::string& key, const Market::Price& price) {
  json[key] = price.usd_per_hour ? Json(*price.usd_per_hour) : Json();
  if (!price.usd_per_hour) json[key + "_why"] = price.why;
}

Json pools(const Candidate& candidate, const std::vector<StageGroup>& groups) {
  Json json = Json::array();
  for (std::size_t i = 0; i < candidate.counts.size(); ++i) {
    Json stages = Json::array();
    for (const std::uint16_t group : candidate.layout.roles[i].groups) {
      stages.push_back(groups[group].name);
    }
    json.push_back({{"stages", stages},
                    {"gpu", candidate.layout.roles[i].gpu},
                    {"count", candidate.counts[i]},
                    {"degree", candidate.layout.roles[i].degree}});
  }
  return json;
}

Json latencies(const report::Report& report) {
  Json json;
  json["mean"] = figure(report.latency_mean);
  for (std::size_t i = 0; i < report.latency.size(); ++i) {
    json[report::kLatencyStatistics[i]] = figure(report.latency[i]);
  }
  json["covers"] = report.covers.value ? Json(*report.covers.value) : Json();
  return json;
}

Json best_json(const Plan& plan) {
  if (!plan.best) return nullptr;
  Json json;
  json["fleet"] = describe(plan.best->candidate, plan.groups);
  json["pools"] = pools(plan.best->candidate, plan.groups);
  add_price(json, "usd_per_hour", plan.best->price);
  if (plan.best->judgement.report) {
    const report::Report& report = *plan.best->judgement.report;
    json["throughput_rps"] = figure(report.throughput_rps);
    json["latency_s"] = latencies(report);
    json["attainment"] = figure(report.attainment);
  }
  json["why"] = plan.best->judgement.why;
  return json;
}

Json proof_row(const Considered& considered, const std::vector<StageGroup>& groups) {
  Json json;
  json["fleet"] = describe(considered.candidate, groups);
  json["pools"] = pools(considered.candidate, groups);
  add_price(json, "usd_per_hour", considered.price);
  json["verdict"] = name_of(considered.judgement.verdict);
  json["why"] = considered.judgement.why;
  return json;
}

Json seconds_json(const Plan& plan) {
  Json json = Json::array();
  for (const SecondsUsed& used : plan.seconds_used)
    json.push_back({{"stage", used.stage},
                    {"gpu", used.gpu},
                    {"width", used.shape.width},
                    {"height", used.shape.height},
                    {"frames", used.shape.frames},
                    {"steps", used.shape.steps},
                    {"seconds", used.estimate.seconds},
                    {"lo_s", used.estimate.lo_s},
                    {"hi_s", used.estimate.hi_s},
                    {"source", predictor::name_of(used.estimate.source)}});
  return json;
}

std::string seconds_text(const Plan& plan) {
  std::string text;
  for (const SecondsUsed& used : plan.seconds_used) {
    const predictor::Estimate& e = used.estimate;
    const std::string interval =
        e.lo_s < e.hi_s ? fmt::format("({:.4g} s to {:.4g} s)   ", e.lo_s, e.hi_s) : "";
    text += fmt::format("    {:<14} on {:<14} {:>8.4g} s   {}{}\n", used.stage, used.gpu, e.seconds,
                        interval, predictor::name_of(e.source));
  }
  return text.empty() ? text : "\n  seconds that this rests on (5 % to 95 %)\n" + text;
}

/// Fleets that no other simulated fleet beats in both price and p95 (p95 alone without prices).
Json pareto(const Plan& plan) {
  Json json = Json::array();
  constexpr std::size_t kP95 = 2;
  const auto p95 = [](const Considered& c) {
    return c.judgement.report ? c.judgement.report->latency[kP95].value : std::nullopt;
  };
  const auto usd = [](const Considered& c) { return c.price.usd_per_hour.value_or(0); };
  for (const Considered& one : plan.simulated) {
    if (!p95(one)) continue;
    bool beaten = false;
    for (const Considered& other : plan.simulated) {
      if (!p95(other)) continue;
      beaten = beaten || (usd(other) <= usd(one) && *p95(other) <= *p95(one) &&
                          (usd(other) < usd(one) || *p95(other) < *p95(one)));
    }
    if (beaten) continue;
    Json row;
    row["fleet"] = describe(one.candidate, plan.groups);
    add_price(row, "usd_per_hour", one.price);
    row["p95_s"] = *p95(one);
    json.push_back(std::move(row));
  }
  return json;
}

/// The neighbours, then whatever else was simulated.
Json proof(const Plan& plan) {
  Json json = Json::array();
  std::set<std::string> shown;
  for (const std::vector<Considered>* rows : {&plan.neighbours, &plan.simulated}) {
    for (const Considered& row : *rows) {
      if (!shown.insert(describe(row.candidate, plan.groups)).second) continue;
      json.push_back(proof_row(row, plan.groups));
    }
  }
  return json;
}

Json to_json(const Plan& plan, double wall_s) {
  Json json;
  json["schema"] = "disagfusion.plan/1";
  json["verdict"] = name_of(plan.answer);
  if (!plan.why.empty()) json["why"] = plan.why;
  json["best"] = best_json(plan);
  json["seconds_used"] = seconds_json(plan);
  add_price(json, "lower_bound_usd_per_hour", plan.lower_bound);
  json["proof"] = proof(plan);
  json["pareto"] = pareto(plan);
  json["candidates"] = {{"considered", plan.considered},
                        {"pruned", plan.pruned},
                        {"simulated", plan.simulated.size()},
                        {"left", plan.left()}};
  json["wall_s"] = wall_s;
  return json;
}

/// "3.06 USD/h"; nothing where nothing has a price.
std::string price_text(const Market::Price& price) {
  return price.usd_per_hour ? fmt::format("{:.4g} USD/h", *price.usd_per_hour) : "";
}

std::string table(const Plan& plan) {
  std::string text = fmt::format("{}\n", name_of(plan.answer));
  if (!plan.why.empty()) text += fmt::format("  {}\n", plan.why);
  if (plan.best) {
    const std::string asks = price_text(plan.best->price);
    text +=
        fmt::format("\n  best   {}\n         {}{}{}\n", describe(plan.best->candidate, plan.groups),
                    asks, asks.empty() ? "" : ": ", plan.best->judgement.why);
  }
  text += seconds_text(plan);
  if (!plan.neighbours.empty()) text += "\n  with one instance fewer\n";
  for (const Considered& row : plan.neighbours) {
    text += fmt::format("    {}: {}\n", describe(row.candidate, plan.groups), row.judgement.why);
  }
  constexpr std::size_t kShown = 8;
  const std::size_t first = plan.simulated.size() > kShown ? plan.simulated.size() - kShown : 0;
  if (!plan.simulated.empty()) text += "\n  judged last, cheapest first\n";
  for (std::size_t i = first; i < plan.simulated.size(); ++i) {
    const Considered& row = plan.simulated[i];
    text += fmt::format("    {:>15}  {:<9}  {}\n                     {}\n", price_text(row.price),
                        name_of(row.judgement.verdict), describe(row.candidate, plan.groups),
                        row.judgement.why);
  }
  text += fmt::format(
      "\n  {} fleets and cuts considered: {} excluded by bounds, {} simulated, {} left unjudged",
      plan.considered, plan.pruned, plan.simulated.size(), plan.left());
  const std::string bound = price_text(plan.lower_bound);
  text += bound.empty() ? "\n" : fmt::format("; no fleet below {} can do it\n", bound);
  return text;
}

Result<void> write_whole(const std::string& path, const std::string& text) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return fail(std::move(file.error()));
  file->write(text);
  return file->commit();
}

Result<void> write_files(const std::string& folder, const Plan& plan, const std::string& json) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail({{folder, 0, 0, "", "a folder for the plan", error.message(), ""}});
  if (plan.best) {
    const Result<void> scenario =
        write_whole(folder + "/plan.yaml", write_scenario_yaml(plan.scenario, folder));
    if (!scenario) return scenario;
  }
  return write_whole(folder + "/plan.json", json);
}

}  // namespace

Result<PlanOutcome> plan(const PlanOptions& options) {
  const double begin = options.wall_seconds != nullptr ? options.wall_seconds() : 0;
  Overrides overrides;
  overrides.seed = options.seed;
  const Result<Question> question = load_question(options.question, overrides);
  if (!question) return fail(question.error());
  SearchOptions how;
  how.wall_seconds = options.wall_seconds;
  how.show_progress = options.show_progress;
  const Result<Plan> found = search(*question, how);
  if (options.show_progress) options.show_progress("");
  if (!found) return fail(found.error());
  const double wall = options.wall_seconds != nullptr ? options.wall_seconds() - begin : 0;
  const std::string json = to_json(*found, wall).dump(2) + "\n";
  if (!options.out.empty()) {
    const Result<void> written = write_files(options.out, *found, json);
    if (!written) return fail(written.error());
  }
  PlanOutcome outcome;
  outcome.text = options.json ? json : table(*found);
  outcome.feasible = found->answer == Answer::feasible;
  return outcome;
}

}  // namespace disagfusion::planner
