// A worker, met by a controller that the test plays.
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "exec/net/frame_link.hpp"
#include "exec/protocol/convert.hpp"
#include "exec/worker/worker.hpp"

namespace disagfusion::exec {
namespace {

constexpr const char* kScenario =
    "models: [{name: m, stages: [{name: s}]}]\n"
    "workload: {arrivals: {process: burst}, requests: 1}\n"
    "hardware: [{name: card, memory: 24 GB}]\n"
    "fleet: {gpus: {card: 1}, pools: [{stages: [s], gpu: card, count: 1}]}\n"
    "costs: [{stage: s, seconds: 1}]\n"
    "serve: {listen: \"127.0.0.1:0\", backend: emulated, state: state}\n";

/// Welcomes whoever says hello and reads on to the end; `beaten` once three heartbeats have come.
asio::awaitable<void> welcome_one(tcp::acceptor* acceptor, std::promise<void>* beaten) {
  auto link = std::make_shared<FrameLink>(co_await acceptor->async_accept(asio::use_awaitable));
  wire::ToController word;
  if (!co_await link->read(word) || !word.has_hello()) co_return;
  wire::ToWorker answer;
  wire::Welcome& welcome = *answer.mutable_welcome();
  welcome.set_heartbeat_ns(10'000'000);
  welcome.set_orphan_timeout_ns(60'000'000'000);
  wire::Source& source = *welcome.add_sources();
  source.set_path("scenario.yaml");
  source.set_text(kScenario);
  welcome.set_scenario_file("scenario.yaml");
  welcome.set_gpu("card");
  welcome.set_backend("slow");
  link->send(answer);
  for (int beats = 0; co_await link->read(word);) {
    if (word.has_heartbeat() && ++beats == 3) beaten->set_value();
  }
}

TEST(Worker, HeartbeatsGoOnWhileItsBackendIsMade) {
  ASSERT_EQ(::setenv(kTokenVariable, "token", 1), 0);
  asio::io_context context{1};
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  std::promise<void> beaten;
  asio::co_spawn(context, welcome_one(&acceptor, &beaten), asio::detached);

  // A backend that is not made before the controller has heard three heartbeats, and then fails.
  std::future_status waited = std::future_status::timeout;
  WorkerOptions options;
  options.connect = "127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  options.instance = options.incarnation = 1;
  options.backends["slow"] = [&](const BackendContext&) -> Result<std::unique_ptr<StageBackend>> {
    waited = beaten.get_future().wait_for(std::chrono::seconds(30));
    return fail(Problem{"slow", 0, 0, "", "a backend", "none", ""});
  };
  int status = -1;
  std::thread worker([&] { status = worker_command(options); });
  context.run();
  worker.join();
  EXPECT_EQ(waited, std::future_status::ready);
  EXPECT_EQ(status, 1);
}

}  // namespace
}  // namespace disagfusion::exec
