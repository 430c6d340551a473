#include "traces/trace_commands.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "base/scenario_reader.hpp"
#include "traces/arrivals.hpp"
#include "traces/importers/importer.hpp"
#include "traces/trace_stats.hpp"
#include "traces/trace_writer.hpp"

namespace disagfusion::traces {

namespace {

constexpr int kDone = 0;
constexpr int kBadInput = 2;

int refuse(std::ostream& err, const Problems& problems) {
  for (const Problem& problem : problems) err << problem.text() << '\n';
  return kBadInput;
}

/// "26,823".
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

Problem usage(const char* option, std::string expected, std::string got) {
  return {"", 0, 0, option, std::move(expected), std::move(got), ""};
}

}  // namespace

// ---- import ------------------------------------------------------------------------------------

std::string importer_list() {
  std::string list;
  for (const Importer* importer : importers()) {
    list += fmt::format("  {:<18}{}\n", importer->name(), importer->summary());
  }
  return list;
}

int run_trace_import(const TraceImportOptions& options, std::ostream& out, std::ostream& err) {
  const Result<const Importer*> importer = find_importer(options.format);
  if (!importer) return refuse(err, importer.error());
  if (!options.mapping.empty() && !(*importer)->takes_mapping()) {
    return refuse(err, {usage("--mapping", "no mapping: " + options.format + " needs none",
                              options.mapping)});
  }
  const Result<ImportSummary> summary =
      (*importer)->import({options.input, options.output, options.mapping});
  if (!summary) return refuse(err, summary.error());
  fmt::print(out, "{}: {} rows of {} read, {} written\n", options.output,
             grouped(summary->rows_read), options.input, grouped(summary->rows_written));
  for (const std::string& note : summary->notes) out << "  " << note << '\n';
  return kDone;
}

// ---- generate ----------------------------------------------------------------------------------

namespace {

/// What flags describe, as a workload; Problems for what does not fit together.
WorkloadSpec workload_of(const TraceGenerateOptions& options, Problems& problems) {
  WorkloadSpec workload;
  workload.requests = options.requests;
  workload.duration = options.duration;
  if (!options.requests && !options.duration) {
    problems.push_back(usage("--requests", "--requests or --duration", "neither"));
  }
  const std::vector<std::string> names{"poisson", "gamma", "deterministic", "burst"};
  const std::string& process = options.process.empty() ? names[0] : options.process;
  const auto at = std::find(names.begin(), names.end(), process);
  if (at == names.end()) {
    Problem problem = usage("--process", "poisson, gamma, deterministic or burst", options.process);
    problem.nearest = nearest_name(options.process, names);
    problems.push_back(std::move(problem));
    return workload;
  }
  ArrivalsSpec& arrivals = workload.arrivals.emplace();
  arrivals.process = static_cast<ArrivalsSpec::Process>(at - names.begin());
  const bool burst = arrivals.process == ArrivalsSpec::Process::burst;
  const bool gamma = arrivals.process == ArrivalsSpec::Process::gamma;
  const auto given = [](double value) { return fmt::format("{}", value); };
  constexpr double kMostRate = 1e9, kMostCv = 1000;
  if (burst && options.rate_per_s) {
    problems.push_back(usage("--rate", "no rate: a burst is all at 0", given(*options.rate_per_s)));
  }
  if (burst && !options.requests) {
    problems.push_back(usage("--requests", "how many requests a burst has", "nothing"));
  }
  if (!burst &&
      !(options.rate_per_s && *options.rate_per_s >= 1e-6 && *options.rate_per_s <= kMostRate)) {
    problems.push_back(usage("--rate", "requests a second from 1e-6 to 1e9",
                             options.rate_per_s ? given(*options.rate_per_s) : "nothing"));
  }
  if (gamma && !(options.cv && *options.cv > 0 && *options.cv <= kMostCv)) {
    problems.push_back(usage("--cv", "a number above 0, at most 1000",
                             options.cv ? given(*options.cv) : "nothing"));
  }
  if (!gamma && options.cv) {
    problems.push_back(usage("--cv", "no cv: only gamma has one", given(*options.cv)));
  }
  arrivals.rate_per_s = options.rate_per_s.value_or(0);
  arrivals.cv = options.cv.value_or(1);
  return workload;
}

Result<Scenario> scenario_of_flags(const TraceGenerateOptions& options) {
  Problems problems;
  Scenario scenario;
  scenario.workload = workload_of(options, problems);
  const bool shaped =
      options.width || options.height || options.frames || options.steps || options.images;
  const auto check = [&problems](const char* option, const std::optional<std::uint32_t>& value,
                                 std::uint32_t most) {
    if (!value || (*value >= 1 && *value <= most)) return;
    problems.push_back(
        usage(option, fmt::format("a whole number from 1 to {}", most), std::to_string(*value)));
  };
  check("--width", options.width, 65'536);
  check("--height", options.height, 65'536);
  check("--frames", options.frames, 100'000);
  check("--steps", options.steps, 10'000);
  check("--images", options.images, 10'000);
  if (options.model.empty()) {
    if (shaped) problems.push_back(usage("--model", "a model, whose shapes these are", "nothing"));
  } else {
    DiskFiles files;
    const Result<ModelSpec> model = load_shipped_model(options.model, files);
    if (!model) {
      problems.insert(problems.end(), model.error().begin(), model.error().end());
    } else {
      scenario.models.push_back(*model);
    }
  }
  if (!problems.empty()) return fail(std::move(problems));
  if (shaped) {
    MixEntry entry = RequestMix({}, scenario.models, 0).pick(0);
    entry.shape.width = options.width.value_or(entry.shape.width);
    entry.shape.height = options.height.value_or(entry.shape.height);
    entry.shape.frames = options.frames.value_or(entry.shape.frames);
    entry.shape.steps = options.steps.value_or(entry.shape.steps);
    entry.shape.images = options.images.value_or(entry.shape.images);
    scenario.workload.mix.push_back(entry);
  }
  return scenario;
}

Result<std::uint64_t> generate(const Scenario& scenario, std::uint64_t seed, bool arrivals_only,
                               const std::string& output) {
  const WorkloadSpec& workload = scenario.workload;
  if (workload.closed_loop_concurrency) {
    return fail(Problem{workload.place.file, workload.place.line, workload.place.column,
                        "workload.closed_loop", "arrivals or a trace",
                        "a closed loop, whose arrivals depend on completions", ""});
  }
  if (!workload.trace.empty()) {
    const auto facts = validate(workload.trace, TraceContext::of(scenario, seed));
    if (!facts) return tl::unexpected(facts.error());
  } else if (!workload.requests && !workload.duration) {
    return fail(Problem{workload.place.file, workload.place.line, workload.place.column, "workload",
                        "requests or duration", "neither", ""});
  }
  auto source = make_arrival_source(scenario, seed);
  if (!source) return tl::unexpected(source.error());
  std::vector<std::string> names;
  for (const ModelSpec& model : scenario.models) names.push_back(model.name);
  TraceColumns columns;
  if (!arrivals_only) columns = (*source)->columns();
  Result<TraceWriter> writer = TraceWriter::create(output, columns, std::move(names));
  if (!writer) return tl::unexpected(writer.error());
  Request request;
  for (;;) {
    const Result<bool> got = (*source)->next(request);
    if (!got) return tl::unexpected(got.error());
    if (!*got) break;
    writer->write(request);
  }
  if (writer->rows() == 0) {
    return fail(Problem{output, 0, 0, "", "at least one request", "none before the end", ""});
  }
  const Result<void> committed = writer->commit();
  if (!committed) return tl::unexpected(committed.error());
  return writer->rows();
}

/// A scenario says all of these itself.
Problems flags_beside_scenario(const TraceGenerateOptions& options) {
  Problems problems;
  const auto refuse_flag = [&problems](const char* flag, bool given) {
    if (given) problems.push_back(usage(flag, "no such flag beside a scenario", "it"));
  };
  refuse_flag("--process", !options.process.empty());
  refuse_flag("--rate", options.rate_per_s.has_value());
  refuse_flag("--cv", options.cv.has_value());
  refuse_flag("--model", !options.model.empty());
  refuse_flag("--width", options.width.has_value());
  refuse_flag("--height", options.height.has_value());
  refuse_flag("--frames", options.frames.has_value());
  refuse_flag("--steps", options.steps.has_value());
  refuse_flag("--images", options.images.has_value());
  return problems;
}

}  // namespace

int run_trace_generate(const TraceGenerateOptions& options, std::ostream& out, std::ostream& err) {
  if (!options.scenario.empty()) {
    const Problems flags = flags_beside_scenario(options);
    if (!flags.empty()) return refuse(err, flags);
  }
  Result<Scenario> scenario =
      options.scenario.empty() ? scenario_of_flags(options) : load_scenario(options.scenario);
  if (!scenario) return refuse(err, scenario.error());
  if (!options.scenario.empty()) {
    if (options.requests) scenario->workload.requests = options.requests;
    if (options.duration) scenario->workload.duration = options.duration;
  }
  const std::uint64_t seed = options.seed.value_or(scenario->seed);
  const bool arrivals_only = scenario->models.empty();
  const Result<std::uint64_t> rows = generate(*scenario, seed, arrivals_only, options.output);
  if (!rows) return refuse(err, rows.error());
  fmt::print(out, "{}: {} requests, seed {}\n", options.output, grouped(*rows), seed);
  return kDone;
}

// ---- stats -------------------------------------------------------------------------------------

namespace {

/// Divided, not multiplied: 1989367 s stay 1989367.0.
double seconds_of(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

nlohmann::ordered_json to_json(const TraceStats& stats, const std::string& path) {
  using Json = nlohmann::ordered_json;
  const auto number = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
  };
  const auto peak = [](const Peak& value) {
    return Json{{"requests", value.requests}, {"from_s", seconds_of(value.from.ns)}};
  };
  return Json{{"schema", "disagfusion.trace-stats/1"},
              {"trace", path},
              {"rows", stats.rows},
              {"first_s", seconds_of(stats.first.ns)},
              {"last_s", seconds_of(stats.last.ns)},
              {"span_s", seconds_of((stats.last - stats.first).ns)},
              {"rate_per_s", stats.rate_per_s},
              {"gap_s",
               {{"mean", number(stats.gap_mean_s)},
                {"cv", number(stats.gap_cv)},
                {"zero", stats.zero_gaps}}},
              {"peak_minute", peak(stats.minute)},
              {"peak_hour", peak(stats.hour)},
              {"dispersion_minute", number(stats.dispersion_minute)},
              {"models", Json(stats.by_model)},
              {"shapes", Json(stats.by_shape)},
              {"notes", stats.notes}};
}

std::string number_or_dash(const std::optional<double>& value) {
  return value ? fmt::format("{:.6g}", *value) : "-";
}

void print_counts(std::ostream& out, const char* title,
                  const std::map<std::string, std::uint64_t>& counts, std::uint64_t rows) {
  if (counts.empty()) return;
  std::vector<std::pair<std::string, std::uint64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  constexpr std::size_t kMost = 20;
  fmt::print(out, "{}\n", title);
  std::uint64_t rest = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i >= kMost) {
      rest += sorted[i].second;
      continue;
    }
    fmt::print(out, "  {:>12}  {:5.1f} %  {}\n", grouped(sorted[i].second),
               100.0 * static_cast<double>(sorted[i].second) / static_cast<double>(rows),
               sorted[i].first);
  }
  if (rest > 0) {
    fmt::print(out, "  {:>12}  {:5.1f} %  {} others\n", grouped(rest),
               100.0 * static_cast<double>(rest) / static_cast<double>(rows),
               sorted.size() - kMost);
  }
}

void print_table(std::ostream& out, const TraceStats& stats) {
  const auto line = [&out](const char* name, const std::string& value) {
    fmt::print(out, "{:<16}{}\n", name, value);
  };
  const auto peak = [&line](const char* name, const Peak& value, const char* window) {
    line(name,
         fmt::format("{} {} in the {} from {:.6g} s", grouped(value.requests),
                     value.requests == 1 ? "request" : "requests", window, value.from.seconds()));
  };
  const double span = (stats.last - stats.first).seconds();
  line("requests", grouped(stats.rows));
  line("span", fmt::format("{:.6g} s ({:.4g} h), from {:.6g} s to {:.6g} s", span, span / 3600,
                           stats.first.seconds(), stats.last.seconds()));
  if (span > 0) {
    line("rate", fmt::format("{:.6g} /s ({:.6g} /h)", stats.rate_per_s, stats.rate_per_s * 3600));
  }
  if (stats.gap_mean_s) {
    line("gap", fmt::format("mean {:.6g} s, cv {} (Poisson: 1), {} at once with the one before",
                            *stats.gap_mean_s, number_or_dash(stats.gap_cv),
                            stats.zero_gaps == 0 ? "none" : grouped(stats.zero_gaps)));
  }
  peak("peak minute", stats.minute, "60 s");
  peak("peak hour", stats.hour, "3,600 s");
  if (stats.dispersion_minute) {
    line("dispersion", fmt::format("{:.6g} (variance / mean of requests a minute; Poisson: 1)",
                                   *stats.dispersion_minute));
  }
  print_counts(out, "models", stats.by_model, stats.rows);
  print_counts(out, "shapes", stats.by_shape, stats.rows);
  for (const std::string& note : stats.notes) fmt::print(out, "note: {}\n", note);
}

}  // namespace

int run_trace_stats(const TraceStatsOptions& options, std::ostream& out, std::ostream& err) {
  const Result<TraceStats> stats = trace_stats(options.trace);
  if (!stats) return refuse(err, stats.error());
  if (options.json) {
    using Handler = nlohmann::ordered_json::error_handler_t;
    out << to_json(*stats, options.trace).dump(2, ' ', false, Handler::replace) << '\n';
  } else {
    print_table(out, *stats);
  }
  return kDone;
}

}  // namespace disagfusion::traces
