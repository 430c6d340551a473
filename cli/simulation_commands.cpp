#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "exec/realtime/simulate_realtime.hpp"
#include "planner/plan_command.hpp"
#include "report/compare.hpp"
#include "scheduler/log/verify.hpp"
#include "sim/simulate_command.hpp"

namespace disagfusion::cli {

namespace {

int print(const Result<std::string>& text) {
  if (!text) return cli::report(text.error());
  std::fputs(text->c_str(), stdout);
  return kDone;
}

struct Simulate {
  sim::SimulateOptions options;
  bool real_time = false;
  double speed = 1;
};

int run_simulate(const Simulate& asked) {
  if (!asked.real_time) {
    sim::SimulateOptions options = asked.options;
    options.wall_seconds = wall_seconds;
    options.show_progress = progress_line();
    return print(sim::simulate(options));
  }
  exec::SimulateRealtimeOptions options;
  options.scenario = asked.options.scenario;
  options.trace = asked.options.trace;
  options.seed = asked.options.seed;
  options.replications = asked.options.replications;
  options.speed = asked.speed;
  options.json = asked.options.json;
  options.out = asked.options.out;
  options.log = asked.options.log;
  options.show_progress = progress_line();
  return print(exec::simulate_realtime(options));
}

void add_simulate(CLI::App& app, int& status) {
  const auto asked = std::make_shared<Simulate>();
  sim::SimulateOptions& options = asked->options;
  CLI::App* command =
      app.add_subcommand("simulate", "Replay a workload against a fleet and a policy");
  command->add_option("scenario", options.scenario, "A scenario file")->required();
  command->add_option("--trace", options.trace, "A request trace, in place of the file's workload");
  command->add_option("--seed", options.seed, "In place of the file's")->check(not_negative);
  command->add_option("--replications", options.replications, "In place of the file's")
      ->check(CLI::Range(1U, 100000U));
  command->add_flag("--json", options.json, "Print the result as JSON");
  command->add_option("--out", options.out,
                      "Folder for result.json, requests.csv and trace.perfetto.json");
  command->add_option("--log", options.log, "File for the event log");
  CLI::Option* real_time = command->add_flag("--real-time", asked->real_time,
                                             "On the machine's clock, with emulated instances");
  command->add_option("--speed", asked->speed, "Seconds of the scenario in a second")
      ->check(CLI::Range(1e-6, 1e9))
      ->needs(real_time);
  command->callback([asked, &status] { status = run_simulate(*asked); });
}

void add_plan(CLI::App& app, int& status) {
  const auto options = std::make_shared<planner::PlanOptions>();
  CLI::App* command = app.add_subcommand(
      "plan", "The cheapest fleet for a workload and an objective, with its proof");
  command->add_option("question", options->question, "A question file")->required();
  command->add_option("--seed", options->seed, "In place of the file's")->check(not_negative);
  command->add_flag("--json", options->json, "Print the plan as JSON");
  command->add_option("--out", options->out, "Folder for plan.yaml and plan.json");
  command->callback([options, &status] {
    options->wall_seconds = wall_seconds;
    options->show_progress = progress_line();
    const Result<planner::PlanOutcome> outcome = planner::plan(*options);
    if (!outcome) {
      status = cli::report(outcome.error());
      return;
    }
    std::fputs(outcome->text.c_str(), stdout);
    status = outcome->feasible ? kDone : kNoAnswer;
  });
}

void add_verify(CLI::App& app, int& status) {
  struct Options {
    std::string log;
    bool print = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("verify", "Check that a fresh scheduler decides as an event log says");
  command->add_option("log", options->log, "An event log, file or SQLite")->required();
  command->add_flag("--print", options->print, "Print the events and the recomputed actions");
  command->callback([options, &status] {
    const auto verified =
        scheduler::log::verify(options->log, options->print ? &std::cout : nullptr);
    if (!verified) {
      status = cli::report(verified.error());
      return;
    }
    std::FILE* const out = options->print ? stderr : stdout;
    if (verified->mismatch) {
      std::fputs(verified->mismatch->text().c_str(), stderr);
      status = kNoAnswer;
      return;
    }
    std::fprintf(out, "verified: %llu events, decision hash %016llx\n",
                 static_cast<unsigned long long>(verified->events),
                 static_cast<unsigned long long>(verified->decision_hash));
    status = kDone;
  });
}

void add_compare(CLI::App& app, int& status) {
  struct Options {
    std::string a, b;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("compare", "Two results side by side, paired by request");
  command->add_option("a", options->a, "A folder of results, or its requests.csv")->required();
  command->add_option("b", options->b, "Another")->required();
  command->add_flag("--json", options->json, "Print one JSON object");
  command->callback([options, &status] {
    const Result<report::Comparison> comparison = report::compare(options->a, options->b);
    if (!comparison) {
      status = cli::report(comparison.error());
      return;
    }
    const std::string text = options->json ? report::to_json(*comparison).dump(2) + "\n"
                                           : report::table_text(*comparison);
    std::fputs(text.c_str(), stdout);
    status = kDone;
  });
}

}  // namespace

void add_simulation_commands(CLI::App& app, int& status) {
  add_simulate(app, status);
  add_plan(app, status);
  add_verify(app, status);
  add_compare(app, status);
}

}  // namespace disagfusion::cli
