// The result of a simulation or of an emulated real-time run (design 7.4): replications put
// together, as result.json and as a table for people.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/scenario.hpp"
#include "predictor/cost_model.hpp"
#include "report/run_summary.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::report {

/// What a report is made of.
struct ReportInput {
  const Scenario* scenario = nullptr;
  const scheduler::Setup* setup = nullptr;
  std::string belief;  ///< predictor::Belief::description
  std::vector<predictor::CostUse> costs_used;
  std::vector<std::string> not_modelled;
  std::uint64_t seed = 0;
  std::vector<RunSummary> runs;  ///< at least one
  double wall_s = 0;             ///< of the machine; 0: not measured
  std::uint64_t peak_rss_bytes = 0;
};

struct StageReport {
  std::string name;
  Figure utilization, wait_s, service_s, transfer_s, transfer_hidden, blocked_s, queue;
};

struct PoolReport {
  std::string name, gpu;
  std::vector<std::string> stages;
  std::uint32_t count = 0, degree = 1;  ///< of the initial fleet
  Figure mean_instances, utilization;
};

/// One bound of an objective: a share of requests within it, or a statistic below it.
struct ObjectiveReport {
  std::string where, statistic;  ///< "attainment", "mean", "p95", ...
  double target = 0;             ///< share, or seconds
  Figure value;
  std::optional<bool> met;  ///< of the value; absent without one
};

struct Report {
  std::string scenario, scenario_sha256, belief;
  std::uint64_t seed = 0;
  std::size_t replications = 1;
  OutcomeCounts requests;  ///< sums over replications
  Figure makespan_s, throughput_rps, latency_mean, wait_mean, covers, attainment, goodput_rps;
  std::array<Figure, kLatencyShares.size()> latency;
  bool percentiles_exact = true;
  std::vector<StageReport> stages;
  std::vector<PoolReport> pools;
  std::vector<ObjectiveReport> objectives;
  std::map<std::string, double> gpu_hours;  ///< means over replications
  std::optional<double> usd, usd_per_1000;
  std::string usd_why;
  std::vector<ScalingRow> scaling;  ///< of the first replication
  std::vector<predictor::CostUse> costs_used;
  Stability stability = Stability::stable;  ///< the worst of the replications
  std::string stability_why;
  double warmup_s = 0;
  std::uint64_t warmup_removed = 0, stale_events = 0, retries = 0, preemptions = 0;
  std::uint64_t outputs_dropped = 0;  ///< parked ones, because host memory ran out
  std::vector<std::string> not_modelled;
  std::uint64_t events = 0, decision_hash = 0, kernel_events = 0;
  double wall_s = 0;
  std::uint64_t peak_rss_bytes = 0;
};

Report make_report(const ReportInput& input);

/// Every key of design 7.4, in its order. No NaN, no infinity.
nlohmann::ordered_json to_json(const Report& report);
/// The text of result.json: to_json, indented, with an end of line.
std::string json_text(const Report& report);
/// A table for people, lines of at most 100 columns where names allow.
std::string table_text(const Report& report);

}  // namespace disagfusion::report
