#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "base/units.hpp"
#include "cli/commands.hpp"
#include "traces/trace_commands.hpp"

namespace disagfusion::cli {

namespace {

void add_import(CLI::App& trace, int& status) {
  const auto options = std::make_shared<traces::TraceImportOptions>();
  CLI::App* command =
      trace.add_subcommand("import", "Bring a public trace into the request format");
  command->add_option("format", options->format, "One of:\n" + traces::importer_list())->required();
  command->add_option("in", options->input, "The file as published")->required();
  command->add_option("-o,--output", options->output, "The request trace to write")->required();
  command->add_option("--mapping", options->mapping, "Takes the trace's fields to shapes (YAML)");
  command->callback(
      [options, &status] { status = traces::run_trace_import(*options, std::cout, std::cerr); });
}

void add_generate(CLI::App& trace, int& status) {
  const auto options = std::make_shared<traces::TraceGenerateOptions>();
  const auto duration = std::make_shared<double>(0);
  CLI::App* command =
      trace.add_subcommand("generate", "Write the workload of a scenario, or of flags, as a trace");
  command->add_option("scenario", options->scenario, "A scenario file; without one, flags");
  command->add_option("-o,--output", options->output, "The request trace to write")->required();
  command->add_option("--process", options->process, "poisson, gamma, deterministic, burst");
  command->add_option("--rate", options->rate_per_s, "Requests a second");
  command->add_option("--cv", options->cv, "Coefficient of variation of the gaps (gamma)");
  command->add_option("--requests", options->requests, "How many");
  CLI::Option* seconds = command->add_option("--duration", *duration, "Seconds of arrivals")
                             ->check(CLI::Range(1e-6, 1e9));
  command->add_option("--seed", options->seed, "Of the random streams")->check(not_negative);
  command->add_option("--model", options->model, "A model of configs/models");
  command->add_option("--width", options->width, "Pixels");
  command->add_option("--height", options->height, "Pixels");
  command->add_option("--frames", options->frames, "Frames");
  command->add_option("--steps", options->steps, "Denoising steps");
  command->add_option("--images", options->images, "Images a request");
  command->callback([options, duration, seconds, &status] {
    if (seconds->count() > 0) {
      if (!(*duration <= kLongestSeconds)) {
        throw CLI::ValidationError("--duration", "at most 1e6 s");
      }
      options->duration = from_seconds(*duration);
    }
    status = traces::run_trace_generate(*options, std::cout, std::cerr);
  });
}

void add_stats(CLI::App& trace, int& status) {
  const auto options = std::make_shared<traces::TraceStatsOptions>();
  CLI::App* command = trace.add_subcommand("stats", "Describe a request trace");
  command->add_option("trace", options->trace, "A request trace, CSV or JSONL")->required();
  command->add_flag("--json", options->json, "Print one JSON object");
  command->callback(
      [options, &status] { status = traces::run_trace_stats(*options, std::cout, std::cerr); });
}

}  // namespace

void add_trace_commands(CLI::App& app, int& status) {
  CLI::App* trace = app.add_subcommand("trace", "Import, generate and describe request traces");
  trace->require_subcommand(1);
  add_import(*trace, status);
  add_generate(*trace, status);
  add_stats(*trace, status);
}

}  // namespace disagfusion::cli
