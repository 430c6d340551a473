// What stands around the scheduler on every event, alone: monitor, decision hash, encoding,
// decoding. Items are events; the events and actions are those of a simulated run.
#include <benchmark/benchmark.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/scenario_reader.hpp"
#include "predictor/belief.hpp"
#include "scheduler/decision_hash.hpp"
#include "scheduler/log/file_container.hpp"
#include "scheduler/monitor.hpp"
#include "scheduler/scheduler.hpp"
#include "sim/engine.hpp"

namespace disagfusion::scheduler::log {
namespace {

const char* const kScenario = R"(
name: three stages on eight instances
models:
  - name: m
    stages:
      - {name: encoder, output: 1 MB}
      - {name: dit, after: [encoder], output: 4 MB}
      - {name: decoder, after: [dit]}
workload: {arrivals: {process: poisson, rate: 2.7 /s}, requests: 20000}
fleet:
  gpus: {A10: 8}
  pools:
    - {stages: [encoder], gpu: A10, count: 1}
    - {stages: [dit], gpu: A10, count: 6}
    - {stages: [decoder], gpu: A10, count: 1}
network: {latency: 1 ms, bandwidth: 10 Gbit/s}
costs:
  - {stage: encoder, seconds: 0.3}
  - {stage: dit, seconds: 2}
  - {stage: decoder, seconds: 0.3}
)";

// One run, kept: its records and, for each, its actions.
struct Run {
  Setup setup;
  std::deque<Record> records;
  std::vector<ActionBuffer> actions;
  std::size_t action_count = 0;
};

const Run& the_run() {
  static const std::unique_ptr<Run> run = [] {
    auto made = std::make_unique<Run>();
    TextFiles files{std::vector<SourceText>{{"bench.yaml", kScenario}}};
    const Scenario scenario = *load_scenario("bench.yaml", files);
    made->setup = *make_setup(scenario, false);
    const std::string path =
        (std::filesystem::temp_directory_path() / "event_path_benchmark.log").string();
    auto log = *FileLog::create(path, {});
    sim::Watchers watchers;
    watchers.log = log.get();
    (void)sim::Simulation::prepare(scenario)->run(0, watchers);
    (void)log->close();
    auto reader = *open_log(path);
    auto belief = predictor::make_belief(scenario, made->setup.graph, made->setup.gpu_types);
    auto scheduler = *Scheduler::make(made->setup, std::move(belief->costs));
    while (*reader->next(made->records.emplace_back())) {
      const Record& record = made->records.back();
      scheduler->on_event(record.now, record.event, made->actions.emplace_back());
      made->action_count += made->actions.back().actions.size();
    }
    made->records.pop_back();
    std::filesystem::remove(path);
    return made;
  }();
  return *run;
}

void count(benchmark::State& state, std::size_t events) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(events));
}

void monitor_events_and_actions(benchmark::State& state) {
  const Run& run = the_run();
  for (auto _ : state) {
    ProtocolMonitor monitor(run.setup);
    std::size_t i = 0;
    for (const Record& record : run.records) {
      const char* wrong = monitor.explain(record.now, record.event);
      if (wrong == nullptr) wrong = monitor.note_actions(record.now, run.actions[i++]);
      if (wrong != nullptr) state.SkipWithError(wrong);
    }
  }
  count(state, run.records.size());
}
BENCHMARK(monitor_events_and_actions);

void walk_alone(benchmark::State& state) {  // what reading the kept run costs by itself
  const Run& run = the_run();
  for (auto _ : state) {
    std::size_t i = 0;
    for (const Record& record : run.records) {
      benchmark::DoNotOptimize(record.event.kind);
      benchmark::DoNotOptimize(record.event.command.slot);
      for (const Action& action : run.actions[i++].actions) benchmark::DoNotOptimize(action.kind);
    }
  }
  count(state, run.records.size());
}
BENCHMARK(walk_alone);

void decision_hash(benchmark::State& state) {
  const Run& run = the_run();
  for (auto _ : state) {
    std::uint64_t stream = 0, i = 0;
    for (const Record& record : run.records) {
      const std::uint64_t hash = hash_of(run.actions[i++]);
      stream = fold_decisions(stream, record.now, i, hash);
    }
    benchmark::DoNotOptimize(stream);
  }
  count(state, run.records.size());
  state.counters["actions/event"] =
      static_cast<double>(run.action_count) / static_cast<double>(run.records.size());
}
BENCHMARK(decision_hash);

void encode(benchmark::State& state) {
  const Run& run = the_run();
  std::vector<char> buffer(1U << 20U);
  std::size_t bytes = 0;
  for (auto _ : state) {
    Encoder encoder;
    bytes = 0;
    char* at = buffer.data();
    for (const Record& record : run.records) {
      const std::size_t room = Encoder::bound(record.event);
      if (static_cast<std::size_t>(buffer.data() + buffer.size() - at) < room) at = buffer.data();
      char* end = encoder.append(record.now, record.event, record.actions_hash, at);
      bytes += static_cast<std::size_t>(end - at) + 1;
      at = end;
    }
  }
  count(state, run.records.size());
  state.counters["bytes/event"] =
      static_cast<double>(bytes) / static_cast<double>(run.records.size());
}
BENCHMARK(encode);

void decode(benchmark::State& state) {
  const Run& run = the_run();
  std::vector<std::string> bytes;
  Encoder encoder;
  for (const Record& record : run.records) {
    std::string& one = bytes.emplace_back(Encoder::bound(record.event), '\0');
    const char* end = encoder.append(record.now, record.event, record.actions_hash, one.data());
    one.resize(static_cast<std::size_t>(end - one.data()));
  }
  for (auto _ : state) {
    Decoder decoder;
    Record record;
    for (const std::string& one : bytes) {
      if (decoder.decode(one, record) != nullptr) state.SkipWithError("decode");
    }
  }
  count(state, run.records.size());
}
BENCHMARK(decode);

}  // namespace
}  // namespace disagfusion::scheduler::log

BENCHMARK_MAIN();
