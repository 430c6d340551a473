#include "sim/engine.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/config_node.hpp"
#include "base/random.hpp"
#include "predictor/belief.hpp"
#include "report/recorder.hpp"
#include "sim/memory_check.hpp"
#include "sim/world/world.hpp"

namespace disagfusion::sim {

namespace {

/// Hands rows of ended requests on; keeps each request's own columns until its row is written.
class Rows final : public report::RowSink {
 public:
  explicit Rows(const Watchers& watchers) : watchers_(watchers) {}
  void keep(scheduler::RequestKey key, const traces::Request& request) {
    if (watchers_.rows == nullptr) return;
    if (key.slot >= requests_.size()) requests_.resize(key.slot + 1UL);
    requests_[key.slot] = request;
  }
  void row(scheduler::RequestKey key, const traces::RequestRow& row) override {
    if (watchers_.rows != nullptr) watchers_.rows->write(requests_[key.slot], row);
    if (watchers_.ended) watchers_.ended(row);
  }

 private:
  const Watchers& watchers_;
  std::vector<traces::Request> requests_;
};

/// Timers that fire without anything else happening mean that nothing will happen any more.
constexpr std::uint64_t kIdleTimers = 100'000;
constexpr std::uint64_t kProgressEvery = 1U << 16U;

/// A closed loop that only time ends, while requests end at the instant they come (rejected, or
/// served in no time), issues for ever. True once that has gone on for too long to be anything
/// else.
class StandingClock {
 public:
  StandingClock(const Scenario& scenario, const RunLimits& limits) {
    const bool counted = limits.arrivals ? limits.arrivals->requests.has_value()
                                         : scenario.workload.requests.has_value();
    if (scenario.workload.closed_loop_concurrency && !counted)
      most_ = *scenario.workload.closed_loop_concurrency + kMostAtOnce;
  }
  bool stands(TimePoint now) {
    if (now != since_) {
      since_ = now;
      arrivals_ = 0;
    }
    return most_ > 0 && ++arrivals_ > most_;
  }

 private:
  static constexpr std::uint64_t kMostAtOnce = 100'000;
  TimePoint since_;
  std::uint64_t arrivals_ = 0, most_ = 0;
};

std::vector<std::string> general_limits(const Scenario& scenario) {
  std::vector<std::string> notes(scenario.not_modelled);
  notes.emplace_back("the controller decides in no time; its own links are no bottleneck");
  notes.emplace_back(
      "memory during the run: pools are checked before it, for the shapes of the mix");
  if (!scenario.network) notes.emplace_back("handing over: network is none, so it takes nothing");
  return notes;
}

Result<std::unique_ptr<traces::ArrivalSource>> arrivals_of(const Scenario& scenario,
                                                           std::uint64_t seed,
                                                           const RunLimits& limits) {
  if (limits.arrivals) return traces::make_arrival_source(scenario, seed, *limits.arrivals);
  return traces::make_arrival_source(scenario, seed);
}

std::uint64_t peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

Result<Simulation> Simulation::prepare(const Scenario& scenario) {
  Simulation simulation;
  simulation.scenario_ = std::make_shared<const Scenario>(scenario);
  const Scenario& kept = *simulation.scenario_;
  Result<scheduler::Setup> setup = scheduler::make_setup(kept, false);
  if (!setup) return fail(std::move(setup.error()));
  auto truth = predictor::make_cost_model(kept, setup->graph, setup->gpu_types, kept.costs);
  if (!truth) return fail(std::move(truth.error()));
  auto belief = predictor::make_belief(kept, setup->graph, setup->gpu_types);
  if (!belief) return fail(std::move(belief.error()));
  Result<std::vector<std::string>> memory = check_memory(kept, *setup, **truth);
  if (!memory) return fail(std::move(memory.error()));

  simulation.truth_ = std::move(*truth);
  simulation.belief_ = std::move(belief->costs);
  simulation.belief_text_ = belief->description;
  simulation.setup_ = std::make_shared<const scheduler::Setup>(std::move(*setup));
  simulation.not_modelled_ = general_limits(kept);
  for (const std::string& note : simulation.truth_->not_modelled()) {
    simulation.not_modelled_.push_back(note);
  }
  for (const std::string& note : *memory) simulation.not_modelled_.push_back(note);
  // Policies read their own parameters: let them speak now.
  auto session = scheduler::Session::make(*simulation.setup_, simulation.belief_);
  if (!session) return fail(std::move(session.error()));
  return simulation;
}

Result<report::RunSummary> Simulation::run(std::uint64_t seed, const Watchers& watchers,
                                           const RunLimits& limits) const {
  auto source = arrivals_of(*scenario_, seed, limits);
  if (!source) return fail(std::move(source.error()));
  auto made = scheduler::Session::make(*setup_, belief_);
  if (!made) return fail(std::move(made.error()));
  scheduler::Session& session = **made;
  session.set_sink(watchers.log);
  World world(*scenario_, *setup_, *truth_, **source, seed);
  report::Recorder recorder(*scenario_, *setup_, *truth_, scenario_->run.warmup);
  std::optional<Rows> rows;
  if (watchers.rows != nullptr || watchers.ended) {
    rows.emplace(watchers);
    recorder.set_rows(&*rows);
  }
  recorder.set_trace(watchers.trace);

  scheduler::ActionBuffer buffer;
  std::uint64_t idle_timers = 0, arrived = 0;
  StandingClock clock(*scenario_, limits);
  while (world.next()) {
    const scheduler::Event& event = world.event();
    if (event.kind == scheduler::EventKind::request_arrived) {
      ++arrived;
      if (clock.stands(world.now())) {
        return fail(problem_at(
            scenario_->workload.place,
            "requests: how many, or a closed loop whose requests take time",
            fmt::format(
                "requests that end at the instant they come, for ever at {} s (rejected, or "
                "served in 0 s)",
                world.now().seconds())));
      }
      if (rows) rows->keep(event.request, world.arrived());
    }
    idle_timers = event.kind == scheduler::EventKind::timer ? idle_timers + 1 : 0;
    session.on_event(world.now(), event, buffer);
    if (watchers.after_event) watchers.after_event(session);
    recorder.on_event(world.now(), event, buffer);
    if (!buffer.actions.empty()) world.apply(buffer);
    if (world.in_system() == 0 && world.arrivals_ended()) break;
    if (idle_timers > kIdleTimers || session.events() == limits.events) break;
    if (watchers.progress && session.events() % kProgressEvery == 0) {
      watchers.progress(world.now().seconds(), session.events(), arrived);
    }
  }
  if (!world.problems().empty()) return fail(world.problems());
  report::RunSummary summary = recorder.finish(world.now(), session.scheduler());
  summary.events = session.events();
  summary.decision_hash = session.decision_hash();
  summary.kernel_events = world.kernel_events();
  summary.host_memory_peaks = world.host_memory_peaks();
  summary.not_modelled = (*source)->notes();
  for (const std::string& note : world.notes()) summary.not_modelled.push_back(note);
  return summary;
}

std::uint64_t replication_seed(std::uint64_t seed, std::uint32_t replication) {
  if (replication == 0) return seed;
  constexpr std::uint64_t kReplications = 0x7265706c69636174ULL;
  return draw(seed, Purpose::search, kReplications, replication);
}

Result<RunOutcome> run(const Simulation& simulation, const RunOptions& options) {
  const std::uint32_t count = std::max<std::uint32_t>(1, options.replications);
  std::vector<Result<report::RunSummary>> results(count, fail(Problems{}));
  std::atomic<std::uint32_t> next{0};
  const auto work = [&] {
    for (std::uint32_t r = next++; r < count; r = next++) {
      const Watchers watchers = options.watchers ? options.watchers(r) : Watchers{};
      results[r] = simulation.run(replication_seed(options.seed, r), watchers, options.limits);
    }
  };
  const unsigned machine = std::max(1U, std::thread::hardware_concurrency());
  const unsigned threads =
      std::min<unsigned>(options.threads == 0 ? machine : options.threads, count);
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();

  RunOutcome outcome;
  outcome.not_modelled = simulation.not_modelled();
  for (Result<report::RunSummary>& result : results) {
    if (!result) return fail(std::move(result.error()));
    for (const std::string& note : result->not_modelled) {
      auto& notes = outcome.not_modelled;
      if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
    }
    outcome.runs.push_back(std::move(*result));
  }
  outcome.peak_rss_bytes = peak_rss();
  return outcome;
}

report::Report make_report(const Simulation& simulation, const RunOptions& options,
                           RunOutcome outcome, double wall_s) {
  report::ReportInput input;
  input.scenario = &simulation.scenario();
  input.setup = &simulation.setup();
  input.belief = simulation.belief();
  input.costs_used = simulation.truth().costs_used();
  input.not_modelled = std::move(outcome.not_modelled);
  input.seed = options.seed;
  input.runs = std::move(outcome.runs);
  input.wall_s = wall_s;
  input.peak_rss_bytes = outcome.peak_rss_bytes;
  return report::make_report(input);
}

}  // namespace disagfusion::sim
