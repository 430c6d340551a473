#include "sim/simulate_command.hpp"

#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "base/atomic_file.hpp"
#include "base/scenario_reader.hpp"
#include "report/report.hpp"
#include "scheduler/log/file_container.hpp"
#include "sim/engine.hpp"
#include "traces/trace_reader.hpp"

#ifndef DISAGFUSION_VERSION
#define DISAGFUSION_VERSION "0"
#endif

namespace disagfusion::sim {

namespace {

/// A second passes before progress is shown, then it is shown a few times a second.
class Progress {
 public:
  Progress(const SimulateOptions& options, const Scenario& scenario)
      : options_(options), requests_(scenario.workload.requests) {
    if (active()) start_ = last_ = options_.wall_seconds();
  }
  [[nodiscard]] bool active() const { return options_.wall_seconds && options_.show_progress; }
  void operator()(double virtual_s, std::uint64_t events, std::uint64_t arrived) {
    const double now = options_.wall_seconds();
    if (now - start_ < 1 || now - last_ < 0.2) return;
    last_ = now;
    shown_ = true;
    std::string text = fmt::format("{:.1f} M events, {} requests, {:.0f} s of virtual time",
                                   static_cast<double>(events) * 1e-6, arrived, virtual_s);
    if (requests_ && *requests_ > 0) {
      text =
          fmt::format("{:3.0f} %  {}",
                      100 * static_cast<double>(arrived) / static_cast<double>(*requests_), text);
    }
    options_.show_progress(text);
  }
  void end() {
    if (shown_) options_.show_progress("");
  }

 private:
  const SimulateOptions& options_;
  std::optional<std::uint64_t> requests_;
  double start_ = 0, last_ = 0;
  bool shown_ = false;
};

/// The files of --out and --log while they are being written.
struct Files {
  std::unique_ptr<traces::RequestsCsvWriter> rows;
  std::unique_ptr<report::PerfettoTrace> trace;
  std::unique_ptr<scheduler::log::FileLog> log;
};

Problem cannot_make_folder(const std::string& path, const std::string& why) {
  Problem problem;
  problem.file = path;
  problem.expected = "a folder for the results";
  problem.got = why;
  return problem;
}

Result<void> open_out(const SimulateOptions& options, const Simulation& simulation,
                      std::uint64_t seed, Files& files) {
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error) return fail(cannot_make_folder(options.out, error.message()));
  auto source = traces::make_arrival_source(simulation.scenario(), seed);
  if (!source) return fail(std::move(source.error()));
  traces::RequestsCsvColumns columns;
  columns.trace = (*source)->columns();
  columns.stages = simulation.setup().graph.node_names;
  columns.model_names = simulation.setup().graph.model_names;
  auto rows = traces::RequestsCsvWriter::create(options.out + "/requests.csv", columns);
  if (!rows) return fail(std::move(rows.error()));
  files.rows = std::make_unique<traces::RequestsCsvWriter>(std::move(*rows));
  auto trace =
      report::PerfettoTrace::create(options.out + "/trace.perfetto.json", simulation.setup());
  if (!trace) return fail(std::move(trace.error()));
  files.trace = std::make_unique<report::PerfettoTrace>(std::move(*trace));
  return {};
}

Result<void> open_log(const SimulateOptions& options, const Simulation& simulation,
                      std::uint64_t seed, Files& files) {
  scheduler::log::LogHeader header;
  header.program_version = DISAGFUSION_VERSION;
  header.seed = seed;
  header.belief = simulation.belief();
  header.sources = simulation.scenario().sources;
  auto log = scheduler::log::FileLog::create(options.log, header);
  if (!log) return fail(std::move(log.error()));
  files.log = std::move(*log);
  return {};
}

Result<void> put_in_place(const SimulateOptions& options, Files& files, const std::string& json) {
  if (files.log) {
    if (auto done = files.log->close(); !done) return done;
  }
  if (options.out.empty()) return {};
  if (auto done = files.rows->commit(); !done) return done;
  if (auto done = files.trace->commit(); !done) return done;
  auto result = AtomicFile::create(options.out + "/result.json");
  if (!result) return fail(std::move(result.error()));
  result->write(json);
  return result->commit();
}

}  // namespace

Result<std::string> simulate(const SimulateOptions& options) {
  Overrides overrides;
  overrides.trace = options.trace;
  overrides.seed = options.seed;
  overrides.replications = options.replications;
  auto scenario = load_scenario(options.scenario, overrides);
  if (!scenario) return fail(std::move(scenario.error()));
  auto simulation = Simulation::prepare(*scenario);
  if (!simulation) return fail(std::move(simulation.error()));
  if (!scenario->workload.trace.empty()) {
    auto facts = traces::validate(scenario->workload.trace,
                                  traces::TraceContext::of(*scenario, scenario->seed));
    if (!facts) return fail(std::move(facts.error()));
  }

  Files files;
  RunOptions run_options;
  run_options.seed = scenario->seed;
  run_options.replications = scenario->run.replications;
  if (!options.out.empty()) {
    if (auto opened = open_out(options, *simulation, scenario->seed, files); !opened) {
      return fail(std::move(opened.error()));
    }
  }
  if (!options.log.empty()) {
    if (auto opened = open_log(options, *simulation, scenario->seed, files); !opened) {
      return fail(std::move(opened.error()));
    }
  }
  Watchers first;
  first.rows = files.rows.get();
  first.trace = files.trace.get();
  first.log = files.log.get();
  Progress progress(options, *scenario);
  if (progress.active()) {
    first.progress = [&](double s, std::uint64_t events, std::uint64_t arrived) {
      progress(s, events, arrived);
    };
  }
  run_options.watchers = [&](std::uint32_t r) { return r == 0 ? first : Watchers{}; };
  const double start = options.wall_seconds ? options.wall_seconds() : 0;
  auto outcome = run(*simulation, run_options);
  progress.end();
  if (!outcome) return fail(std::move(outcome.error()));
  const double wall_s = options.wall_seconds ? options.wall_seconds() - start : 0;
  const report::Report report = make_report(*simulation, run_options, std::move(*outcome), wall_s);
  const std::string json = report::json_text(report);
  if (auto placed = put_in_place(options, files, json); !placed) {
    return fail(std::move(placed.error()));
  }
  return options.json ? json : report::table_text(report);
}

}  // namespace disagfusion::sim
