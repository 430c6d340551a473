#include "exec/realtime/simulate_realtime.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>

#include "base/atomic_file.hpp"
#include "base/scenario_reader.hpp"
#include "exec/protocol/version.hpp"
#include "exec/realtime/realtime.hpp"
#include "report/perfetto.hpp"
#include "report/recorder.hpp"
#include "report/report.hpp"
#include "scheduler/log/file_container.hpp"
#include "traces/requests_csv.hpp"
#include "traces/trace_reader.hpp"

namespace disagfusion::exec {
namespace {

using Clock = std::chrono::steady_clock;

Problem problem(const std::string& path, std::string expected, std::string got) {
  Problem p;
  p.path = path;
  p.expected = std::move(expected);
  p.got = std::move(got);
  return p;
}

/// Shows the run to the recorder, and rows and progress to whoever wants them.
class Watcher final : public RunObserver, public report::RowSink {
 public:
  Watcher(report::Recorder& recorder, traces::RequestsCsvWriter* rows,
          const SimulateRealtimeOptions& options)
      : recorder_(recorder), rows_(rows), options_(options) {
    recorder_.set_rows(this);
  }

  void arrives(scheduler::RequestKey key, std::uint64_t number,
               const traces::Request& request) override {
    arrived_ = number;
    if (rows_ != nullptr) requests_[key] = request;
  }
  void decided(TimePoint now, const scheduler::Event& event,
               const scheduler::ActionBuffer& actions) override {
    recorder_.on_event(now, event, actions);
    progress(now);
  }
  void row(scheduler::RequestKey key, const traces::RequestRow& row) override {
    if (rows_ == nullptr) return;
    const auto request = requests_.find(key);
    if (request == requests_.end()) return;
    rows_->write(request->second, row);
    requests_.erase(request);
  }
  void end() {
    if (shown_) options_.show_progress("");
  }

 private:
  void progress(TimePoint now) {
    constexpr std::chrono::milliseconds kBefore{1000}, kBetween{200};
    if (!options_.show_progress) return;
    const auto instant = Clock::now();
    if (instant - began_ < kBefore || instant - last_ < kBetween) return;
    last_ = instant;
    shown_ = true;
    options_.show_progress(fmt::format("{} requests, {:.1f} s", arrived_, now.seconds()));
  }

  report::Recorder& recorder_;
  traces::RequestsCsvWriter* rows_;
  const SimulateRealtimeOptions& options_;
  std::map<scheduler::RequestKey, traces::Request> requests_;
  std::uint64_t arrived_ = 0;
  Clock::time_point began_ = Clock::now(), last_ = began_;
  bool shown_ = false;
};

/// The files of --out and --log while they are being written.
struct Files {
  std::optional<traces::RequestsCsvWriter> rows;
  std::optional<report::PerfettoTrace> trace;
  std::unique_ptr<scheduler::log::FileLog> log;
};

Result<void> open_out(const std::string& folder, const Deployment& deployment,
                      const traces::ArrivalSource& arrivals, Files& files) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(problem(folder, "a folder for the results", error.message()));
  traces::RequestsCsvColumns columns;
  columns.trace = arrivals.columns();
  columns.stages = deployment.setup.graph.node_names;
  columns.model_names = deployment.setup.graph.model_names;
  auto rows = traces::RequestsCsvWriter::create(folder + "/requests.csv", columns);
  if (!rows) return fail(std::move(rows.error()));
  files.rows.emplace(std::move(*rows));
  auto trace = report::PerfettoTrace::create(folder + "/trace.perfetto.json", deployment.setup);
  if (!trace) return fail(std::move(trace.error()));
  files.trace.emplace(std::move(*trace));
  return {};
}

Result<void> open_log(const std::string& path, const Deployment& deployment, Files& files) {
  scheduler::log::LogHeader header;
  header.program_version = build_version();
  header.seed = deployment.scenario.seed;
  header.belief = deployment.belief_name;
  header.sources = deployment.scenario.sources;
  auto log = scheduler::log::FileLog::create(path, header);
  if (!log) return fail(std::move(log.error()));
  files.log = std::move(*log);
  return {};
}

Result<void> put_in_place(const std::string& out, Files& files, const std::string& json) {
  if (files.log) {
    if (auto done = files.log->close(); !done) return done;
  }
  if (out.empty()) return {};
  if (auto done = files.rows->commit(); !done) return done;
  if (auto done = files.trace->commit(); !done) return done;
  auto result = AtomicFile::create(out + "/result.json");
  if (!result) return fail(std::move(result.error()));
  result->write(json);
  return result->commit();
}

Result<Scenario> load(const SimulateRealtimeOptions& options) {
  constexpr double kFastest = 1e6;
  if (!(options.speed > 0 && options.speed <= kFastest)) {
    return fail(
        problem("--speed", "a number above 0, at most 1e6", fmt::format("{}", options.speed)));
  }
  Overrides overrides;
  overrides.trace = options.trace;
  overrides.seed = options.seed;
  overrides.replications = options.replications;
  auto scenario = load_scenario(options.scenario, overrides);
  if (!scenario) return scenario;
  if (scenario->run.replications != 1) {
    return fail(problem("run.replications", "1 with --real-time",
                        std::to_string(scenario->run.replications)));
  }
  if (!scenario->workload.trace.empty()) {
    auto facts = traces::validate(scenario->workload.trace,
                                  traces::TraceContext::of(*scenario, scenario->seed));
    if (!facts) return fail(std::move(facts.error()));
  }
  return scenario;
}

report::ReportInput report_input(const Deployment& deployment, report::RunSummary summary,
                                 const RealtimeOutcome& outcome, Clock::time_point began) {
  summary.events = outcome.events;
  summary.decision_hash = outcome.decision_hash;
  report::ReportInput input;
  input.scenario = &deployment.scenario;
  input.setup = &deployment.setup;
  input.belief = deployment.belief_name;
  input.costs_used = deployment.truth->costs_used();
  input.not_modelled = deployment.scenario.not_modelled;
  for (const std::string& note : deployment.truth->not_modelled())
    input.not_modelled.push_back(note);
  input.not_modelled.emplace_back(
      "sharing of links and jitter: transfers take latency + bytes / bandwidth");
  input.not_modelled.emplace_back("control delay: events and actions travel at once");
  input.seed = deployment.scenario.seed;
  input.runs.push_back(std::move(summary));
  input.wall_s = std::chrono::duration<double>(Clock::now() - began).count();
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  input.peak_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024U;
  return input;
}

}  // namespace

Result<std::string> simulate_realtime(const SimulateRealtimeOptions& options) {
  auto scenario = load(options);
  if (!scenario) return fail(std::move(scenario.error()));
  auto deployed = make_deployment(std::move(*scenario), false);
  if (!deployed) return fail(std::move(deployed.error()));
  const Deployment& deployment = **deployed;
  auto arrivals = traces::make_arrival_source(deployment.scenario, deployment.scenario.seed);
  if (!arrivals) return fail(std::move(arrivals.error()));
  Files files;
  if (!options.out.empty()) {
    if (auto opened = open_out(options.out, deployment, **arrivals, files); !opened) {
      return fail(std::move(opened.error()));
    }
  }
  if (!options.log.empty()) {
    if (auto opened = open_log(options.log, deployment, files); !opened) {
      return fail(std::move(opened.error()));
    }
  }
  const auto began = Clock::now();
  report::Recorder recorder(deployment.scenario, deployment.setup, *deployment.truth,
                            deployment.scenario.run.warmup);
  if (files.trace) recorder.set_trace(&*files.trace);
  Watcher watcher(recorder, files.rows ? &*files.rows : nullptr, options);
  RealtimeOptions run;
  run.speed = options.speed;
  run.log = files.log.get();
  report::RunSummary summary;
  run.at_end = [&](TimePoint end, const scheduler::Scheduler& scheduler) {
    summary = recorder.finish(end, scheduler);
  };
  auto outcome = run_realtime(deployment, **arrivals, watcher, run);
  watcher.end();
  if (!outcome) return fail(std::move(outcome.error()));
  const report::Report report =
      make_report(report_input(deployment, std::move(summary), *outcome, began));
  const std::string json = report::json_text(report);
  if (auto placed = put_in_place(options.out, files, json); !placed) {
    return fail(std::move(placed.error()));
  }
  return options.json ? json : report::table_text(report);
}

}  // namespace disagfusion::exec
