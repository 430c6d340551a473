#include "report/report.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "base/sha256.hpp"

#ifndef DISAGFUSION_VERSION
#define DISAGFUSION_VERSION "0"
#endif

namespace disagfusion::report {

namespace {

using Runs = std::vector<RunSummary>;

/// The mean over replications that have a value, with Student's interval; for one run `within`.
Figure over_runs(const Runs& runs,
                 const std::function<std::optional<double>(const RunSummary&)>& get,
                 const char* nothing, const Figure* within = nullptr) {
  std::vector<double> values;
  for (const RunSummary& run : runs) {
    if (const auto value = get(run); value && std::isfinite(*value)) values.push_back(*value);
  }
  Figure figure;
  if (values.empty()) {
    figure.why = within != nullptr && !within->why.empty() ? within->why : nothing;
    return figure;
  }
  double sum = 0;
  for (const double value : values) sum += value;
  figure.value = sum / static_cast<double>(values.size());
  figure.ci95 = interval_of_mean(values);
  if (figure.ci95) return figure;
  if (runs.size() == 1 && within != nullptr) {
    figure.ci95 = within->ci95;
    figure.why = within->why;
  } else {
    figure.why = runs.size() == 1 ? "one run" : "one replication has a value";
  }
  return figure;
}

/// Batch means need one long stretch of one load: the arrivals of a trace, a burst or a closed
/// loop's start are none.
bool steady_arrivals(const Scenario& scenario) {
  const auto& arrivals = scenario.workload.arrivals;
  return (arrivals && arrivals->process != ArrivalsSpec::Process::burst) ||
         scenario.workload.closed_loop_concurrency.has_value();
}

Figure within_run(const Scenario& scenario, Figure figure) {
  if (!figure.value || steady_arrivals(scenario)) return figure;
  figure.ci95.reset();
  figure.why = "one run of arrivals that are not in steady state: add replications";
  return figure;
}

std::string where_text(const SloSpec& slo) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (!slo.where_model.empty()) add("model " + slo.where_model);
  if (!slo.where_tenant.empty()) add("tenant " + slo.where_tenant);
  if (slo.where_priority) add(fmt::format("priority {}", *slo.where_priority));
  return text.empty() ? "every request" : text;
}

void add_objectives(Report& report, const ReportInput& input) {
  const Scenario& scenario = *input.scenario;
  for (std::size_t i = 0; i < scenario.slo.size(); ++i) {
    const SloSpec& slo = scenario.slo[i];
    if (slo.latency) {
      ObjectiveReport objective{where_text(slo), "attainment", slo.attainment, {}, {}};
      objective.value = over_runs(
          input.runs, [&](const RunSummary& run) { return run.objectives[i].attainment(); },
          "no request came under it");
      if (objective.value.value) objective.met = *objective.value.value >= slo.attainment;
      report.objectives.push_back(objective);
    }
    for (const auto& [statistic, bound] : slo.statistics) {
      ObjectiveReport objective{where_text(slo), statistic, 0, {}, {}};
      const bool everyone = objective.where == "every request";
      if (!bound.absolute || !everyone) {
        objective.value.why = "statistics are judged for every request and in seconds only";
      } else {
        objective.target = bound.absolute->seconds();
        const auto place =
            std::find(kLatencyStatistics.begin(), kLatencyStatistics.end(), statistic);
        objective.value =
            place == kLatencyStatistics.end()
                ? report.latency_mean
                : report.latency[static_cast<std::size_t>(place - kLatencyStatistics.begin())];
        if (objective.value.value) {
          objective.met = *objective.value.value <= objective.target;
        }
      }
      report.objectives.push_back(objective);
    }
  }
}

void add_stages_and_pools(Report& report, const ReportInput& input) {
  const scheduler::Setup& setup = *input.setup;
  const char* const nobody = "nothing was measured here";
  for (std::size_t n = 0; n < setup.graph.nodes.size(); ++n) {
    const auto stage = [&](std::optional<double> StageSummary::*member) {
      return over_runs(
          input.runs, [&](const RunSummary& run) { return run.stages[n].*member; }, nobody);
    };
    report.stages.push_back({setup.graph.node_names[n], stage(&StageSummary::utilization),
                             stage(&StageSummary::wait_s), stage(&StageSummary::service_s),
                             stage(&StageSummary::transfer_s),
                             stage(&StageSummary::transfer_hidden), stage(&StageSummary::blocked_s),
                             stage(&StageSummary::queue)});
  }
  for (std::size_t p = 0; p < setup.roles.size(); ++p) {
    const scheduler::Role& role = setup.roles[p];
    PoolReport pool;
    pool.name = role.name;
    pool.gpu = setup.gpu_types[role.gpu.index()];
    for (const StageRef& stage : input.scenario->fleet.pools[p].stages) {
      pool.stages.push_back(stage.text);
    }
    pool.count = role.initial_count;
    pool.degree = role.degree;
    pool.mean_instances = over_runs(
        input.runs,
        [&](const RunSummary& run) { return std::optional(run.pools[p].mean_instances); }, nobody);
    pool.utilization = over_runs(
        input.runs, [&](const RunSummary& run) { return run.pools[p].utilization; },
        "no instance was ready");
    report.pools.push_back(pool);
  }
}

void add_cost(Report& report, const ReportInput& input) {
  const auto runs = static_cast<double>(input.runs.size());
  std::optional<double> usd = 0;
  for (const RunSummary& run : input.runs) {
    for (const auto& [gpu, hours] : run.gpu_hours) report.gpu_hours[gpu] += hours / runs;
    if (run.usd && usd) {
      *usd += *run.usd / runs;
    } else {
      usd.reset();
      report.usd_why = run.usd_why;
    }
  }
  report.usd = usd;
  if (usd && report.requests.completed > 0) {
    report.usd_per_1000 = *usd * runs / static_cast<double>(report.requests.completed) * 1000;
  }
}

void add_counts(Report& report, const ReportInput& input) {
  report.stability = input.runs.front().stability;
  report.stability_why = input.runs.front().stability_why;
  for (const RunSummary& run : input.runs) {
    const OutcomeCounts& from = run.requests;
    OutcomeCounts& to = report.requests;
    to.offered += from.offered;
    to.completed += from.completed;
    to.rejected += from.rejected;
    to.timed_out += from.timed_out;
    to.cancelled += from.cancelled;
    to.failed += from.failed;
    to.in_flight += from.in_flight;
    report.percentiles_exact = report.percentiles_exact && run.percentiles_exact;
    report.warmup_removed += run.warmup_removed;
    report.stale_events += run.stale_events;
    report.retries += run.retries;
    report.preemptions += run.preemptions;
    report.outputs_dropped += run.outputs_dropped;
    report.events += run.events;
    report.kernel_events += run.kernel_events;
    if (run.stability > report.stability) {
      report.stability = run.stability;
      report.stability_why = run.stability_why;
    }
  }
  report.decision_hash = input.runs.front().decision_hash;
  for (std::size_t i = 1; i < input.runs.size(); ++i) {
    report.decision_hash = (report.decision_hash ^ input.runs[i].decision_hash) * 0x100000001b3ULL +
                           static_cast<std::uint64_t>(i);
  }
}

nlohmann::ordered_json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value;
}

nlohmann::ordered_json number(const std::optional<double>& value) {
  return value ? number(*value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json json_of(const Figure& figure) {
  nlohmann::ordered_json out;
  out["value"] = number(figure.value);
  out["ci95"] = nullptr;
  if (figure.ci95) {
    out["ci95"] = {number(figure.ci95->lo), number(figure.ci95->hi)};
  } else {
    out["why"] = figure.why;
  }
  return out;
}

nlohmann::ordered_json json_of(const OutcomeCounts& counts) {
  return {{"offered", counts.offered},     {"completed", counts.completed},
          {"rejected", counts.rejected},   {"timed_out", counts.timed_out},
          {"cancelled", counts.cancelled}, {"failed", counts.failed},
          {"in_flight", counts.in_flight}};
}

nlohmann::ordered_json json_of(const StageReport& stage) {
  return {{"utilization", json_of(stage.utilization)},
          {"wait_s", json_of(stage.wait_s)},
          {"service_s", json_of(stage.service_s)},
          {"transfer_s", json_of(stage.transfer_s)},
          {"transfer_hidden", json_of(stage.transfer_hidden)},
          {"blocked_s", json_of(stage.blocked_s)},
          {"queue", json_of(stage.queue)}};
}

nlohmann::ordered_json json_of_pools(const Report& report) {
  auto pools = nlohmann::ordered_json::array();
  for (const PoolReport& pool : report.pools) {
    nlohmann::ordered_json row;
    row["name"] = pool.name;
    row["stages"] = pool.stages;
    row["gpu"] = pool.gpu;
    row["degree"] = pool.degree;
    row["count"] = pool.count;
    row["mean_instances"] = json_of(pool.mean_instances);
    row["utilization"] = json_of(pool.utilization);
    pools.push_back(std::move(row));
  }
  return pools;
}

nlohmann::ordered_json json_of_slo(const Report& report) {
  nlohmann::ordered_json out;
  out["attainment"] = json_of(report.attainment);
  out["goodput_rps"] = json_of(report.goodput_rps);
  out["objectives"] = nlohmann::ordered_json::array();
  for (const ObjectiveReport& objective : report.objectives) {
    nlohmann::ordered_json row;
    row["where"] = objective.where;
    row["statistic"] = objective.statistic;
    row["target"] = number(objective.target);
    row["value"] = json_of(objective.value);
    row["met"] = nullptr;
    if (objective.met) row["met"] = *objective.met;
    out["objectives"].push_back(std::move(row));
  }
  return out;
}

nlohmann::ordered_json json_of_latency(const Report& report) {
  nlohmann::ordered_json out;
  out["mean"] = json_of(report.latency_mean);
  for (std::size_t i = 0; i < report.latency.size(); ++i) {
    out[kLatencyStatistics[i]] = json_of(report.latency[i]);
  }
  out["covers"] = report.covers.value ? number(*report.covers.value) : number(0.0);
  out["percentiles"] = report.percentiles_exact ? "exact" : "sketch, relative error at most 0.05 %";
  return out;
}

nlohmann::ordered_json json_of_scaling(const Report& report) {
  auto rows = nlohmann::ordered_json::array();
  for (const ScalingRow& row : report.scaling) {
    rows.push_back({{"t_s", number(row.t_s)},
                    {"action", row.action},
                    {"instance", row.instance},
                    {"from", row.from},
                    {"to", row.to},
                    {"why", row.why}});
  }
  return rows;
}

}  // namespace

Report make_report(const ReportInput& input) {
  DF_CHECK(!input.runs.empty());
  const Scenario& scenario = *input.scenario;
  const RunSummary& first = input.runs.front();
  Report report;
  report.scenario = scenario.name;
  report.scenario_sha256 =
      sha256_hex(scenario.sources.empty() ? std::string() : scenario.sources.front().text);
  report.belief = input.belief;
  report.seed = input.seed;
  report.replications = input.runs.size();
  add_counts(report, input);

  const char* const none = "no request completed";
  const auto get = [](auto member) {
    return [member](const RunSummary& run) { return std::optional<double>(run.*member); };
  };
  report.makespan_s = over_runs(input.runs, get(&RunSummary::makespan_s), none);
  report.throughput_rps =
      over_runs(input.runs, get(&RunSummary::throughput_rps),
                first.requests.completed > 0 ? "no request completed after the warm-up" : none);
  if (first.requests.completed == 0 && !report.throughput_rps.value)
    report.throughput_rps.value = 0;
  const auto with_interval = [&](Figure RunSummary::*member) {
    const Figure within = within_run(scenario, first.*member);
    return over_runs(
        input.runs, [member](const RunSummary& run) { return (run.*member).value; }, none, &within);
  };
  report.latency_mean = with_interval(&RunSummary::latency_mean);
  report.wait_mean = with_interval(&RunSummary::wait_mean);
  report.attainment = with_interval(&RunSummary::attainment);
  for (std::size_t i = 0; i < kLatencyShares.size(); ++i) {
    report.latency[i] = over_runs(
        input.runs, [i](const RunSummary& run) { return run.latency[i]; },
        report.latency_mean.value ? none : report.latency_mean.why.c_str());
  }
  report.covers = over_runs(input.runs, get(&RunSummary::covers), "no request was measured");
  report.goodput_rps =
      over_runs(input.runs, get(&RunSummary::goodput_rps), "no request has a latency bound");
  add_stages_and_pools(report, input);
  add_objectives(report, input);
  add_cost(report, input);

  report.scaling = first.scaling;
  report.costs_used = input.costs_used;
  report.warmup_s = scenario.run.warmup.seconds();
  report.not_modelled = input.not_modelled;
  report.wall_s = input.wall_s;
  report.peak_rss_bytes = input.peak_rss_bytes;
  return report;
}

nlohmann::ordered_json to_json(const Report& report) {
  nlohmann::ordered_json out;
  out["schema"] = "disagfusion.result/1";
  out["version"] = DISAGFUSION_VERSION;
  out["scenario"] = report.scenario;
  out["scenario_sha256"] = report.scenario_sha256;
  out["seed"] = report.seed;
  out["replications"] = report.replications;
  out["belief"] = report.belief;
  out["requests"] = json_of(report.requests);
  out["makespan_s"] = json_of(report.makespan_s);
  out["throughput_rps"] = json_of(report.throughput_rps);
  out["latency_s"] = json_of_latency(report);
  out["slo"] = json_of_slo(report);
  out["stages"] = nlohmann::ordered_json::object();
  for (const StageReport& stage : report.stages) out["stages"][stage.name] = json_of(stage);
  out["pools"] = json_of_pools(report);
  out["wait_s"] = {{"mean", json_of(report.wait_mean)}};
  out["cost"] = {{"usd", number(report.usd)},
                 {"usd_per_1000_requests", number(report.usd_per_1000)},
                 {"gpu_hours", report.gpu_hours}};
  if (!report.usd) out["cost"]["why"] = report.usd_why;
  out["scaling"] = json_of_scaling(report);
  out["costs_used"] = nlohmann::ordered_json::array();
  for (const predictor::CostUse& use : report.costs_used) {
    out["costs_used"].push_back(
        {{"stage", use.stage}, {"gpu", use.gpu_name}, {"source", predictor::name_of(use.source)}});
  }
  out["stability"] = name_of(report.stability);
  out["stability_why"] = report.stability_why;
  out["warmup"] = {{"method", report.warmup_s > 0 ? "time" : "none"},
                   {"removed", report.warmup_removed}};
  if (report.warmup_s > 0) out["warmup"]["seconds"] = report.warmup_s;
  out["stale_events"] = report.stale_events;
  out["retries"] = report.retries;
  out["preemptions"] = report.preemptions;
  out["outputs_dropped"] = report.outputs_dropped;
  out["not_modelled"] = report.not_modelled;
  out["engine"] = {{"events", report.events},
                   {"decision_hash", fmt::format("{:016x}", report.decision_hash)},
                   {"wall_s", number(report.wall_s)},
                   {"peak_rss_bytes", report.peak_rss_bytes},
                   {"kernel_events", report.kernel_events}};
  return out;
}

std::string json_text(const Report& report) {
  return to_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace disagfusion::report
