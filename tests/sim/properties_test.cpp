// The invariants of design 2 on random graphs, fleets, slots, co-hosting, policies and faults. A
// run with the protocol monitor on ends the program on a broken protocol; what is checked here is
// how runs end: every request once, nothing stuck, accounts that agree, the same decisions each
// time.
#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "scheduler/log/file_container.hpp"
#include "tests/sim/scenario_text.hpp"

namespace disagfusion::sim {
namespace {

using testing::scenario_of;

int below(int limit) { return *rc::gen::inRange(0, limit); }
bool chance(int percent) { return below(100) < percent; }
template <class... Texts>
std::string one_of(Texts... texts) {
  const std::vector<std::string> all{texts...};
  return all[static_cast<std::size_t>(below(static_cast<int>(all.size())))];
}

/// A failed CHECK aborts: then the scenario that did it is printed.
std::string present_scenario;
void print_scenario(int) {
  if (write(STDERR_FILENO, present_scenario.data(), present_scenario.size()) < 0) _exit(3);
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

/// A random acyclic graph: every stage after some of the earlier ones, or a source.
std::string random_model(int number, int stages) {
  std::string text = fmt::format("  - name: m{}\n    stages:\n", number);
  for (int i = 0; i < stages; ++i) {
    std::string after;
    for (int j = 0; j < i; ++j) {
      if (!chance(j == i - 1 ? 80 : 30)) continue;
      after += fmt::format("{}s{}", after.empty() ? "" : ", ", j);
    }
    text += fmt::format("      - {{name: s{}{}{}{}}}\n", i,
                        after.empty() ? "" : ", after: [" + after + "]",
                        chance(60) ? fmt::format(", output: {} kB", 1 + below(2000)) : "",
                        chance(20) ? fmt::format(", weights: shared{}", i) : "");
  }
  return text;
}

struct Fleet {
  std::string text;
  std::vector<std::string> roles;  // names, as elasticity knows them
  int instances = 0;
};

/// Every stage in at least one pool; pools may host several stages.
Fleet random_fleet(int stages, bool own_pools) {
  Fleet fleet;
  std::string pools;
  const auto add = [&](const std::string& names) {
    const int count = 1 + below(3);
    fleet.instances += count;
    fleet.roles.push_back(names);
    for (std::size_t at; (at = fleet.roles.back().find(", ")) != std::string::npos;) {
      fleet.roles.back().replace(at, 2, "+");
    }
    pools += fmt::format("    - {{stages: [{}], gpu: A10, count: {}", names, count);
    if (!own_pools) {
      if (chance(40)) pools += fmt::format(", input_slots: {}", 1 + below(3));
      if (chance(10)) pools += ", input_slots: unlimited";
      if (chance(30)) pools += fmt::format(", output_slots: {}", 1 + below(2));
      if (chance(40)) pools += fmt::format(", max_batch: {}", 1 + below(4));
    }
    pools += "}\n";
  };
  for (int i = 0; i < stages; ++i) {
    std::string names = fmt::format("s{}", i);
    if (!own_pools && i + 1 < stages && chance(25)) names += fmt::format(", s{}", ++i);
    add(names);
  }
  if (!own_pools && chance(20)) {
    std::string all;
    for (int i = 0; i < stages; ++i) all += fmt::format("{}s{}", all.empty() ? "" : ", ", i);
    add(all);
  }
  // A key twice in one pool is no scenario.
  for (std::size_t at; (at = pools.find(", input_slots: unlimited")) != std::string::npos;) {
    const std::size_t line = pools.rfind('\n', at);
    const bool twice = pools.find("input_slots: ", line == std::string::npos ? 0 : line) < at;
    pools.replace(at, 24, twice ? "" : ", input_slots: 7");
  }
  std::string gpus = fmt::format("gpus: {{A10: {}}}", fleet.instances);
  if (!own_pools && chance(30)) {  // host memory that runs out now and then
    gpus =
        fmt::format("nodes: [{{name: n, {}, host_memory: {} kB, inside: {{bandwidth: 1 GB/s}}}}]",
                    gpus, 100 + below(8000));
  }
  fleet.text = fmt::format("fleet:\n  {}\n  pools:\n", gpus) + pools;
  return fleet;
}

std::string random_faults(int instances) {
  if (!chance(40)) return "";
  std::string text = "faults:\n";
  std::set<int> hit;
  for (int i = 0; i <= below(3); ++i) {
    const int instance = 1 + below(instances);
    if (!hit.insert(instance).second) continue;
    text += fmt::format("  - {{at: {} s, instance: {}, kind: crash, repair: {} s}}\n",
                        below(4000) / 100.0, instance, 1 + below(20));
  }
  return text + "startup: {load: 2 s}\n";
}

/// Moves that leave every stage somebody: of a role with the most instances nothing is known here,
/// so an instance goes and, later, one comes back.
std::string random_elasticity(const Fleet& fleet) {
  if (fleet.roles.size() < 2 || !chance(30)) return one_of("static", "static", "hybrid");
  const auto& from =
      fleet.roles[static_cast<std::size_t>(below(static_cast<int>(fleet.roles.size())))];
  const auto& to =
      fleet.roles[static_cast<std::size_t>(below(static_cast<int>(fleet.roles.size())))];
  const int at = 1 + below(30);
  return fmt::format(
      "{{name: schedule, moves: [{{at: {} s, from: {}, to: {}}}, {{at: {} s, from: {}, to: {}}}]}}",
      at, from, to, at + 20, to, from);
}

std::string random_scenario() {
  const int models = 1 + below(2), stages = 1 + below(5);
  std::string text = "name: random\nmodels:\n";
  for (int m = 0; m < models; ++m) text += random_model(m, stages);
  const Fleet fleet = random_fleet(stages, false);
  text += fleet.text;
  text += "workload:\n";
  text += one_of("  arrivals: {process: poisson, rate: 2 /s}\n", "  arrivals: {process: burst}\n",
                 "  closed_loop: {concurrency: 7}\n",
                 "  arrivals: {process: gamma, rate: 1 /s, cv: 3}\n");
  text += fmt::format("  requests: {}\n  mix:\n", 1 + below(60));
  for (int m = 0; m < models; ++m) {
    text += fmt::format(
        "    - {{weight: 1, model: m{}, width: 64, height: 64, steps: {}, deadline: 30 s}}\n", m,
        1 + below(6));
    if (chance(50)) {
      text += fmt::format(
          "    - {{weight: 1, model: m{}, width: 64, height: 64, steps: 9, deadline: 3 s}}\n", m);
    }
  }
  const std::string network =
      one_of("none", "{latency: 30 ms, bandwidth: 8 Mbit/s, jitter_cv: 0.5}",
             "{latency: 0 s, bandwidth: 1 GB/s}");
  text += "network: " + network + "\n";
  if (chance(50)) text += "control: {delay: 5 ms, jitter_cv: 0.5, lost_after: 2 s}\n";
  text += fmt::format(
      "policy: {{handoff: {}, dispatch: {}, queue: {}, routing: {}, batching: {}, preemption: "
      "{}}}\n",
      one_of("async", "sync"), one_of("pull", "push"), one_of("fifo", "deadline"),
      one_of("least-completion", "most-free"),
      one_of("none", "equal-shapes", "{name: equal-shapes, wait: 300 ms}"),
      one_of("none", "none", "{name: deadline, remaining: 100 ms}"), random_elasticity(fleet));
  text += "costs:\n";
  for (int i = 0; i < stages; ++i) {
    text += fmt::format("  - {{stage: s{}, fixed: 0.0{}, per_step: 0.{}, distribution: {}}}\n", i,
                        1 + below(9), 1 + below(9), one_of("constant", "exponential"));
  }
  if (chance(30)) text += fmt::format("timeouts: {{request: {} s}}\n", 1 + below(20));
  text += "retries: {max: 50}\n";
  text += random_faults(fleet.instances);
  return text;
}

/// Remembers nothing: what a log is to the scheduler.
class Deaf final : public scheduler::EventSink {
 public:
  void record(TimePoint, const scheduler::Event&, std::uint64_t) override { ++events; }
  std::uint64_t events = 0;
};

RC_GTEST_PROP(Properties, EveryRequestEndsOnceWhateverTheFleetAndTheFaults, ()) {
  std::signal(SIGABRT, print_scenario);
  const std::string text = random_scenario();
  present_scenario = text;
  RC_LOG() << text;
  const Scenario scenario = scenario_of(text);
  const Result<Simulation> simulation = Simulation::prepare(scenario);
  if (!simulation) RC_FAIL(testing::text_of(simulation.error()));
  RunLimits limits;
  limits.events = 1'000'000;  // a run that never ends is a failure, not a hang
  Watchers auditor;
  auditor.after_event = [](const scheduler::Session& session) {
    const std::string wrong = session.scheduler().audit();
    if (!wrong.empty()) RC_FAIL(fmt::format("event {}: {}", session.events(), wrong));
  };
  const Result<report::RunSummary> run = simulation->run(7, auditor, limits);
  if (!run) RC_FAIL(testing::text_of(run.error()));
  RC_ASSERT(run->events < limits.events);
  const report::OutcomeCounts& n = run->requests;
  RC_ASSERT(n.offered == *scenario.workload.requests);
  RC_ASSERT(n.in_flight == 0U);
  RC_ASSERT(n.completed + n.rejected + n.timed_out + n.cancelled + n.failed == n.offered);
  if (scenario.faults.empty()) RC_ASSERT(n.failed == 0U);
  // The same decisions again, watched or not.
  Deaf log;
  Watchers watchers;
  watchers.log = &log;
  const Result<report::RunSummary> again = simulation->run(7, watchers, limits);
  RC_ASSERT(again.has_value());
  RC_ASSERT(again->decision_hash == run->decision_hash);
  RC_ASSERT(log.events == run->events);
}

/// Completion instants, ascending, of a run.
class Completions final : public scheduler::EventSink {
 public:
  void record(TimePoint now, const scheduler::Event& event, std::uint64_t) override {
    if (event.kind == scheduler::EventKind::batch_finished) ends.push_back(now);
  }
  std::vector<TimePoint> ends;  // of all stages; the last stage's are among them in the same order
};

RC_GTEST_PROP(Properties, AFurtherGpuNeverDelaysTheKthCompletion, ()) {
  // Constant seconds, equal GPUs, dedicated pools, async, no network, no slots, static, no faults.
  const int stages = 1 + below(4);
  std::vector<int> counts;
  std::string model = "  - name: m\n    stages:\n", costs;
  for (int i = 0; i < stages; ++i) {
    model += fmt::format("      - {{name: s{}{}}}\n", i,
                         i == 0 ? "" : fmt::format(", after: [s{}]", i - 1));
    costs += fmt::format("  - {{stage: s{}, seconds: {}}}\n", i, (1 + below(40)) / 10.0);
    counts.push_back(1 + below(4));
  }
  const int more = below(stages), requests = 1 + below(80);
  const auto completions = [&](bool bigger) {
    std::string pools;
    int gpus = 0;
    for (int i = 0; i < stages; ++i) {
      const int count = counts[static_cast<std::size_t>(i)] + (bigger && i == more ? 1 : 0);
      gpus += count;
      pools += fmt::format("    - {{stages: [s{}], gpu: A10, count: {}}}\n", i, count);
    }
    const Simulation simulation = testing::simulation_of(
        "name: t\nmodels:\n" + model +
        fmt::format("fleet:\n  gpus: {{A10: {}}}\n  pools:\n", gpus) + pools + "costs:\n" + costs +
        fmt::format("workload: {{arrivals: {{process: poisson, rate: 1 /s}}, requests: {}}}\n",
                    requests));
    Completions seen;
    Watchers watchers;
    watchers.log = &seen;
    const auto run = simulation.run(11, watchers);
    RC_ASSERT(run.has_value() && run->requests.completed == static_cast<std::uint64_t>(requests));
    return seen.ends;
  };
  const std::vector<TimePoint> before = completions(false), after = completions(true);
  RC_ASSERT(before.size() == after.size());
  for (std::size_t k = 0; k < before.size(); ++k) RC_ASSERT(after[k] <= before[k]);
}

}  // namespace
}  // namespace disagfusion::sim
