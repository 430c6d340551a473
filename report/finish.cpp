// The end of a run: what the recorder gathered becomes figures.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "base/check.hpp"
#include "report/recorder.hpp"

namespace disagfusion::report {

namespace {

double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

std::optional<double> ratio(double part, double whole) {
  if (!(whole > 0)) return std::nullopt;
  return part / whole;
}

Figure figure_of(const BatchMeans& means, const char* nothing) {
  Figure figure;
  figure.value = means.mean();
  if (figure.value) {
    figure.ci95 = means.interval(figure.why);
  } else {
    figure.why = nothing;
  }
  return figure;
}

}  // namespace

RunSummary Recorder::finish(TimePoint end_point, const scheduler::Scheduler& scheduler) {
  const std::int64_t end = std::max(now_, end_point.ns);
  system_integral_s_ += static_cast<double>(in_system_) * seconds(end - now_);
  now_ = end;
  for (std::uint32_t slot = 0; slot < requests_.size(); ++slot) {
    const RequestKey key{slot, requests_[slot].generation};
    if (key.valid()) this->end(key, traces::Outcome::in_flight, "none");
  }
  for (Instance& in : instances_) {
    if (in.running.valid()) stop_computing(in, batches_[in.running.slot].node);
    leave_ready(in);
    for (Blocked& blocked : in.blocked) close_blocked(blocked);
    let_go(in, end);
  }

  RunSummary summary;
  summary.requests = counts_;
  summary.end_s = seconds(end);
  if (counts_.completed > 0) {
    summary.makespan_s = seconds(last_completion_);
    if (warmup_ == 0) {
      summary.throughput_rps = ratio(static_cast<double>(counts_.completed), *summary.makespan_s);
    }
  }
  if (warmup_ > 0) {
    summary.throughput_rps =
        ratio(static_cast<double>(completed_after_warmup_), seconds(last_completion_ - warmup_));
  }
  const bool all_warmed_up = counts_.offered > 0 && measured_offered_ == 0;
  const char* const within_warmup = "every request arrived within the warm-up";
  const char* const nobody = all_warmed_up ? within_warmup : "no request completed";
  summary.latency_mean = figure_of(latency_means_, nobody);
  summary.wait_mean = figure_of(wait_means_, nobody);
  for (std::size_t i = 0; i < kLatencyShares.size(); ++i) {
    summary.latency[i] = latency_.at(kLatencyShares[i]);
  }
  summary.percentiles_exact = latency_.exact();
  summary.covers =
      ratio(static_cast<double>(measured_completed_), static_cast<double>(measured_offered_));
  summary.objectives = objective_counts_;
  summary.attainment = figure_of(met_means_, scenario_.slo.empty() ? "no slo is given"
                                             : all_warmed_up       ? within_warmup
                                                             : "no request has a latency bound");
  if (met_means_.count() > 0) {
    std::uint64_t met = 0;
    for (const ObjectiveCounts& objective : objective_counts_) met += objective.met;
    summary.goodput_rps = ratio(static_cast<double>(met), seconds(last_completion_ - warmup_));
    if (!summary.goodput_rps) summary.goodput_rps = 0;
  }
  summarize_stages(summary, end);
  summarize_cost(summary);
  for (const scheduler::ScalingDecision& decision : scheduler.decisions()) {
    summary.scaling.push_back({decision.at.seconds(), decision.action, decision.instance.value,
                               decision.from, decision.to, decision.why});
  }
  summary.stability_why = stage_without_instances(scheduler);
  summary.stability =
      summary.stability_why.empty() ? judge(end, summary.stability_why) : Stability::overloaded;
  summary.warmup_removed = counts_.offered - measured_offered_;
  summary.stale_events = scheduler.counters().stale_events;
  summary.retries = scheduler.counters().retries;
  summary.preemptions = scheduler.counters().preemptions;
  summary.outputs_dropped = scheduler.counters().outputs_dropped;

  // Little's law, L = lambda W, holds exactly over a run that begins and ends empty.
  if (end > 0 && counts_.offered > 0) {
    summary.mean_in_system = system_integral_s_ / seconds(end);
    summary.arrivals_times_sojourn = time_in_system_s_ / seconds(end);
    const double difference = std::abs(system_integral_s_ - time_in_system_s_);
    DF_CHECK(difference <= 1e-6 * (1 + time_in_system_s_),
             "Little's law is broken: {} request-seconds in system, {} by requests",
             system_integral_s_, time_in_system_s_);
  }
  return summary;
}

void Recorder::summarize_stages(RunSummary& summary, std::int64_t end) const {
  const double window = seconds(clipped(0, end));
  for (std::size_t n = 0; n < totals_.size(); ++n) {
    const StageTotals& totals = totals_[n];
    StageSummary stage;
    double ready = 0;
    for (std::size_t p = 0; p < setup_.roles.size(); ++p) {
      const auto& stages = setup_.roles[p].stages;
      const WeightsId weights = setup_.graph.nodes[n].weights;
      if (std::find(stages.begin(), stages.end(), weights) != stages.end()) {
        ready += seconds(pool_ready_ns_[p]);
      }
    }
    const auto count = static_cast<double>(totals.measured);
    stage.utilization = ratio(seconds(totals.busy_ns), ready);
    stage.wait_s = ratio(totals.wait_s, count);
    stage.service_s = ratio(totals.service_s, count);
    stage.transfer_s = ratio(totals.transfer_s, count);
    stage.transfer_hidden = ratio(totals.hidden_s, totals.transfers_s);
    stage.blocked_s = ratio(totals.blocked_s, static_cast<double>(totals.batches));
    stage.queue = ratio(totals.wait_s, window);
    summary.stages.push_back(stage);
  }
  for (std::size_t p = 0; p < setup_.roles.size(); ++p) {
    PoolSummary pool;
    pool.utilization = ratio(seconds(pool_busy_ns_[p]), seconds(pool_ready_ns_[p]));
    pool.mean_instances = ratio(seconds(pool_ready_ns_[p]), window).value_or(0);
    summary.pools.push_back(pool);
  }
}

/// A node costs its price while at least one instance is on it (from the start of provisioning
/// until it is stopped or lost), with all its GPUs.
void Recorder::summarize_cost(RunSummary& summary) const {
  double usd = 0;
  std::string unknown;
  for (std::size_t m = 0; m < machines_.size(); ++m) {
    const double hours = seconds(machines_[m].ns) / 3600;
    if (hours <= 0) continue;
    const NodeGroupSpec& group = scenario_.fleet.nodes[setup_.machines[m].group];
    double price = group.price_usd_h.value_or(0);
    for (const auto& [name, count] : group.gpus) {
      summary.gpu_hours[name] += hours * count;
      if (group.price_usd_h) continue;
      const auto gpu = scenario_.gpus.find(name);
      const double low = gpu == scenario_.gpus.end() ? 0 : gpu->second.price_low_usd_h;
      if (low <= 0) unknown = name;
      price += low * count;
    }
    usd += price * hours;
  }
  if (unknown.empty()) {
    summary.usd = usd;
  } else {
    summary.usd_why = "no price is known for GPU type " + unknown;
  }
}

/// Why requests that did not complete never can: a stage of theirs has lost its instances for good.
/// Empty where that is not so.
std::string Recorder::stage_without_instances(const scheduler::Scheduler& scheduler) const {
  const std::uint64_t stuck = counts_.in_flight + counts_.timed_out + counts_.failed;
  if (stuck == 0) return {};
  std::vector<bool> hosted(setup_.graph.weights.size(), false);
  for (const scheduler::InstanceView& instance : scheduler.instances()) {
    const std::string_view state = instance.state;
    const bool repaired =
        std::any_of(scenario_.faults.begin(), scenario_.faults.end(), [&](const FaultSpec& fault) {
          return fault.instance == instance.key.id.value && fault.repair.has_value();
        });
    if (state == "off" || state == "stopping" || (state == "lost" && !repaired)) continue;
    for (const WeightsId stage : setup_.roles[instance.role.index()].stages) {
      hosted[stage.index()] = true;
    }
  }
  for (std::size_t n = 0; n < setup_.graph.nodes.size(); ++n) {
    const StageNode& node = setup_.graph.nodes[n];
    if (hosted[node.weights.index()] || offered_of_model_[node.model.index()] == 0) continue;
    return fmt::format("stage {} has no instance left; {} requests did not complete",
                       setup_.graph.node_names[n], stuck);
  }
  return {};
}

/// The rule of docs/models/statistics.md.
Stability Recorder::judge(std::int64_t end, std::string& why) const {
  if (scenario_.workload.closed_loop_concurrency) {
    why = "a closed loop bounds the number of requests";
    return Stability::stable;
  }
  if (counts_.offered <= 1) {
    why = "at most one request";
    return Stability::stable;
  }
  if (last_arrival_ == first_arrival_) {
    why = "all requests arrive at once";
    return Stability::backlogged;
  }
  // Offered load of pools that share stages: work that arrives a second over instances.
  const std::size_t pools = setup_.roles.size();
  std::vector<std::size_t> group(pools);
  std::iota(group.begin(), group.end(), std::size_t{0});
  const auto root = [&](std::size_t p) {
    while (group[p] != p) p = group[p];
    return p;
  };
  std::vector<std::size_t> host(setup_.graph.weights.size(), pools);
  for (std::size_t p = 0; p < pools; ++p) {
    for (const WeightsId stage : setup_.roles[p].stages) {
      std::size_t& known = host[stage.index()];
      if (known == pools) known = p;
      group[root(p)] = root(known);
    }
  }
  // The rate that the file names, where it does: the sample's own strays in a short run.
  const auto arrivals = static_cast<double>(counts_.offered);
  const std::optional<ArrivalsSpec>& named = scenario_.workload.arrivals;
  const bool known = scenario_.workload.trace.empty() && named && named->rate_per_s > 0;
  const double arrival_rate =
      known ? named->rate_per_s : (arrivals - 1) / seconds(last_arrival_ - first_arrival_);
  std::vector<double> work(pools, 0), instances(pools, 0);
  for (std::size_t n = 0; n < totals_.size(); ++n) {
    const StageTotals& totals = totals_[n];
    const StageNode& node = setup_.graph.nodes[n];
    if (totals.served == 0 || host[node.weights.index()] == pools) continue;
    const double demand =
        seconds(totals.busy_all_ns + totals.blocked_all_ns) / static_cast<double>(totals.served);
    const double rate =
        arrival_rate * static_cast<double>(offered_of_model_[node.model.index()]) / arrivals;
    work[root(host[node.weights.index()])] += rate * demand;
  }
  for (std::size_t p = 0; p < pools; ++p) {
    instances[root(p)] += seconds(pool_ready_all_ns_[p]) / seconds(std::max<std::int64_t>(end, 1));
  }
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t p = 0; p < pools; ++p) {
    if (root(p) != p || instances[p] <= 0) continue;
    if (work[p] / instances[p] > worst) {
      worst = work[p] / instances[p];
      where = p;
    }
  }
  constexpr std::uint64_t kFewestForALoad = 10;
  if (worst >= 1 && counts_.offered >= kFewestForALoad) {
    why =
        fmt::format("pool {} is offered {:.3f} of what it can do", setup_.roles[where].name, worst);
    return Stability::overloaded;
  }
  const std::size_t third = seen_.size() / 3;
  if (third > 0) {
    const auto mean = [&](std::size_t from) {
      return std::accumulate(seen_.begin() + static_cast<std::ptrdiff_t>(from),
                             seen_.begin() + static_cast<std::ptrdiff_t>(from + third), 0.0) /
             static_cast<double>(third);
    };
    const double middle = mean(third), last = mean(seen_.size() - third);
    if (last > 1.5 * middle + 3) {
      why = fmt::format("arrivals meet {:.1f} requests in the last third, {:.1f} in the middle one",
                        last, middle);
      return Stability::backlogged;
    }
  }
  why = fmt::format("the busiest pool is offered {:.3f} of what it can do", worst);
  if (worst >= 1) why += fmt::format(", but {} requests are too few to tell", counts_.offered);
  return Stability::stable;
}

}  // namespace disagfusion::report
