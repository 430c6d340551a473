// Runs a scenario in virtual time: one run is one thread, replications run side by side. Results do
// not depend on the number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "predictor/cost_model.hpp"
#include "report/perfetto.hpp"
#include "report/report.hpp"
#include "report/run_summary.hpp"
#include "scheduler/session.hpp"
#include "scheduler/setup.hpp"
#include "traces/arrivals.hpp"
#include "traces/requests_csv.hpp"

namespace disagfusion::sim {

/// What may watch one run. All optional; nothing that watches changes a decision.
struct Watchers {
  scheduler::EventSink* log = nullptr;
  traces::RequestsCsvWriter* rows = nullptr;
  report::PerfettoTrace* trace = nullptr;
  /// Called with each request that has ended, in that order.
  std::function<void(const traces::RequestRow&)> ended;
  /// Called after every event and its actions.
  std::function<void(const scheduler::Session&)> after_event;
  /// Called now and then with virtual seconds, events so far and requests that arrived.
  std::function<void(double, std::uint64_t, std::uint64_t)> progress;
};

/// How far one run goes.
struct RunLimits {
  /// Instead of the workload's (planner: a steady state has none).
  std::optional<traces::ArrivalLimits> arrivals;
  /// The run ends after so many events of the scheduler; 0: no limit.
  std::uint64_t events = 0;
};

/// A scenario with everything that its runs share, checked. Immutable; runs may go on in parallel.
class Simulation {
 public:
  /// The scenario is copied. Problems: costs that nobody can predict, pools that do not fit, bad
  /// policy parameters.
  static Result<Simulation> prepare(const Scenario& scenario);

  /// One run with this seed. Problems: a trace that turns out wrong in mid-stream.
  [[nodiscard]] Result<report::RunSummary> run(std::uint64_t seed, const Watchers& watchers = {},
                                               const RunLimits& limits = {}) const;

  [[nodiscard]] const Scenario& scenario() const { return *scenario_; }
  [[nodiscard]] const scheduler::Setup& setup() const { return *setup_; }
  [[nodiscard]] const predictor::CostModel& truth() const { return *truth_; }
  [[nodiscard]] const std::string& belief() const { return belief_text_; }
  /// What every run of this scenario leaves out; runs may add to it.
  [[nodiscard]] const std::vector<std::string>& not_modelled() const { return not_modelled_; }

 private:
  Simulation() = default;
  std::shared_ptr<const Scenario> scenario_;
  std::shared_ptr<const scheduler::Setup> setup_;
  std::shared_ptr<const predictor::CostModel> truth_, belief_;
  std::string belief_text_;
  std::vector<std::string> not_modelled_;
};

/// The seed of replication r: the first has the scenario's own.
std::uint64_t replication_seed(std::uint64_t seed, std::uint32_t replication);

struct RunOptions {
  std::uint64_t seed = 0;
  std::uint32_t replications = 1;
  unsigned threads = 0;  ///< 0: as many as the machine has
  /// Watchers of each replication, asked for on the thread that runs it; empty: none.
  std::function<Watchers(std::uint32_t replication)> watchers;
  RunLimits limits;
};

struct RunOutcome {
  std::vector<report::RunSummary> runs;  ///< by replication
  std::vector<std::string> not_modelled;
  std::uint64_t peak_rss_bytes = 0;  ///< of this process
};

/// All replications.
Result<RunOutcome> run(const Simulation& simulation, const RunOptions& options);

/// The report of an outcome. `wall_s`: seconds on the machine's clock, from the caller's edge.
report::Report make_report(const Simulation& simulation, const RunOptions& options,
                           RunOutcome outcome, double wall_s);

}  // namespace disagfusion::sim
