#include "planner/search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <queue>
#include <set>

#include <fmt/format.h>

#include "base/check.hpp"
#include "planner/ground.hpp"
#include "sim/engine.hpp"

namespace disagfusion::planner {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// The tightest bound on single latencies, seconds: a share `slack` of requests may be slower.
struct LatencyLimit {
  double seconds = kNever, slack = 0;
  bool of_mean = false;
};
std::vector<LatencyLimit> latency_limits(const Question& question) {
  std::vector<LatencyLimit> limits;
  for (const SloSpec& slo : question.base.slo) {
    if (!slo.where_model.empty() || !slo.where_tenant.empty() || slo.where_priority) continue;
    if (slo.latency && slo.latency->absolute) {
      limits.push_back({slo.latency->absolute->seconds(), 1 - slo.attainment, false});
    }
    static const std::map<std::string, double> kSlack{
        {"p50", 0.5}, {"p90", 0.1}, {"p95", 0.05}, {"p99", 0.01}, {"max", 0}};
    for (const auto& [statistic, bound] : slo.statistics) {
      if (!bound.absolute) continue;
      if (statistic == "mean") {
        limits.push_back({bound.absolute->seconds(), 0, true});
      } else {
        limits.push_back({bound.absolute->seconds(), kSlack.at(statistic), false});
      }
    }
  }
  return limits;
}

bool constant_costs(const Question& question) {
  return std::all_of(question.base.costs.begin(), question.base.costs.end(),
                     [](const CostLine& l) { return l.distribution == Distribution::constant; });
}

/// Why no fleet of this layout can do it, or empty. Without a queue a request needs its longest
/// path; only constant seconds make that a bound on percentiles, the mean is one for every
/// distribution.
std::string latency_reason(const Ground& ground, const Work& work, const Layout& layout) {
  for (const LatencyLimit& limit : latency_limits(ground.question)) {
    if (limit.of_mean) {
      const double mean = work.mean_path(layout);
      if (mean > limit.seconds) {
        return fmt::format("without any queue the mean latency is {:.4g} s > {:.4g} s", mean,
                           limit.seconds);
      }
    } else if (constant_costs(ground.question)) {
      const double share = work.share_slower(layout, limit.seconds);
      if (share > limit.slack + 1e-12) {
        return fmt::format(
            "without any queue {:.1f} % of requests are slower than {:.4g} s, {:.1f} % may be",
            100 * share, limit.seconds, 100 * limit.slack);
      }
    }
  }
  return {};
}

/// The fewest instances that can carry the work: steady, n > rate x seconds; as given, all but the
/// share that may miss must be computed between the first arrival and the last allowed completion.
std::uint32_t fewest_instances(const Ground& ground, double seconds) {
  if (ground.demand.steady) {
    return static_cast<std::uint32_t>(std::floor(ground.demand.rate_per_s * seconds)) + 1;
  }
  if (ground.demand.requests <= 0) return 1;
  double most = 1;
  for (const LatencyLimit& limit : latency_limits(ground.question)) {
    if (limit.of_mean || limit.seconds == kNever || !constant_costs(ground.question)) continue;
    // Kinds differ in seconds: with one kind only is the share a share of the work.
    if (ground.demand.kinds.size() > 1 && limit.slack > 0) continue;
    const double work = (1 - limit.slack) * ground.demand.requests * seconds;
    const double time = ground.demand.last_s - ground.demand.first_s + limit.seconds;
    most = std::max(most, std::ceil(work / time - 1e-9));
  }
  return static_cast<std::uint32_t>(most);
}

/// A layout with its fewest instances, or why none of its fleets is worth simulating.
struct Bounded {
  Layout layout;
  std::vector<std::uint32_t> fewest;
  std::string pruned;
};

Bounded bound(const Ground& ground, const Work& work, const Layout& layout) {
  Bounded bounded{layout, {}, {}};
  for (RoleChoice& role : bounded.layout.roles) {
    role.offload = !work.too_large(role, ground.question.base).empty();
    if (role.offload) bounded.pruned = work.too_large(role, ground.question.base);
    if (!bounded.pruned.empty()) return bounded;
    const double seconds = work.seconds(role);
    if (!std::isfinite(seconds)) {
      bounded.pruned =
          fmt::format("{} has no cost for {}", role.gpu, ground.groups[role.groups.front()].name);
      return bounded;
    }
    bounded.fewest.push_back(fewest_instances(ground, seconds));
  }
  bounded.pruned = latency_reason(ground, work, bounded.layout);
  if (!bounded.pruned.empty()) return bounded;
  const Candidate least{bounded.layout, bounded.fewest};
  if (!ground.market.rent(least)) {
    bounded.pruned = fmt::format("capacity: at least {} are needed, the catalogue has fewer",
                                 describe(least, ground.groups));
    return bounded;
  }
  const Result<sim::Simulation> fits =
      sim::Simulation::prepare(with_fleet(ground.question, ground.market, least, ground.groups));
  if (!fits) bounded.pruned = fits.error().front().text();
  return bounded;
}

/// The order of judging: price, then instances, then the order of enumeration.
struct Waiting {
  double usd_per_hour = 0;
  std::uint32_t instances = 0;
  std::size_t layout = 0;
  std::vector<std::uint32_t> counts;
  bool operator>(const Waiting& other) const {
    return std::tie(usd_per_hour, instances, layout, counts) >
           std::tie(other.usd_per_hour, other.instances, other.layout, other.counts);
  }
};

class CostSearch {
 public:
  CostSearch(Ground& ground, const Work& work, Plan& plan)
      : ground_(ground),
        work_(work),
        plan_(plan),
        judge_(ground.question, ground.demand, ground.budget) {}

  Result<void> run() {
    enumerate();
    while (!waiting_.empty()) {
      const Waiting next = waiting_.top();
      waiting_.pop();
      if (ground_.budget.spent()) {
        plan_.answer = Answer::undecided;
        plan_.why = spent_text();
        return {};
      }
      const Candidate candidate{layouts_[next.layout].layout, next.counts};
      Result<Judgement> judgement = judge(candidate);
      if (!judgement) return fail(std::move(judgement.error()));
      const Considered& seen = plan_.simulated.emplace_back(
          Considered{candidate, ground_.market.price(candidate), std::move(*judgement)});
      if (seen.judgement.verdict == Verdict::feasible) {
        plan_.best = seen;
        plan_.answer = undecided_.empty() ? Answer::feasible : Answer::undecided;
        if (!undecided_.empty()) {
          plan_.why = fmt::format("a cheaper fleet could not be decided: {}", undecided_);
        }
        return show_neighbours(next);
      }
      if (seen.judgement.verdict == Verdict::undecided) {
        undecided_ = describe(candidate, ground_.groups) + ": " + seen.judgement.why;
      }
      push_successors(next);
    }
    conclude_infeasible();
    return {};
  }

 private:
  [[nodiscard]] std::string spent_text() const {
    const Question& question = ground_.question;
    const std::string what =
        ground_.budget.events <= 0
            ? fmt::format("the budget of {:.4g} events is spent", question.event_budget)
            : fmt::format("the time limit of {:.4g} s is reached", question.time_limit.seconds());
    return what + " (`search: {budget: ..., time_limit: ...}` in the question gives more)";
  }

  Result<Judgement> judge(const Candidate& candidate) {
    if (ground_.options.show_progress) {
      ground_.options.show_progress(fmt::format("{} fleets judged, now {}", plan_.simulated.size(),
                                                describe(candidate, ground_.groups)));
    }
    return judge_.judge(with_fleet(ground_.question, ground_.market, candidate, ground_.groups));
  }

  void enumerate() {
    double cheapest = kNever;
    for (const Layout& layout :
         layouts(ground_.groups.size(), ground_.market.gpus(), ground_.question.colocate)) {
      Bounded bounded = bound(ground_, work_, layout);
      if (!bounded.pruned.empty()) {
        ++plan_.considered;
        ++plan_.pruned;
        pruned_.push_back(std::move(bounded));
        continue;
      }
      const auto rent = ground_.market.rent(Candidate{bounded.layout, bounded.fewest});
      cheapest = std::min(cheapest, rent->usd_per_hour);
      layouts_.push_back(std::move(bounded));
      push(layouts_.size() - 1, layouts_.back().fewest);
    }
    if (layouts_.empty()) {
      plan_.lower_bound.why = "bounds exclude every fleet at any price";
    } else {
      plan_.lower_bound.usd_per_hour = cheapest;
    }
  }

  void push(std::size_t layout, const std::vector<std::uint32_t>& counts) {
    const Candidate candidate{layouts_[layout].layout, counts};
    const auto rent = ground_.market.rent(candidate);
    if (!rent || !pushed_.insert({layout, counts}).second) return;
    ++plan_.considered;
    waiting_.push({rent->usd_per_hour, candidate.instances(), layout, counts});
  }

  void push_successors(const Waiting& from) {
    for (std::size_t i = 0; i < from.counts.size(); ++i) {
      std::vector<std::uint32_t> counts = from.counts;
      ++counts[i];
      push(from.layout, counts);
    }
  }

  /// The proof: with any one instance fewer it fails.
  Result<void> show_neighbours(const Waiting& best) {
    const Bounded& bounded = layouts_[best.layout];
    for (std::size_t i = 0; i < best.counts.size(); ++i) {
      Considered fewer;
      fewer.candidate = {bounded.layout, best.counts};
      --fewer.candidate.counts[i];
      const RoleChoice& role = bounded.layout.roles[i];
      const std::string name = stages_of(role, ground_.groups);
      fewer.judgement.verdict = Verdict::rejected;
      if (fewer.candidate.counts[i] == 0) {
        fewer.judgement.why = fmt::format("no instance is left for {}", name);
      } else if (best.counts[i] <= bounded.fewest[i]) {
        const double seconds = work_.seconds(role);
        fewer.judgement.why =
            ground_.demand.steady
                ? fmt::format(
                      "capacity: {} {} at {:.4g} s a request serve {:.4g} /s, and more than "
                      "{:.4g} /s is needed",
                      fewer.candidate.counts[i], name, seconds, fewer.candidate.counts[i] / seconds,
                      ground_.demand.rate_per_s)
                : fmt::format("capacity: {} {} at {:.4g} s a request cannot finish in time",
                              fewer.candidate.counts[i], name, seconds);
      } else {
        const auto known = std::find_if(plan_.simulated.begin(), plan_.simulated.end(),
                                        [&](const Considered& seen) {
                                          return describe(seen.candidate, ground_.groups) ==
                                                 describe(fewer.candidate, ground_.groups);
                                        });
        if (known != plan_.simulated.end()) {
          fewer.judgement = known->judgement;
        } else {
          Result<Judgement> judgement = judge(fewer.candidate);
          if (!judgement) return fail(std::move(judgement.error()));
          fewer.judgement = std::move(*judgement);
          ++plan_.considered;
          plan_.simulated.push_back(
              {fewer.candidate, ground_.market.price(fewer.candidate), fewer.judgement});
        }
      }
      fewer.price = ground_.market.price(fewer.candidate);
      plan_.neighbours.push_back(std::move(fewer));
    }
    return {};
  }

  void conclude_infeasible() {
    if (!undecided_.empty()) {
      plan_.answer = Answer::undecided;
      plan_.why = undecided_;
      return;
    }
    plan_.answer = Answer::infeasible;
    if (!plan_.simulated.empty()) {
      const Considered& last = plan_.simulated.back();
      plan_.why = fmt::format("even {} fails: {}", describe(last.candidate, ground_.groups),
                              last.judgement.why);
    } else if (!pruned_.empty()) {
      plan_.why = pruned_.front().pruned;
    } else {
      plan_.why = "the catalogue has no GPU";
    }
  }

  Ground& ground_;
  const Work& work_;
  Plan& plan_;
  Judge judge_;
  std::vector<Bounded> layouts_, pruned_;
  std::set<std::pair<std::size_t, std::vector<std::uint32_t>>> pushed_;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
  std::string undecided_;
};

}  // namespace

void give_end(Scenario& scenario, const Judgement& judgement) {
  WorkloadSpec& workload = scenario.workload;
  if (workload.requests || workload.duration || judgement.requests == 0) return;
  workload.requests = judgement.requests;
  scenario.run.warmup = judgement.warmup;
}

const char* name_of(Answer answer) {
  switch (answer) {
    case Answer::feasible:
      return "feasible";
    case Answer::infeasible:
      return "infeasible";
    case Answer::undecided:
      return "undecided";
  }
  return "?";
}

Result<Plan> search(const Question& question, const SearchOptions& options) {
  Result<std::unique_ptr<Ground>> prepared = Ground::prepare(question, options);
  if (!prepared) return fail(std::move(prepared.error()));
  Ground& ground = **prepared;
  if (question.objective == Question::Objective::throughput) return search_throughput(ground);
  const Work work(ground.demand, ground.graph, ground.groups, *ground.truth, ground.gpu_types);
  Plan plan;
  plan.groups = ground.groups;
  CostSearch search(ground, work, plan);
  const Result<void> done = search.run();
  if (!done) return fail(done.error());
  if (plan.best) {
    plan.scenario = with_fleet(question, ground.market, plan.best->candidate, ground.groups);
    give_end(plan.scenario, plan.best->judgement);
    plan.seconds_used = work.seconds_used(plan.best->candidate.layout);
  }
  return plan;
}

}  // namespace disagfusion::planner
