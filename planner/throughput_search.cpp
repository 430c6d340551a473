// The most requests a second that a fixed inventory can carry.
//
// A cut of the pipeline into blocks b and n_bg instances of block b on GPU type g carry
//   X = min over b of sum over g of n_bg / S_bg     (S_bg: seconds of the block's stages on g),
// so the best use is a max-min allocation. On one type, giving each next GPU to the slowest block
// is optimal (the minimum can rise no other way). On several, each next GPU goes to the slowest
// block, of the type that this block uses best in comparison with the others; then pairs of
// instances are exchanged while that raises the minimum: a local optimum. The best cut is then run
// saturated, in a closed loop, and what it really carries is reported beside the bound.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "planner/ground.hpp"
#include "sim/engine.hpp"

namespace disagfusion::planner {

namespace {

/// One cut with instances by [block][type].
struct Allocation {
  std::vector<std::vector<std::uint16_t>> blocks;
  std::vector<std::vector<double>> seconds;        // [block][type]
  std::vector<std::vector<std::uint32_t>> counts;  // [block][type]

  [[nodiscard]] double rate(std::size_t block) const {
    double rate = 0;
    for (std::size_t g = 0; g < counts[block].size(); ++g)
      rate += counts[block][g] / seconds[block][g];
    return rate;
  }
  [[nodiscard]] std::size_t slowest() const {
    std::size_t at = 0;
    for (std::size_t b = 1; b < blocks.size(); ++b) {
      if (rate(b) < rate(at)) at = b;
    }
    return at;
  }
  [[nodiscard]] double capacity() const { return rate(slowest()); }
};

/// How much better type g is for this block than for the others, in the geometric mean.
double advantage(const Allocation& a, std::size_t block, std::size_t type) {
  double others = 0;
  for (std::size_t b = 0; b < a.blocks.size(); ++b) others += std::log(a.seconds[b][type]);
  return others / static_cast<double>(a.blocks.size()) - std::log(a.seconds[block][type]);
}

void fill(Allocation& a, std::vector<std::uint32_t> left) {
  for (;;) {
    const std::size_t block = a.slowest();
    std::size_t best = left.size();
    for (std::size_t g = 0; g < left.size(); ++g) {
      if (left[g] == 0 || !std::isfinite(a.seconds[block][g])) continue;
      if (best == left.size() || advantage(a, block, g) > advantage(a, block, best)) best = g;
    }
    if (best == left.size()) return;
    --left[best];
    ++a.counts[block][best];
  }
}

/// Moves single instances to, and swaps pairs with, the slowest block while the minimum rises.
void improve(Allocation& a) {
  for (bool better = true; better;) {
    better = false;
    const std::size_t slow = a.slowest();
    const double before = a.capacity();
    for (std::size_t other = 0; other < a.blocks.size() && !better; ++other) {
      if (other == slow) continue;
      for (std::size_t give = 0; give < a.counts[other].size() && !better; ++give) {
        if (a.counts[other][give] == 0 || !std::isfinite(a.seconds[slow][give])) continue;
        for (std::size_t back = 0; back <= a.counts[slow].size() && !better; ++back) {
          const bool swap = back < a.counts[slow].size();
          if (swap && (a.counts[slow][back] == 0 || back == give ||
                       !std::isfinite(a.seconds[other][back]))) {
            continue;
          }
          Allocation tried = a;
          --tried.counts[other][give];
          ++tried.counts[slow][give];
          if (swap) {
            --tried.counts[slow][back];
            ++tried.counts[other][back];
          }
          if (tried.capacity() > before * (1 + 1e-12)) {
            a = std::move(tried);
            better = true;
          }
        }
      }
    }
  }
}

Candidate candidate_of(const Allocation& a, const std::vector<std::string>& gpus) {
  Candidate candidate;
  for (std::size_t b = 0; b < a.blocks.size(); ++b) {
    for (std::size_t g = 0; g < gpus.size(); ++g) {
      if (a.counts[b][g] == 0) continue;
      candidate.layout.roles.push_back({a.blocks[b], gpus[g], 1, false});
      candidate.counts.push_back(a.counts[b][g]);
    }
  }
  return candidate;
}

/// The distinct cuts: layouts on one type are one each.
std::vector<Allocation> cuts(const Ground& ground, const Work& work) {
  const std::vector<std::string>& gpus = ground.market.gpus();
  std::vector<Allocation> all;
  for (const Layout& layout :
       layouts(ground.groups.size(), {gpus.front()}, ground.question.colocate)) {
    Allocation a;
    for (const RoleChoice& role : layout.roles) {
      a.blocks.push_back(role.groups);
      std::vector<double> seconds;
      for (const std::string& gpu : gpus)
        seconds.push_back(work.seconds({role.groups, gpu, 1, false}));
      a.seconds.push_back(std::move(seconds));
      a.counts.emplace_back(gpus.size(), 0);
    }
    all.push_back(std::move(a));
  }
  return all;
}

/// The fleet kept busy by a closed loop: steady throughput with its interval.
Result<report::Report> saturate(const Ground& ground, const Scenario& fleet, double capacity,
                                std::uint32_t instances) {
  Scenario scenario = fleet;
  constexpr std::uint32_t kInFlightPerInstance = 4, kTurns = 50;
  const std::uint32_t concurrency = kInFlightPerInstance * instances;
  scenario.workload.trace.clear();
  scenario.workload.arrivals.reset();
  scenario.workload.closed_loop_concurrency = concurrency;
  scenario.workload.requests = static_cast<std::uint64_t>(concurrency) * kTurns;
  scenario.workload.duration.reset();
  scenario.run.warmup = from_seconds(
      std::min(kLongestSeconds, 0.2 * static_cast<double>(*scenario.workload.requests) / capacity));
  const Result<sim::Simulation> simulation = sim::Simulation::prepare(scenario);
  if (!simulation) return fail(simulation.error());
  sim::RunOptions options;
  options.seed = ground.question.base.seed;
  options.replications = 4;
  Result<sim::RunOutcome> outcome = sim::run(*simulation, options);
  if (!outcome) return fail(std::move(outcome.error()));
  return sim::make_report(*simulation, options, std::move(*outcome), 0);
}

}  // namespace

Result<Plan> search_throughput(Ground& ground) {
  const Work work(ground.demand, ground.graph, ground.groups, *ground.truth, ground.gpu_types);
  const std::vector<std::string>& gpus = ground.market.gpus();
  std::vector<std::uint32_t> inventory;
  for (const std::string& gpu : gpus) inventory.push_back(ground.market.most(gpu));
  Plan plan;
  plan.groups = ground.groups;
  std::vector<Allocation> allocations = cuts(ground, work);
  for (Allocation& a : allocations) {
    // A type whose memory the block does not fit is of no use to it.
    for (std::size_t b = 0; b < a.blocks.size(); ++b) {
      for (std::size_t g = 0; g < gpus.size(); ++g) {
        const RoleChoice role{a.blocks[b], gpus[g], 1, false};
        if (!work.too_large(role, ground.question.base).empty()) {
          a.seconds[b][g] = std::numeric_limits<double>::infinity();
        }
      }
    }
    fill(a, inventory);
    improve(a);
  }
  std::stable_sort(allocations.begin(), allocations.end(), [](const auto& a, const auto& b) {
    return a.capacity() > b.capacity() * (1 + 1e-12);
  });
  Judge judge(ground.question, ground.demand, ground.budget);
  for (const Allocation& a : allocations) {
    ++plan.considered;
    Considered considered;
    considered.candidate = candidate_of(a, gpus);
    if (a.capacity() <= 0) {
      ++plan.pruned;
      plan.why = "the inventory has too few GPUs for every stage";
      continue;
    }
    const Scenario fleet =
        with_fleet(ground.question, ground.market, considered.candidate, ground.groups);
    if (const auto rent = ground.market.rent(considered.candidate)) {
      considered.usd_per_hour = rent->usd_per_hour;
    }
    Result<report::Report> carried =
        saturate(ground, fleet, a.capacity(), considered.candidate.instances());
    if (!carried) {
      ++plan.pruned;
      plan.why = carried.error().front().text();
      continue;
    }
    considered.judgement.verdict = Verdict::feasible;
    considered.judgement.why =
        fmt::format("carries {:.5g} /s saturated, its capacity bound is {:.5g} /s",
                    carried->throughput_rps.value.value_or(0), a.capacity());
    considered.judgement.report = std::move(*carried);
    if (!ground.question.base.slo.empty()) {
      Result<Judgement> kept = judge.judge(fleet);
      if (!kept) return fail(std::move(kept.error()));
      if (kept->verdict != Verdict::feasible) considered.judgement = std::move(*kept);
    }
    plan.simulated.push_back(considered);
    if (considered.judgement.verdict == Verdict::feasible && !plan.best) {
      plan.best = considered;
      plan.answer = Answer::feasible;
      plan.scenario = fleet;
      plan.seconds_used = work.seconds_used(considered.candidate.layout);
      continue;
    }
    constexpr std::size_t kShown = 4;  // runners-up for the proof
    if (plan.best && plan.simulated.size() >= kShown) break;
  }
  if (!plan.best && !plan.simulated.empty()) plan.why = plan.simulated.front().judgement.why;
  return plan;
}

}  // namespace disagfusion::planner
