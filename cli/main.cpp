// The one program: parses the command line (design 7.1) and hands over to the part that does the
// work. Exit status: 0 done; 1 the question has no answer; 2 bad usage or bad input.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "cli/commands.hpp"

int main(int argc, char** argv) {
  using namespace disagfusion::cli;
  CLI::App app{
      "Plan, simulate and serve disaggregated diffusion pipelines: encoder, diffusion transformer\n"
      "and decoder as services of their own on unlike GPUs, under one scheduler."};
  app.set_version_flag("--version", DISAGFUSION_VERSION);
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Show help");
  int status = 0;
  add_simulation_commands(app, status);
  add_prediction_commands(app, status);
  add_trace_commands(app, status);
  add_serving_commands(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kBadInput;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "disagfusion: %s\n", error.what());
    return kBadInput;
  }
  return status;
}
