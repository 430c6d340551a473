#include "planner/judge.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include <fmt/format.h>

#include "sim/engine.hpp"

namespace disagfusion::planner {

namespace {

constexpr std::uint32_t kReplications = 8;
constexpr double kFirstRequests = 2000;  // a replication, first round
constexpr double kGrowth = 4;
constexpr double kWarmupShare = 0.2;

/// Mean and half-width: x +- t_{n-1, (1 + confidence) / 2} s / sqrt(n) (W. S. Gosset, 1908).
struct Spread {
  double mean = 0, half = 0;
};
Spread spread_of(const std::vector<double>& values, double confidence) {
  Spread spread;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) spread.mean += value / n;
  if (values.size() < 2) return spread;
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  const boost::math::students_t t(n - 1);
  spread.half = boost::math::quantile(t, (1 + confidence) / 2) * std::sqrt(squares / (n - 1) / n);
  return spread;
}

bool is_random(const Scenario& scenario, const Demand& demand) {
  bool random =
      demand.steady && scenario.workload.arrivals->process != ArrivalsSpec::Process::deterministic;
  random = random || (scenario.workload.trace.empty() && scenario.workload.mix.size() > 1);
  for (const CostLine& line : scenario.costs) {
    random = random || line.distribution != Distribution::constant;
  }
  random = random || (scenario.network && scenario.network->jitter_cv > 0);
  for (const NodeGroupSpec& group : scenario.fleet.nodes) {
    random = random || (group.nic && group.nic->jitter_cv > 0);
  }
  return random || scenario.control.jitter_cv > 0;
}

std::string shown(double value, bool share) {
  return share ? fmt::format("{:.1f} %", 100 * value) : fmt::format("{:.4g} s", value);
}

}  // namespace

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::feasible:
      return "feasible";
    case Verdict::rejected:
      return "rejected";
    case Verdict::undecided:
      return "undecided";
  }
  return "?";
}

/// Feasible: every interval on the good side. Rejected: one wholly on the bad side. Else undecided.
Judgement Judge::compare(const std::vector<Measured>& objectives, bool exact) const {
  Judgement judgement;
  judgement.verdict = Verdict::feasible;
  std::string open;
  for (const Measured& objective : objectives) {
    const Spread spread = spread_of(objective.values, question_.confidence);
    const double half = exact ? 0 : spread.half;
    const double most = objective.at_least ? 1 : kLongestSeconds;  // a share stays one
    const double lo = std::max(0.0, spread.mean - half), hi = std::min(most, spread.mean + half);
    const std::string range = half > 0 ? fmt::format(" ({} to {})", shown(lo, objective.at_least),
                                                     shown(hi, objective.at_least))
                                       : "";
    const bool good = objective.at_least ? lo >= objective.target : hi <= objective.target;
    const bool bad = objective.at_least ? hi < objective.target : lo > objective.target;
    const std::string sentence =
        fmt::format("{} {}{} {} {}", objective.name, shown(spread.mean, objective.at_least), range,
                    objective.at_least ? (good ? ">=" : "<") : (good ? "<=" : ">"),
                    shown(objective.target, objective.at_least));
    if (bad) {
      judgement.verdict = Verdict::rejected;
      judgement.why = sentence;
      return judgement;
    }
    if (!good) {
      judgement.verdict = Verdict::undecided;
      open = fmt::format("{} {}{} is too near {}", objective.name,
                         shown(spread.mean, objective.at_least), range,
                         shown(objective.target, objective.at_least));
    } else {
      judgement.why += (judgement.why.empty() ? "" : ", ") + sentence;
    }
  }
  if (judgement.verdict == Verdict::undecided) judgement.why = open;
  return judgement;
}

Result<Judgement> Judge::judge(const Scenario& fleet) const {
  Judgement judgement;
  Scenario scenario = fleet;
  const bool exact = !is_random(scenario, demand_);
  for (double requests = kFirstRequests;; requests *= kGrowth) {
    sim::RunOptions options;
    options.seed = question_.base.seed;
    options.replications = exact ? 1 : kReplications;
    if (demand_.steady) {
      traces::ArrivalLimits limits;
      limits.requests = static_cast<std::uint64_t>(requests);
      options.limits.arrivals = limits;
      scenario.run.warmup =
          from_seconds(std::min(kLongestSeconds, kWarmupShare * requests / demand_.rate_per_s));
    }
    const Result<sim::Simulation> simulation = sim::Simulation::prepare(scenario);
    if (!simulation) {
      judgement.verdict = Verdict::rejected;
      judgement.why = simulation.error().front().text();
      return judgement;
    }
    const double began = budget_.now(), events_before = budget_.events;
    Result<sim::RunOutcome> outcome = sim::run(*simulation, options);
    if (!outcome) return fail(std::move(outcome.error()));
    std::vector<Measured> objectives;
    for (const report::RunSummary& run : outcome->runs) {
      budget_.events -= static_cast<double>(run.events);
      sim::RunOutcome single;
      single.runs.push_back(run);
      const report::Report one = sim::make_report(*simulation, options, std::move(single), 0);
      objectives.resize(one.objectives.size());
      for (std::size_t i = 0; i < one.objectives.size(); ++i) {
        objectives[i].name = one.objectives[i].statistic;
        objectives[i].at_least = one.objectives[i].statistic == "attainment";
        objectives[i].target = one.objectives[i].target;
        // Nobody completed: the objective is missed by as much as can be.
        objectives[i].values.push_back(
            one.objectives[i].value.value.value_or(objectives[i].at_least ? 0 : kLongestSeconds));
      }
    }
    judgement = compare(objectives, exact);
    if (demand_.steady) {
      judgement.requests = static_cast<std::uint64_t>(requests);
      judgement.warmup = scenario.run.warmup;
    }
    judgement.report = sim::make_report(*simulation, options, std::move(*outcome), 0);
    if (judgement.verdict != Verdict::undecided || exact) return judgement;
    // The next round would take about kGrowth times as much as this one.
    if (!budget_.allows(kGrowth * (events_before - budget_.events),
                        kGrowth * (budget_.now() - began))) {
      return judgement;
    }
    if (!demand_.steady) {
      // As given: more replications, not longer ones, would narrow the interval; one more round of
      // them is all that common random numbers allow to compare fairly.
      return judgement;
    }
  }
}

}  // namespace disagfusion::planner
