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
#include <numeric>
#include <span>
#include <vector>

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

/// What a fleet carries when a closed loop keeps it busy.
struct Saturated {
  report::Report report;
  std::uint64_t requests = 0;  ///< of each replication
};

/// The rate of completions at t_1 <= t_2 <= ... t_2h, from the mean instants of their halves:
///   X = h / ((t_{h+1} + ... + t_2h) / h - (t_1 + ... + t_h) / h).
/// The mean of t_{i+h} - t_i over whole periods is h periods of one completion whatever the order
/// inside a period, so completions that come in groups bias it only in second order; a count over
/// a window is off by up to a group.
double completion_rate(std::span<const double> instants) {
  const std::size_t half = instants.size() / 2;
  double first = 0, second = 0;
  for (std::size_t i = 0; i < half; ++i) {
    first += instants[i];
    second += instants[half + i];
  }
  const auto h = static_cast<double>(half);
  return h / ((second - first) / h);
}

/// Mean and interval over batches of all replications.
report::Figure rate_of(const std::vector<double>& rates) {
  report::Figure figure;
  if (rates.empty()) {
    figure.why = "too few requests completed";
    return figure;
  }
  figure.value =
      std::accumulate(rates.begin(), rates.end(), 0.0) / static_cast<double>(rates.size());
  figure.ci95 = report::interval_of_mean(rates);
  return figure;
}

std::string rate_text(const report::Figure& rate) {
  if (!rate.value || !rate.ci95) return rate.why;
  return fmt::format("carries {:.5g} /s ({:.5g} to {:.5g})", *rate.value, rate.ci95->lo,
                     rate.ci95->hi);
}

/// How long the fleet is kept busy. An instance's up to kInFlight requests can end together, so the
/// half of a batch is a multiple of 1 to kInFlight of each instance's requests.
class ClosedLoop {
 public:
  explicit ClosedLoop(std::uint32_t instances) : instances_(instances) {}
  [[nodiscard]] std::uint32_t concurrency() const { return kInFlight * instances_; }
  [[nodiscard]] std::uint64_t warmup() const { return std::uint64_t{kWarmup} * instances_; }
  /// Those in flight when the last one is issued drain: they are measured in no batch.
  [[nodiscard]] std::uint64_t requests() const {
    return warmup() + kBatches * batch() + concurrency();
  }
  /// The rate in each batch of one run's completions.
  void add_rates(const std::vector<double>& completions, std::vector<double>& rates) const {
    for (std::size_t i = 0; i < kBatches; ++i) {
      const std::size_t first = warmup() + i * batch();
      if (first + batch() > completions.size()) return;  // requests that failed
      rates.push_back(completion_rate({completions.data() + first, batch()}));
    }
  }

 private:
  static constexpr std::uint32_t kInFlight = 4, kWarmup = 50, kHalfBatch = 24;  // an instance
  static constexpr std::size_t kBatches = 4;
  [[nodiscard]] std::size_t batch() const { return std::size_t{2} * kHalfBatch * instances_; }
  std::uint32_t instances_;
};

Result<Saturated> saturate(const Ground& ground, const Scenario& fleet, double capacity,
                           std::uint32_t instances) {
  const ClosedLoop loop(instances);
  Scenario scenario = fleet;
  scenario.workload.trace.clear();
  scenario.workload.trace_rate = 1;
  scenario.workload.arrivals.reset();
  scenario.workload.closed_loop_concurrency = loop.concurrency();
  scenario.workload.requests = loop.requests();
  scenario.workload.duration.reset();
  scenario.run.warmup =
      from_seconds(std::min(kLongestSeconds, static_cast<double>(loop.warmup()) / capacity));
  const Result<sim::Simulation> simulation = sim::Simulation::prepare(scenario);
  if (!simulation) return fail(simulation.error());
  sim::RunOptions options;
  options.seed = ground.question.base.seed;
  options.replications = 4;
  std::vector<std::vector<double>> completions(options.replications);
  options.watchers = [&](std::uint32_t r) {
    sim::Watchers watchers;
    watchers.ended = [&instants = completions[r]](const traces::RequestRow& row) {
      if (row.latency) instants.push_back(row.done->seconds());
    };
    return watchers;
  };
  Result<sim::RunOutcome> outcome = sim::run(*simulation, options);
  if (!outcome) return fail(std::move(outcome.error()));
  std::vector<double> rates;
  for (const std::vector<double>& instants : completions) loop.add_rates(instants, rates);
  Saturated saturated;
  saturated.requests = loop.requests();
  saturated.report = sim::make_report(*simulation, options, std::move(*outcome), 0);
  saturated.report.throughput_rps = rate_of(rates);
  return saturated;
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
  plan.considered = allocations.size();
  plan.lower_bound.why = "objective throughput asks for no price";
  for (const Allocation& a : allocations) {
    Considered considered;
    considered.candidate = candidate_of(a, gpus);
    if (a.capacity() <= 0) {
      ++plan.pruned;
      plan.why = "the inventory has too few GPUs for every stage";
      continue;
    }
    const Scenario fleet =
        with_fleet(ground.question, ground.market, considered.candidate, ground.groups);
    considered.price = ground.market.price(considered.candidate);
    Result<Saturated> carried =
        saturate(ground, fleet, a.capacity(), considered.candidate.instances());
    if (!carried) {
      ++plan.pruned;
      plan.why = carried.error().front().text();
      continue;
    }
    considered.judgement.verdict = Verdict::feasible;
    considered.judgement.why = fmt::format("{} saturated, its capacity bound is {:.5g} /s",
                                           rate_text(carried->report.throughput_rps), a.capacity());
    considered.judgement.report = std::move(carried->report);
    considered.judgement.requests = carried->requests;
    plan.simulated.push_back(considered);
    if (!plan.best) {
      plan.best = considered;
      plan.answer = Answer::feasible;
      plan.scenario = fleet;
      give_end(plan.scenario, considered.judgement);
      plan.seconds_used = work.seconds_used(considered.candidate.layout);
      continue;
    }
    constexpr std::size_t kShown = 4;  // runners-up for the proof
    if (plan.simulated.size() >= kShown) break;
  }
  return plan;
}

}  // namespace disagfusion::planner
