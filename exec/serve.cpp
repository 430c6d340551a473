#include "exec/serve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "base/scenario_reader.hpp"
#include "exec/controller/controller.hpp"
#include "exec/http/api.hpp"
#include "exec/http/server.hpp"

namespace disagfusion::exec {
namespace {

int complain(const Problems& problems) {
  for (const Problem& problem : problems) fmt::print(stderr, "{}\n", problem.text());
  return 2;
}

Problem address_problem(const Endpoint& listen, const std::string& why) {
  Problem problem;
  problem.path = "serve.listen";
  problem.expected = "an address and port that can be listened on";
  problem.got = listen.text() + ": " + why;
  return problem;
}

/// Workers would say so, too, but one by one and in their logs.
Result<void> check_backend(const Scenario& scenario, const std::vector<std::string>& backends) {
  const std::string& wanted = scenario.serve->backend;
  if (wanted == "emulated" ||
      std::find(backends.begin(), backends.end(), wanted) != backends.end()) {
    return {};
  }
  Problem problem;
  problem.path = "serve.backend";
  problem.expected = "a backend that this build has (emulated)";
  problem.got = wanted + ": built without LibTorch, or its module is not beside the program";
  return fail(problem);
}

/// Everything of a running server but its context, in the order in which it may go.
struct Server {
  std::shared_ptr<const Deployment> deployment;
  std::optional<StateFolder> state;
  std::unique_ptr<Controller> controller;
  std::unique_ptr<Api> api;
  std::shared_ptr<HttpServer> http;
};

Result<void> set_up(asio::io_context& context, const ServeOptions& options, Server& server) {
  auto scenario = load_scenario(options.scenario);
  if (!scenario) return fail(std::move(scenario.error()));
  if (!scenario->serve) scenario->serve = ServeSpec{};
  if (auto known = check_backend(*scenario, options.backends); !known) {
    return fail(std::move(known.error()));
  }
  // Not an override of the scenario: the journal is of the same scenario whatever the port.
  auto listen = options.listen ? parse_loopback(*options.listen, "--listen")
                               : parse_loopback(scenario->serve->listen, "serve.listen");
  if (!listen) return fail(std::move(listen.error()));
  auto deployment = make_deployment(std::move(*scenario), true);
  if (!deployment) return fail(std::move(deployment.error()));
  server.deployment = std::move(*deployment);
  // The port first: where it is taken, nothing is written. The handler is called once the context
  // runs, when all is set up.
  try {
    server.http = HttpServer::start(context, *listen, [&server](HttpRequest request) {
      return server.api->answer(std::move(request));
    });
  } catch (const boost::system::system_error& error) {
    return fail(address_problem(*listen, error.code().message()));
  }
  auto state = StateFolder::open(server.deployment->scenario.serve->state);
  if (!state) return fail(std::move(state.error()));
  server.state = std::move(*state);
  auto controller = Controller::make(context, server.deployment, *server.state);
  if (!controller) return fail(std::move(controller.error()));
  server.controller = std::move(*controller);
  server.api = std::make_unique<Api>(*server.controller);
  return server.controller->start();
}

}  // namespace

int serve_command(const ServeOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  asio::io_context context{1};
  Server server;
  if (auto ready = set_up(context, options, server); !ready) return complain(ready.error());
  fmt::print("serving {} on http://{}\n", server.deployment->scenario.name,
             server.http->endpoint().text());
  std::fflush(stdout);

  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](error_code error, int) {
    if (error) return;
    server.http->stop();
    server.controller->stop([&] { context.stop(); });
  });
  context.run();
  server.http.reset();
  return 0;
}

}  // namespace disagfusion::exec
