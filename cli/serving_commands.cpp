#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/commands.hpp"
#include "exec/ctl/ctl.hpp"
#include "exec/load/load.hpp"
#include "exec/serve.hpp"
#include "exec/stage/module.hpp"
#include "exec/worker/worker.hpp"

namespace disagfusion::cli {

namespace {

void add_serve(CLI::App& app, int& status) {
  const auto options = std::make_shared<exec::ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "Serve a scenario's models over HTTP");
  command->add_option("scenario", options->scenario, "A scenario file with `serve`")->required();
  command->add_option("--listen", options->listen, "ADDR:PORT, in place of the file's");
  command->callback([options, &status] {
#ifdef DISAGFUSION_TORCH_MODULE
    if (exec::has_module(DISAGFUSION_TORCH_MODULE)) options->backends.emplace_back("torch");
#endif
    status = exec::serve_command(*options);
  });
}

void add_worker(CLI::App& app, int& status) {
  const auto options = std::make_shared<exec::WorkerOptions>();
  CLI::App* command =
      app.add_subcommand("worker", "The process of one instance; `serve` starts them itself");
  command->add_option("--connect", options->connect, "ADDR:PORT of the controller")->required();
  command->add_option("--instance", options->instance, "Which instance of the fleet");
  command->add_option("--incarnation", options->incarnation, "Which life of it");
  command->callback([options, &status] {
#ifdef DISAGFUSION_TORCH_MODULE
    options->backends["torch"] = exec::module_backend_factory(DISAGFUSION_TORCH_MODULE);
#endif
    status = exec::worker_command(*options);
  });
}

void add_ctl(CLI::App& app, int& status) {
  const auto options = std::make_shared<exec::CtlOptions>();
  CLI::App* command = app.add_subcommand("ctl", "Ask a running server, or give it orders");
  command->add_option("url", options->url, "Such as http://127.0.0.1:8080")->required();
  command
      ->add_option("command", options->command,
                   "status, drain I, undrain I, re-role I STAGE[,STAGE], pin I, unpin I, "
                   "pause-scaling, resume-scaling or explain REQUEST")
      ->required();
  command->add_option("arguments", options->arguments, "Of the command");
  command->add_flag("--json", options->json, "Print the server's answer as it is");
  command->callback([options, &status] { status = exec::ctl_command(*options); });
}

void add_load(CLI::App& app, int& status) {
  const auto options = std::make_shared<exec::LoadOptions>();
  CLI::App* command =
      app.add_subcommand("load", "Send the requests of a trace at their instants (open loop)");
  command->add_option("url", options->url, "Such as http://127.0.0.1:8080")->required();
  command->add_option("--trace", options->trace, "A request trace")->required();
  command->add_option("--map", options->map, "Takes the trace's models and shapes to the server's");
  command->add_option("--out", options->out, "Folder for requests.csv; default the present one");
  command->add_option("--seed", options->seed, "Of the images' noise")->check(not_negative);
  command->add_option("--speed", options->speed, "Seconds of the trace in a second")
      ->check(CLI::Range(1e-6, 1e9));
  command->add_flag("--json", options->json, "Print the summary as JSON");
  command->callback([options, &status] {
    options->show_progress = progress_line();
    const Result<exec::LoadSummary> summary = exec::run_load(*options);
    if (!summary) {
      status = cli::report(summary.error());
      return;
    }
    std::fputs(summary->text.c_str(), stdout);
    status = summary->answered ? kDone : kNoAnswer;
    if (!summary->answered) {
      std::fprintf(stderr,
                   "load: %s answered none of the requests; is `disagfusion serve` running?\n",
                   options->url.c_str());
    }
  });
}

}  // namespace

void add_serving_commands(CLI::App& app, int& status) {
  add_serve(app, status);
  add_worker(app, status);
  add_ctl(app, status);
  add_load(app, status);
}

}  // namespace disagfusion::cli
