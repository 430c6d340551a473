// The one program: parses the command line (design 7.1) and hands over to the part that does the
// work. Exit status: 0 done; 1 the question has no answer; 2 bad usage or bad input.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/commands.hpp"

namespace disagfusion::cli {
namespace {

/// " (did you mean '--x'?)" where an option is unknown and like a known one of its command.
std::string like_option(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* command = &app;
  for (const std::string& argument : arguments) {
    if (!argument.starts_with("--")) {
      for (const CLI::App* inner : command->get_subcommands(nullptr))
        if (inner->get_name() == argument) command = inner;
      continue;
    }
    const std::string option = argument.substr(0, argument.find('='));
    std::vector<std::string> known;
    for (const CLI::Option* one : command->get_options())
      for (const std::string& name : one->get_lnames()) known.push_back("--" + name);
    if (std::find(known.begin(), known.end(), option) != known.end()) continue;
    const std::string nearest = nearest_name(option, known);
    return nearest.empty() ? "" : " (did you mean '" + nearest + "'?)";
  }
  return {};
}

/// Bad usage, in one line: an unknown command by its name, else what the parser says.
int refuse(const CLI::App& app, std::string wrong, const std::vector<std::string>& arguments) {
  const std::string first = arguments.empty() ? "" : arguments.front();
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  const bool known = std::find(names.begin(), names.end(), first) != names.end();
  if (known || first.starts_with('-')) {
    std::replace(wrong.begin(), wrong.end(), '\n', ' ');
    wrong += like_option(app, arguments);
    std::fprintf(stderr, "disagfusion%s%s: %s (--help tells what is expected)\n", known ? " " : "",
                 known ? first.c_str() : "", wrong.c_str());
    return kBadInput;
  }
  const std::string shown = first.empty() ? "no command" : "'" + first + "'";
  return report({unknown_command("disagfusion", first, shown, names, {"tune"})});
}

}  // namespace
}  // namespace disagfusion::cli

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
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return refuse(app, error.what(), {argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "disagfusion: %s\n", error.what());
    return kBadInput;
  }
  return status;
}
