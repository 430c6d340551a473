#include "exec/ctl/ctl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/result.hpp"
#include "exec/http/client.hpp"
#include "exec/net/endpoint.hpp"

namespace disagfusion::exec {
namespace {

using nlohmann::json;

/// A command, and how many arguments it takes.
struct Command {
  const char* name;
  std::size_t arguments;
  const char* usage;
};
constexpr Command kCommands[] = {
    {"status", 0, "status"},
    {"drain", 1, "drain INSTANCE"},
    {"undrain", 1, "undrain INSTANCE"},
    {"re-role", 2, "re-role INSTANCE STAGE[,STAGE]"},
    {"explain", 1, "explain REQUEST"},
    {"pin", 1, "pin INSTANCE"},
    {"unpin", 1, "unpin INSTANCE"},
    {"pause-scaling", 0, "pause-scaling"},
    {"resume-scaling", 0, "resume-scaling"},
};
const std::vector<std::string> kLater = {"set-policy", "why-move"};

int refuse(const Problem& problem) {
  fmt::print(stderr, "{}\n", problem.text());
  return 2;
}

int refuse(const std::string& expected, const std::string& got) {
  Problem problem;
  problem.path = "ctl";
  problem.expected = expected;
  problem.got = got;
  return refuse(problem);
}

const Command* find_command(const std::string& name) {
  const auto* found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                   [&](const Command& c) { return name == c.name; });
  return found == std::end(kCommands) ? nullptr : found;
}

int refuse_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.emplace_back(command.name);
  return refuse(unknown_command("ctl", name, "\"" + name + "\"", names, kLater));
}

std::optional<std::uint32_t> parse_instance(const std::string& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

void print_status(const json& status) {
  const json& requests = status["requests"];
  fmt::print("{}: {}\n", status["scenario"].get<std::string>(),
             status["ready"].get<bool>() ? "ready" : "a stage has no ready instance");
  fmt::print(
      "requests: {} arrived, {} unfinished, {} completed, {} rejected, {} failed, {} timed out, {} "
      "cancelled\n",
      requests["arrived"].get<std::uint64_t>(), requests["unfinished"].get<std::uint64_t>(),
      requests.value("completed", 0), requests.value("rejected", 0), requests.value("failed", 0),
      requests.value("timed_out", 0), requests.value("cancelled", 0));
  for (const json& stage : status["stages"]) {
    fmt::print("stage {}: {} waiting\n", stage["stage"].get<std::string>(),
               stage["queue"].get<std::uint64_t>());
  }
  fmt::print("\n{:>8} {:>5} {:<12} {:<20} {:<10} {:>9} {:>7} {:>8}\n", "instance", "life", "state",
             "stages", "gpu", "computing", "queued", "pid");
  for (const json& instance : status["instances"]) {
    fmt::print("{:>8} {:>5} {:<12} {:<20} {:<10} {:>9} {:>7} {:>8}\n",
               instance["instance"].get<int>(), instance["incarnation"].get<int>(),
               instance["state"].get<std::string>(), instance["role"].get<std::string>(),
               instance["gpu"].get<std::string>(), instance["computing"].get<bool>() ? "yes" : "no",
               instance["queued_batches"].get<int>(), instance.value("pid", 0));
  }
}

HttpCall call_of(const CtlOptions& options, std::optional<std::uint32_t> instance) {
  HttpCall call;
  call.limit = std::chrono::seconds(30);
  call.path = "/v1/admin/" + options.command;
  if (options.command == "status") return call;
  if (options.command == "explain") {
    call.path += "/" + options.arguments[0];
    return call;
  }
  call.method = "POST";
  json body = json::object();
  if (instance) body["instance"] = *instance;
  if (options.command == "re-role") body["stages"] = options.arguments[1];
  call.body = body.dump();
  return call;
}

int print_reply(const CtlOptions& options, const HttpReply& reply) {
  const json parsed = json::parse(reply.body, nullptr, false);
  const bool good = reply.status >= 200 && reply.status < 300 && parsed.is_object();
  if (!good) {
    std::string why =
        reply.status == 0 ? "no answer: " + reply.body : fmt::format("HTTP {}", reply.status);
    if (parsed.is_object() && parsed.contains("error") && parsed["error"].is_object()) {
      why = parsed["error"].value("message", why);
    }
    fmt::print(stderr, "ctl {}: {}\n", options.command, why);
    return reply.status >= 400 && reply.status < 500 ? 2 : 1;
  }
  if (options.json) {
    fmt::print("{}\n", parsed.dump(1));
  } else if (options.command == "status") {
    print_status(parsed);
  } else if (options.command == "explain") {
    fmt::print("{}", parsed.value("text", ""));
  } else {
    fmt::print("ordered: {}\n", options.command);
  }
  return 0;
}

}  // namespace

int ctl_command(const CtlOptions& options) {
  const auto server = parse_url(options.url, "URL");
  if (!server) {
    for (const Problem& problem : server.error()) fmt::print(stderr, "{}\n", problem.text());
    return 2;
  }
  const Command* command = find_command(options.command);
  if (command == nullptr) return refuse_command(options.command);
  if (options.arguments.size() != command->arguments) {
    std::vector<std::string> given = options.arguments;
    given.insert(given.begin(), options.command);
    return refuse(fmt::format("`{}`", command->usage), fmt::format("`{}`", fmt::join(given, " ")));
  }
  std::optional<std::uint32_t> instance;
  if (command->arguments > 0 && options.command != "explain") {
    instance = parse_instance(options.arguments[0]);
    if (!instance)
      return refuse("an instance's number, from 1", "\"" + options.arguments[0] + "\"");
  }
  try {
    return print_reply(options, call_and_wait(*server, call_of(options, instance)));
  } catch (const json::exception&) {
    fmt::print(stderr, "ctl {}: the answer is not what this version expects\n", options.command);
    return 1;
  }
}

}  // namespace disagfusion::exec
