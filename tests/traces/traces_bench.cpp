// Nanoseconds a draw, a trace line, an arrival, a written row.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/random.hpp"
#include "traces/arrivals.hpp"
#include "traces/requests_csv.hpp"
#include "traces/trace_reader.hpp"

namespace disagfusion::traces {
namespace {

void draw_one_shot(benchmark::State& state) {
  std::uint64_t id = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(to_unit(draw(1, Purpose::service, id++, 0)));
  }
}
BENCHMARK(draw_one_shot);

void draw_exponential(benchmark::State& state) {
  RandomStream stream(1, Purpose::test, 0);
  for (auto _ : state) benchmark::DoNotOptimize(stream.exponential(2));
}
BENCHMARK(draw_exponential);

void draw_normal(benchmark::State& state) {
  RandomStream stream(1, Purpose::test, 0);
  for (auto _ : state) benchmark::DoNotOptimize(stream.normal());
}
BENCHMARK(draw_normal);

void draw_gamma(benchmark::State& state) {
  RandomStream stream(1, Purpose::test, 0);
  const GammaDistribution gamma(2, 0.5);
  for (auto _ : state) benchmark::DoNotOptimize(gamma(stream));
}
BENCHMARK(draw_gamma);

Scenario scenario_with_two_shapes() {
  Scenario scenario;
  ModelSpec model;
  model.name = "toy";
  scenario.models.push_back(model);
  MixEntry small, large;
  small.model = large.model = ModelId(0);
  small.shape = {512, 512, 1, 4, 1};
  large.shape = {1024, 1024, 1, 8, 1};
  scenario.workload.mix = {small, large};
  scenario.workload.arrivals = ArrivalsSpec{ArrivalsSpec::Process::poisson, 4, 1};
  return scenario;
}

void arrival_poisson(benchmark::State& state) {
  auto source = make_arrival_source(scenario_with_two_shapes(), 1);
  Request request;
  for (auto _ : state) {
    benchmark::DoNotOptimize((*source)->next(request));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(arrival_poisson);

/// A file of the benchmark's own.
std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("disagfusion-bench-" + name)).string();
}

void read_lines(benchmark::State& state, const std::string& name, const std::string& head,
                const std::string& before, const std::string& after) {
  constexpr int kLines = 200'000;
  const std::string path = temporary(name);
  {
    std::ofstream file(path);
    file << head;
    for (int i = 0; i < kLines; ++i) file << before << i << ".1234567" << after << '\n';
  }
  const TraceContext context = TraceContext::of(scenario_with_two_shapes(), 1);
  for (auto _ : state) {
    auto reader = open_trace(path, context);
    Request request;
    while (*(*reader)->next(request)) {
    }
  }
  std::filesystem::remove(path);
  state.SetItemsProcessed(state.iterations() * kLines);
}
BENCHMARK_CAPTURE(read_lines, csv_arrivals, "a.csv", "arrival_s,tokens,out\n", "", ",1131,397")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read_lines, csv_shapes, "b.csv", "arrival_s,model,width,height,steps,images\n",
                  "", ",toy,1024,1024,30,4")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read_lines, jsonl, "c.jsonl", "",
                  "{\"arrival_s\": ", ", \"model\": \"toy\", \"steps\": 30}")
    ->Unit(benchmark::kMillisecond);

void write_row(benchmark::State& state) {
  const std::string path = temporary("requests.csv");
  RequestsCsvColumns columns;
  columns.trace.add(Column::width);
  columns.trace.add(Column::height);
  columns.stages = {"encoder", "dit", "decoder"};
  columns.model_names = {"toy"};
  auto writer = RequestsCsvWriter::create(path, columns);
  Request request;
  request.clear();
  request.model = ModelId(0);
  RequestRow row;
  row.state = Outcome::completed;
  row.stages.resize(3);
  const TimePoint time{123'456'789'012};
  for (StageTimes& stage : row.stages) {
    stage = {time, time, time, time, time, InstanceId(7), 1, 1};
  }
  row.done = row.admitted = time;
  for (auto _ : state) {
    ++request.index;
    writer->write(request, row);
  }
}
BENCHMARK(write_row)->Iterations(500'000);

}  // namespace
}  // namespace disagfusion::traces

BENCHMARK_MAIN();
