// The figures of one run, before replications are put together.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "report/statistics/intervals.hpp"

namespace disagfusion::report {

struct OutcomeCounts {
  std::uint64_t offered = 0, completed = 0, rejected = 0, timed_out = 0, cancelled = 0, failed = 0,
                in_flight = 0;
};

enum class Stability : std::uint8_t { stable, backlogged, overloaded };
const char* name_of(Stability stability);

/// Requests under one latency bound.
struct ObjectiveCounts {
  std::uint64_t met = 0, missed = 0;
  [[nodiscard]] std::optional<double> attainment() const {
    if (met + missed == 0) return std::nullopt;
    return static_cast<double>(met) / static_cast<double>(met + missed);
  }
};

/// Absent: nobody was measured.
struct StageSummary {
  std::optional<double> utilization, wait_s, service_s, transfer_s, transfer_hidden, blocked_s,
      queue;
};

struct PoolSummary {
  std::optional<double> utilization;
  double mean_instances = 0;
};

struct ScalingRow {
  double t_s = 0;
  std::string action;
  std::uint32_t instance = 0;
  std::string from, to, why;
};

inline constexpr std::array<const char*, 5> kLatencyStatistics{"p50", "p90", "p95", "p99", "max"};
inline constexpr std::array<double, 5> kLatencyShares{0.50, 0.90, 0.95, 0.99, 1.0};

struct RunSummary {
  OutcomeCounts requests;
  std::optional<double> makespan_s, throughput_rps;
  Figure latency_mean, wait_mean, attainment;  ///< with the interval from within the run, if any
  std::array<std::optional<double>, kLatencyShares.size()> latency;
  bool percentiles_exact = true;
  std::optional<double> covers, goodput_rps;
  std::vector<ObjectiveCounts> objectives;  ///< by position in Scenario::slo
  std::vector<StageSummary> stages;         ///< by NodeId
  std::vector<PoolSummary> pools;           ///< by PoolId
  std::map<std::string, double> gpu_hours;
  std::optional<double> usd;
  std::string usd_why;  ///< why there is none
  std::vector<ScalingRow> scaling;
  Stability stability = Stability::stable;
  std::string stability_why;
  std::uint64_t warmup_removed = 0;  ///< requests
  std::uint64_t stale_events = 0, retries = 0, preemptions = 0;
  std::uint64_t outputs_dropped = 0;  ///< parked ones, because host memory ran out
  /// Little's law: time average of the number in system, arrival rate x mean time in system.
  double mean_in_system = 0, arrivals_times_sojourn = 0;
  double end_s = 0;

  // The engine's.
  std::uint64_t events = 0, decision_hash = 0, kernel_events = 0;
  std::vector<double> host_memory_peaks;  ///< bytes, by MachineId
  std::vector<std::string> not_modelled;  ///< what this run met and left out
};

}  // namespace disagfusion::report
