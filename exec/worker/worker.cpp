#include "exec/worker/worker.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <thread>

#include "base/scenario_reader.hpp"
#include "exec/deployment.hpp"
#include "exec/net/frame_link.hpp"
#include "exec/protocol/convert.hpp"
#include "exec/protocol/version.hpp"
#include "exec/worker/instance.hpp"
#include "exec/worker/pull_server.hpp"
#include "exec/worker/tcp_puller.hpp"

namespace disagfusion::exec {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kBetweenConnects{100};
constexpr milliseconds kConnectLimit{2000};
constexpr milliseconds kWatch{50};

void complain(const Problems& problems) {
  for (const Problem& problem : problems) fmt::print(stderr, "{}\n", problem.text());
}

/// Everything on one thread but the backend's own. Lives as long as its context runs: coroutines
/// refer to it by plain pointer.
class WorkerProcess {
 public:
  WorkerProcess(Endpoint controller, std::string token, scheduler::InstanceKey key,
                BackendFactories backends)
      : controller_(std::move(controller)),
        token_(std::move(token)),
        key_(key),
        backends_(std::move(backends)),
        puller_(context_, token_) {}

  int run() {
    server_ =
        PullServer::start(context_, token_, 0,
                          {[this](scheduler::InstanceKey holder, scheduler::HandleKey handle) {
                             return find(holder, handle);
                           },
                           [this](scheduler::HandleKey handle) {
                             if (instance_) instance_->served(handle);
                           }});
    asio::co_spawn(context_, talk(this), asio::detached);
    asio::co_spawn(context_, watch(this), asio::detached);
    asio::co_spawn(context_, beat(this), asio::detached);
    context_.run();
    if (maker_.joinable()) maker_.join();
    server_->stop();
    instance_.reset();  // waits for the backend
    return status_;
  }

 private:
  // ---- the controller's words

  static asio::awaitable<void> talk(WorkerProcess* self) {
    while (!self->ending_) {
      co_await meet(self);
      self->link_.reset();
      if (!self->ending_) co_await sleep_for(kBetweenConnects);
    }
    self->context_.stop();
  }

  /// One connection from hello to its end.
  static asio::awaitable<void> meet(WorkerProcess* self) {
    tcp::socket socket(self->context_);
    const tcp::endpoint peer(asio::ip::make_address(self->controller_.address),
                             self->controller_.port);
    const auto connected =
        co_await with_timeout(socket.async_connect(peer, use_tuple), kConnectLimit);
    if (!connected || std::get<0>(*connected)) co_return;
    self->link_ = std::make_shared<FrameLink>(std::move(socket));
    self->say_hello();
    wire::ToWorker word;
    while (co_await self->link_->read(word)) {
      self->last_word_ = steady_clock::now();
      const bool more =
          word.has_welcome() ? co_await welcome(self, word.welcome()) : self->hear(word);
      if (!more) break;
    }
    self->link_->close();
  }

  void say_hello() {
    wire::ToController message;
    wire::Hello& hello = *message.mutable_hello();
    hello.set_protocol(kProtocolVersion);
    hello.set_version(build_version());
    hello.set_token(token_);
    to_wire(key_, *hello.mutable_instance());
    hello.set_pid(static_cast<std::uint32_t>(::getpid()));
    hello.set_pull_port(server_->port());
    hello.set_fresh(instance_ == nullptr);
    hello.set_received(received_);
    if (instance_) to_wire(instance_->inventory(), *hello.mutable_inventory());
    for (const auto& [number, event] : unacknowledged_) {
      to_wire(event, number, *hello.add_unacknowledged());
    }
    said_in_hello_ = told_;
    welcomed_ = false;
    link_->send(message);
  }

  /// What happened between hello and welcome.
  void catch_up() {
    for (const auto& [number, event] : unacknowledged_) {
      if (number > said_in_hello_) send_event(number, event);
    }
  }

  /// False: this connection is of no more use.
  bool hear(const wire::ToWorker& word) {
    switch (word.message_case()) {
      case wire::ToWorker::kGoodbye:
        end(0);
        return false;
      case wire::ToWorker::kCommand:
        return obey(word.command());
      case wire::ToWorker::kAck:
        while (!unacknowledged_.empty() && unacknowledged_.front().first <= word.ack().through()) {
          unacknowledged_.pop_front();
        }
        end_if_stopped();
        return !ending_;
      case wire::ToWorker::kHeartbeat:
        return true;
      case wire::ToWorker::kWelcome:
      case wire::ToWorker::MESSAGE_NOT_SET:
        return false;
    }
    return false;
  }

  /// False: this connection is of no more use. No further word is read before it returns, and that
  /// may take long: a backend may have to be read from a slow disk first.
  static asio::awaitable<bool> welcome(WorkerProcess* self, const wire::Welcome& word) {
    self->heartbeat_ = nanoseconds(word.heartbeat_ns());
    self->orphan_timeout_ = nanoseconds(word.orphan_timeout_ns());
    self->welcomed_ = true;
    self->catch_up();
    if (self->instance_ || word.sources_size() == 0) co_return self->instance_ != nullptr;
    auto made = self->read_scenario(word);
    if (made) made = co_await make_instance(self, word);
    if (!made) {
      complain(made.error());
      self->end(1);
      co_return false;
    }
    const PoolId role{static_cast<std::uint16_t>(word.pool())};
    // The initial fleet is ready at 0, as in the simulator; real weights have to be read.
    const bool ready = self->key_.incarnation == 1 && word.backend() == "emulated";
    if (word.load_now() && ready) self->instance_->host(role);
    if (word.load_now() && !ready) self->instance_->load(role);
    co_return true;
  }

  Result<void> read_scenario(const wire::Welcome& word) {
    std::vector<SourceText> sources;
    for (const wire::Source& source : word.sources())
      sources.push_back({source.path(), source.text()});
    auto scenario = load_scenario(sources);
    if (!scenario) return fail(std::move(scenario.error()));
    auto deployment = make_deployment(std::move(*scenario), true);
    if (!deployment) return fail(std::move(deployment.error()));
    deployment_ = std::move(*deployment);
    return {};
  }

  /// The backend is made on a thread of its own: heartbeats go on meanwhile.
  static asio::awaitable<Result<void>> make_instance(WorkerProcess* self,
                                                     const wire::Welcome& word) {
    asio::steady_timer done(self->context_, steady_clock::time_point::max());
    Result<std::unique_ptr<StageBackend>> backend = nullptr;
    self->maker_ = std::thread([self, &word, &backend, &done] {
      backend = self->make_backend(word);
      asio::post(self->context_, [&done] { done.cancel(); });
    });
    co_await done.async_wait(use_tuple);
    self->maker_.join();
    if (!backend) co_return fail(std::move(backend.error()));
    const scheduler::Setup& setup = self->deployment_->setup;
    self->instance_ =
        std::make_shared<Instance>(self->context_.get_executor(), setup, self->deployment_->stages,
                                   self->key_, std::move(*backend), self->puller_, self->handles_,
                                   [self](OwnedEvent event) { self->tell(std::move(event)); });
    co_return Result<void>{};
  }

  Result<std::unique_ptr<StageBackend>> make_backend(const wire::Welcome& word) {
    if (word.backend() == "emulated") {
      const PoolId role{static_cast<std::uint16_t>(word.pool())};
      return make_emulated_backend(context_.get_executor(), emulated_costs(*deployment_, role, 1));
    }
    const auto factory = backends_.find(word.backend());
    if (factory == backends_.end()) {
      Problem unknown;
      unknown.path = "serve.backend";
      unknown.expected = "a backend that this build has";
      unknown.got = "\"" + word.backend() + "\"";
      return fail(unknown);
    }
    BackendContext context = backend_context(*deployment_, word.gpu());
    context.models_dir = word.models_dir();
    const auto instances = static_cast<unsigned>(deployment_->setup.instances.size());
    context.threads = static_cast<int>(
        std::max(1U, std::thread::hardware_concurrency() / std::max(1U, instances)));
    return factory->second(context);
  }

  bool obey(const wire::Command& word) {
    std::optional<Command> command = from_wire(word, key_);
    if (!command || !instance_) return false;
    ++received_;
    instance_->take(std::move(*command));
    return true;
  }

  // ---- our words

  void tell(OwnedEvent event) {
    const std::uint64_t number = ++told_;
    if (link_ && welcomed_) send_event(number, event);
    unacknowledged_.emplace_back(number, std::move(event));
  }

  void send_event(std::uint64_t number, const OwnedEvent& event) {
    wire::ToController message;
    to_wire(event, number, *message.mutable_event());
    link_->send(message);
  }

  static asio::awaitable<void> beat(WorkerProcess* self) {
    while (!self->ending_) {
      co_await sleep_for(self->heartbeat_);
      if (!self->link_ || !self->welcomed_) continue;
      wire::ToController message;
      message.mutable_heartbeat()->set_number(self->received_);
      self->link_->send(message);
    }
  }

  // ---- ends

  static asio::awaitable<void> watch(WorkerProcess* self) {
    while (!self->ending_) {
      co_await sleep_for(kWatch);
      if (self->maker_.joinable()) self->last_word_ = steady_clock::now();  // nobody reads
      if (steady_clock::now() - self->last_word_ > self->orphan_timeout_) {
        fmt::print(stderr, "instance {}.{}: no word of the controller for {} s: it stops\n",
                   self->key_.id.value, self->key_.incarnation,
                   std::chrono::duration<double>(self->orphan_timeout_).count());
        self->end(0);
      }
    }
  }

  void end_if_stopped() {
    if (instance_ && instance_->stopped() && unacknowledged_.empty()) end(0);
  }

  void end(int status) {
    status_ = status;
    ending_ = true;
    context_.stop();
  }

  [[nodiscard]] std::optional<Buffer> find(scheduler::InstanceKey holder,
                                           scheduler::HandleKey handle) const {
    if (holder != key_) return std::nullopt;
    const HandleStore::Held* held = handles_.find(handle);
    if (held == nullptr) return std::nullopt;
    return held->bytes;
  }

  asio::io_context context_{1};
  Endpoint controller_;
  std::string token_;
  scheduler::InstanceKey key_;
  BackendFactories backends_;
  TcpPuller puller_;
  HandleStore handles_;
  std::shared_ptr<PullServer> server_;
  std::shared_ptr<const Deployment> deployment_;
  std::shared_ptr<Instance> instance_;
  std::shared_ptr<FrameLink> link_;  ///< to the controller, or null
  std::deque<std::pair<std::uint64_t, OwnedEvent>> unacknowledged_;
  std::uint64_t told_ = 0, said_in_hello_ = 0, received_ = 0;
  steady_clock::time_point last_word_ = steady_clock::now();
  nanoseconds heartbeat_ = kWatch;  ///< until the welcome says
  nanoseconds orphan_timeout_ = std::chrono::seconds(60);
  std::thread maker_;  ///< of the backend; joinable while that is made
  bool welcomed_ = false, ending_ = false;
  int status_ = 0;
};

}  // namespace

int worker_command(const WorkerOptions& options) {
  auto controller = parse_loopback(options.connect, "--connect");
  if (!controller) {
    complain(controller.error());
    return 2;
  }
  const char* token = std::getenv(kTokenVariable);
  if (token == nullptr || options.instance == 0 || options.incarnation == 0) {
    fmt::print(stderr,
               "worker: expected to be started by `serve`, which gives --instance, "
               "--incarnation and {}\n",
               kTokenVariable);
    return 2;
  }
  WorkerProcess process(*controller, token, {InstanceId{options.instance}, options.incarnation},
                        options.backends);
  return process.run();
}

}  // namespace disagfusion::exec
