#include "exec/controller/fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/atomic_file.hpp"
#include "base/check.hpp"
#include "exec/protocol/convert.hpp"
#include "exec/protocol/version.hpp"
#include "exec/worker/worker.hpp"

namespace disagfusion::exec {

using scheduler::ActionKind;
using scheduler::EventKind;
using scheduler::InstanceKey;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

constexpr milliseconds kHelloLimit{5000};
constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLongestBackoff{10000};
constexpr std::chrono::seconds kStartLimit{60};
constexpr std::uint32_t kStartAttempts = 3;

nanoseconds real(Duration d) { return nanoseconds(d.ns); }

/// What a process file says.
struct ProcessNote {
  std::uint32_t incarnation = 0;
  ProcessId process;
  std::uint16_t pull_port = 0;
};

std::optional<ProcessNote> read_note(const std::string& path) {
  std::ifstream file(path);
  ProcessNote note;
  if (!(file >> note.incarnation >> note.process.pid >> note.process.started >> note.pull_port)) {
    return std::nullopt;
  }
  return note;
}

OwnedEvent event_of(EventKind kind, InstanceKey key, scheduler::CommandKey command = {}) {
  OwnedEvent event(kind);
  event.event.instance = key;
  event.event.command = command;
  return event;
}

}  // namespace

Fleet::Fleet(asio::io_context& context, const Deployment& deployment, FleetOptions options,
             Feed feed, RoleOf role_of)
    : context_(context),
      deployment_(deployment),
      options_(std::move(options)),
      feed_(std::move(feed)),
      role_of_(std::move(role_of)),
      acceptor_(context) {
  for (std::size_t i = 0; i < deployment.setup.instances.size(); ++i) {
    Seat& initial = seat(InstanceId{static_cast<std::uint32_t>(i + 1)});
    initial.incarnation = 1;
    initial.life = Life::starting;
    initial.role = deployment.setup.instances[i].role;
  }
}

Fleet::~Fleet() = default;

Fleet::Seat& Fleet::seat(InstanceId id) {
  Seat& found = seats_[id];
  found.id = id;
  return found;
}

// ---- replay ------------------------------------------------------------------------------------

void Fleet::replayed(const scheduler::Event& event) {
  const InstanceKey key = event.instance;
  if (key.id == kController || !seats_.contains(key.id)) return;
  Seat& of = seat(key.id);
  switch (event.kind) {
    case EventKind::instance_ready:
    case EventKind::instance_provisioned:
      if (event.command.valid() && event.kind == EventKind::instance_ready) break;
      if (key.incarnation < of.incarnation || of.reported) break;
      of.incarnation = key.incarnation;
      of.reported = true;
      of.provision = {};
      of.life = Life::restored;
      break;
    case EventKind::instance_lost:
      if (key.incarnation != of.incarnation || !of.reported) break;
      ++of.incarnation;
      of.reported = false;
      of.life = Life::starting;
      of.stream.clear();
      break;
    case EventKind::instance_stopped:
    case EventKind::start_failed:
      if (key.incarnation == of.incarnation) of.life = Life::off;
      break;
    default:
      break;
  }
}

void Fleet::replayed(Command command) {
  const scheduler::Action& action = command.action;
  Seat& of = seat(action.instance.id);
  if (action.kind == ActionKind::provision) {
    of.incarnation = action.instance.incarnation;
    of.life = Life::starting;
    of.reported = false;
    of.provision = action.command;
    of.role = action.pool;
    of.stream.clear();
  } else if (action.instance.incarnation == of.incarnation) {
    of.stream.push(std::move(command));
  }
}

// ---- start -------------------------------------------------------------------------------------

void Fleet::start(bool restarted) {
  const auto loopback = asio::ip::address_v4::loopback();
  acceptor_.open(tcp::v4());
  acceptor_.set_option(tcp::acceptor::reuse_address(true));
  error_code taken;
  acceptor_.bind({loopback, options_.control_port}, taken);
  if (taken) acceptor_.bind({loopback, 0});
  acceptor_.listen();
  control_port_ = acceptor_.local_endpoint().port();
  asio::co_spawn(context_, listen(this), asio::detached);
  asio::co_spawn(context_, watch_leases(this), asio::detached);
  asio::co_spawn(context_, beat(this), asio::detached);
  for (auto& [id, of] : seats_) {
    of.last_word = steady_clock::now();
    if (of.life == Life::off) continue;
    if (restarted) {
      resume(of);
    } else {
      start_worker(of);
    }
  }
}

/// After a restart: a process that is still there is awaited, one that is not is replaced.
void Fleet::resume(Seat& of) {
  const auto note = read_note(process_file(of.id));
  const bool same = note && note->incarnation == of.incarnation;
  if (same) {
    of.pull_port = note->pull_port;
    watch_process(of, note->process);
  }
  if (of.process) {
    of.life = Life::restored;
    of.needs_inventory = of.reported;
    return;
  }
  if (of.reported) {
    become_lost(of, "it ended while no controller was there");
  } else {
    of.role = of.provision.valid() ? of.role : role_of_(of.id);
    start_worker(of);
  }
}

void Fleet::start_worker(Seat& of) {
  if (stopping_) return;
  of.life = Life::starting;
  of.last_word = steady_clock::now();
  SpawnOptions spawn;
  spawn.arguments = {"worker",
                     "--connect",
                     "127.0.0.1:" + std::to_string(control_port_),
                     "--instance",
                     std::to_string(of.id.value),
                     "--incarnation",
                     std::to_string(of.incarnation)};
  spawn.environment = {std::string(kTokenVariable) + "=" + options_.token};
  spawn.log = log_of(of.id);
  std::string why;
  const auto process = spawn_self(spawn, why);
  if (process) {
    watch_process(of, *process);
    note_process(of);
  }
  if (!of.process) {
    fmt::print(stderr, "serve: instance {} could not be started: {}\n", of.id.value, why);
    start_worker_later(of);
  }
}

void Fleet::start_worker_later(Seat& of) {
  of.life = Life::starting;
  ++of.failures;
  if (of.provision.valid() && of.failures >= kStartAttempts) {
    of.life = Life::off;
    feed_(event_of(EventKind::start_failed, {of.id, of.incarnation},
                   std::exchange(of.provision, {})));
    return;
  }
  const auto wait =
      std::min<milliseconds>(kLongestBackoff, kFirstBackoff * (1 << std::min(of.failures - 1, 7U)));
  auto timer = std::make_shared<asio::steady_timer>(context_, wait);
  of.last_word = steady_clock::now() + wait;
  timer->async_wait([this, timer, id = of.id, incarnation = of.incarnation](error_code error) {
    Seat& later = seat(id);
    if (!error && later.incarnation == incarnation && later.life == Life::starting &&
        !later.process) {
      start_worker(later);
    }
  });
}

void Fleet::watch_process(Seat& of, ProcessId process) {
  of.process = WatchedProcess::watch(
      context_, process,
      [this, id = of.id, incarnation = of.incarnation] { process_ended(id, incarnation); });
}

void Fleet::process_ended(InstanceId id, std::uint32_t incarnation) {
  Seat& of = seat(id);
  if (of.incarnation != incarnation) return;
  of.process.reset();
  if (stopping_ || of.life == Life::off) return;
  become_lost(of, "its process ended");
}

std::string Fleet::log_of(InstanceId id) const {
  return options_.folder + "/" + std::to_string(id.value) + ".log";
}

/// Final for the incarnation. A new one is started, unless nobody wants it.
void Fleet::become_lost(Seat& of, const std::string& why) {
  if (of.process) of.process->kill();
  of.process.reset();
  if (of.link) of.link->close();
  of.link.reset();
  of.welcomed = of.needs_inventory = false;
  of.pull_port = 0;
  of.heard = 0;
  of.unsettled.clear();
  of.stream.clear();
  forget_process(of.id);
  if (stopping_) return;
  fmt::print(stderr, "serve: instance {}.{} is lost: {} (its log: {})\n", of.id.value,
             of.incarnation, why, log_of(of.id));
  of.life = Life::starting;
  ++of.restarts;
  if (of.reported) {
    of.reported = false;
    const InstanceKey gone{of.id, of.incarnation++};
    feed_(event_of(EventKind::instance_lost, gone));
    of.role = role_of_(of.id);
  }
  start_worker_later(of);
}

// ---- commands ----------------------------------------------------------------------------------

void Fleet::send(Command command) {
  const scheduler::Action& action = command.action;
  Seat& of = seat(action.instance.id);
  if (action.kind == ActionKind::provision) {
    of.incarnation = action.instance.incarnation;
    of.reported = false;
    of.provision = action.command;
    of.role = action.pool;
    of.failures = 0;
    of.stream.clear();
    start_worker(of);
    return;
  }
  if (action.instance.incarnation != of.incarnation) return;  // lost meanwhile: settled by that
  if (of.welcomed) transmit(of, command);
  of.stream.push(std::move(command));
}

void Fleet::transmit(Seat& of, const Command& command) {
  wire::ToWorker message;
  wire::Command& out = *message.mutable_command();
  to_wire(command, out);
  if (command.action.kind == ActionKind::transfer)
    out.set_source_port(pull_port(command.action.from));
  of.link->send(message);
}

std::uint16_t Fleet::pull_port(InstanceKey holder) const {
  if (holder.id == kController) return options_.controller_pull_port;
  const auto of = seats_.find(holder.id);
  return of == seats_.end() || of->second.incarnation != holder.incarnation ? std::uint16_t{0}
                                                                            : of->second.pull_port;
}

void Fleet::settled(std::uint64_t through) {
  for (auto& [id, of] : seats_) {
    std::uint64_t number = 0;
    while (!of.unsettled.empty() && of.unsettled.front().first <= through) {
      number = std::max(number, of.unsettled.front().second);
      of.unsettled.pop_front();
    }
    if (number == 0 || !of.welcomed) continue;
    wire::ToWorker message;
    message.mutable_ack()->set_through(number);
    of.link->send(message);
  }
}

// ---- connections -------------------------------------------------------------------------------

asio::awaitable<void> Fleet::listen(Fleet* self) {
  while (self->acceptor_.is_open()) {
    auto [error, socket] = co_await self->acceptor_.async_accept(use_tuple);
    if (error == asio::error::operation_aborted) break;
    if (error) {
      co_await sleep_for(milliseconds(50));
      continue;
    }
    asio::co_spawn(self->context_, converse(self, std::make_shared<FrameLink>(std::move(socket))),
                   asio::detached);
  }
}

asio::awaitable<void> Fleet::converse(Fleet* self, std::shared_ptr<FrameLink> link) {
  wire::ToController message;
  const auto greeted = co_await with_timeout(link->read(message), kHelloLimit);
  if (!greeted.value_or(false) || !message.has_hello()) {
    link->close();
    co_return;
  }
  Seat* of = self->admit(message.hello(), link);
  if (of == nullptr) co_return;
  const std::uint32_t incarnation = of->incarnation;
  self->welcome(*of, message.hello());
  while (co_await link->read(message)) {
    if (of->link != link || of->incarnation != incarnation || !self->hear(*of, message)) break;
  }
  link->close();
  if (of->link == link) {
    of->link.reset();
    of->welcomed = false;
  }
}

/// The seat of whoever says hello; null where it is nobody's, and the caller has been told.
Fleet::Seat* Fleet::admit(const wire::Hello& hello, const std::shared_ptr<FrameLink>& link) {
  const InstanceKey key = from_wire(hello.instance());
  const auto found = seats_.find(key.id);
  const bool trusted = hello.token() == options_.token && hello.protocol() == kProtocolVersion &&
                       hello.version() == build_version();
  if (!trusted || stopping_) {
    link->close();
    return nullptr;
  }
  if (found == seats_.end() || found->second.life == Life::off ||
      found->second.incarnation != key.incarnation) {
    say_goodbye(*link, "this incarnation is lost");
    return nullptr;
  }
  Seat& of = found->second;
  if (!hello.fresh() && !of.stream.reaches(hello.received())) {
    say_goodbye(*link, "its commands are no longer known");
    return nullptr;
  }
  if (of.link) of.link->close();
  of.link = link;
  return &of;
}

void Fleet::say_goodbye(FrameLink& link, const char* why) {
  wire::ToWorker message;
  message.mutable_goodbye()->set_why(why);
  link.send(message);
}

void Fleet::welcome(Seat& of, const wire::Hello& hello) {
  of.last_word = steady_clock::now();
  of.pull_port = static_cast<std::uint16_t>(hello.pull_port());
  of.life = Life::alive;
  if (!of.process) {
    if (const auto process = ProcessId::of(static_cast<pid_t>(hello.pid())))
      watch_process(of, *process);
  }
  note_process(of);
  wire::ToWorker message;
  fill_welcome(of, hello.fresh(), *message.mutable_welcome());
  of.link->send(message);
  of.welcomed = true;
  if (hello.fresh()) {
    if (of.provision.valid()) {
      of.reported = true;
      feed_(event_of(EventKind::instance_provisioned, {of.id, of.incarnation},
                     std::exchange(of.provision, {})));
    }
    return;
  }
  of.stream.trim(hello.received());
  of.stream.each_after(hello.received(), [&](const Command& command) { transmit(of, command); });
  for (const wire::WorkerEvent& event : hello.unacknowledged()) {
    if (of.welcomed) take_event(of, event);
  }
  if (of.welcomed && of.needs_inventory) take_inventory(of, hello);
}

void Fleet::fill_welcome(const Seat& of, bool fresh, wire::Welcome& welcome) const {
  const ControlSpec& control = deployment_.scenario.control;
  welcome.set_heartbeat_ns(static_cast<std::uint64_t>(control.heartbeat.ns));
  welcome.set_orphan_timeout_ns(static_cast<std::uint64_t>(control.orphan_timeout.ns));
  if (!fresh) return;
  for (const SourceText& source : deployment_.scenario.sources) {
    wire::Source& to = *welcome.add_sources();
    to.set_path(source.path);
    to.set_text(source.text);
  }
  welcome.set_scenario_file(deployment_.scenario.file);
  welcome.set_pool(of.role.value);
  const scheduler::Role& role = deployment_.setup.roles[of.role.index()];
  welcome.set_gpu(deployment_.setup.gpu_types[role.gpu.index()]);
  welcome.set_backend(options_.backend);
  if (deployment_.scenario.serve) welcome.set_models_dir(deployment_.scenario.serve->models);
  welcome.set_load_now(!of.provision.valid());
}

/// What it has, and what was sent to it just now.
void Fleet::take_inventory(Seat& of, const wire::Hello& hello) {
  of.needs_inventory = false;
  OwnedEvent event = event_of(EventKind::inventory, {of.id, of.incarnation});
  OwnedInventory& inventory = event.inventory.emplace(from_wire(hello.inventory()));
  of.stream.each_after(hello.received(), [&](const Command& command) {
    const scheduler::Action& action = command.action;
    if (action.kind == ActionKind::enqueue) inventory.run_queue.push_back(action.command);
    if (action.kind == ActionKind::transfer) inventory.transfers.push_back(action.command);
  });
  feed_(std::move(event));
}

bool Fleet::hear(Seat& of, const wire::ToController& message) {
  of.last_word = steady_clock::now();
  switch (message.message_case()) {
    case wire::ToController::kEvent:
      take_event(of, message.event());
      return true;
    case wire::ToController::kHeartbeat:
      if (!of.stream.reaches(message.heartbeat().number())) return false;
      of.stream.trim(message.heartbeat().number());
      return true;
    default:
      return false;
  }
}

void Fleet::take_event(Seat& of, const wire::WorkerEvent& word) {
  if (word.number() <= of.heard) return;
  const InstanceKey sender{of.id, of.incarnation};
  std::optional<OwnedEvent> event = from_wire(word, sender);
  if (!event) {
    become_lost(of, "it told what no worker tells");
    return;
  }
  of.heard = word.number();
  if (!event->note.empty()) {
    fmt::print(stderr, "serve: instance {}: {}: {}\n", of.id.value,
               scheduler::name_of(event->event.kind), event->note);
  }
  const EventKind kind = event->event.kind;
  if (!event->event.command.valid()) {
    if (kind == EventKind::load_failed) {
      become_lost(of, "it could not load its stages");
      return;
    }
    if (kind == EventKind::instance_ready) {
      of.reported = true;
      of.failures = 0;
    }
  }
  if (kind == EventKind::instance_stopped) {
    of.life = Life::off;
    forget_process(of.id);
  }
  of.unsettled.emplace_back(feed_(std::move(*event)), word.number());
}

// ---- leases ------------------------------------------------------------------------------------

steady_clock::duration Fleet::lease(const Seat& of) const {
  const ControlSpec& control = deployment_.scenario.control;
  switch (of.life) {
    case Life::restored:
      return real(control.orphan_timeout) + real(control.heartbeat);
    case Life::alive:
      return real(control.lost_after);
    case Life::starting:
      return kStartLimit;
    case Life::off:
      break;
  }
  return steady_clock::duration::max();
}

asio::awaitable<void> Fleet::watch_leases(Fleet* self) {
  const nanoseconds turn = std::clamp<nanoseconds>(
      real(self->deployment_.scenario.control.lost_after) / 10, milliseconds(5), milliseconds(100));
  auto last = steady_clock::now();
  while (!self->stopping_) {
    co_await sleep_for(turn);
    const auto now = steady_clock::now();
    // If this very process did not run, words may be waiting unread: nobody is judged by that.
    const auto paused = now - last - turn;
    last = now;
    for (auto& [id, of] : self->seats_) {
      if (paused > turn) of.last_word = std::min(now, of.last_word + paused);
      if (of.life == Life::off || now - of.last_word <= self->lease(of)) continue;
      if (of.life == Life::starting && !of.process) continue;  // waits to be started
      const std::chrono::duration<double> silent = self->lease(of);
      const char* what =
          of.life == Life::starting ? "it did not connect within" : "no word of it for";
      self->become_lost(of, fmt::format("{} {} s", what, silent.count()));
    }
  }
}

asio::awaitable<void> Fleet::beat(Fleet* self) {
  wire::ToWorker message;
  message.mutable_heartbeat()->set_number(1);
  while (!self->stopping_) {
    co_await sleep_for(real(self->deployment_.scenario.control.heartbeat));
    for (auto& [id, of] : self->seats_) {
      if (of.welcomed) of.link->send(message);
    }
  }
}

// ---- end and views -----------------------------------------------------------------------------

void Fleet::stop(milliseconds patience, std::function<void()> done) {
  stopping_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  for (auto& [id, of] : seats_) {
    if (of.link) {
      say_goodbye(*of.link, "the controller stops");
    } else if (of.process) {
      of.process->ask_to_end();
    }
  }
  auto timer = std::make_shared<asio::steady_timer>(context_);
  const auto until = steady_clock::now() + patience;
  auto look = std::make_shared<std::function<void()>>();
  *look = [this, timer, until, look, done] {
    const bool all_ended = std::all_of(seats_.begin(), seats_.end(),
                                       [](const auto& entry) { return !entry.second.process; });
    if (!all_ended && steady_clock::now() < until) {
      timer->expires_after(milliseconds(10));
      timer->async_wait([look](error_code) { (*look)(); });
      return;
    }
    for (auto& [id, of] : seats_) {
      if (of.process) of.process->kill();
      forget_process(id);
    }
    asio::post(context_, [look, done] {
      *look = nullptr;
      done();
    });
  };
  (*look)();
}

std::vector<Fleet::View> Fleet::view() const {
  std::vector<View> views;
  for (const auto& [id, of] : seats_) {
    View v;
    v.id = id;
    v.incarnation = of.incarnation;
    v.connected = of.welcomed;
    v.pid = of.process ? of.process->id().pid : 0;
    v.silent_s =
        std::max(0.0, std::chrono::duration<double>(steady_clock::now() - of.last_word).count());
    v.restarts = of.restarts;
    views.push_back(v);
  }
  return views;
}

std::string Fleet::process_file(InstanceId id) const {
  return options_.folder + "/" + std::to_string(id.value);
}

void Fleet::note_process(const Seat& of) const {
  if (!of.process) return;
  const ProcessId process = of.process->id();
  auto file = AtomicFile::create(process_file(of.id));
  if (!file) return;
  file->write(
      fmt::format("{} {} {} {}\n", of.incarnation, process.pid, process.started, of.pull_port));
  (void)file->commit();
}

void Fleet::forget_process(InstanceId id) const {
  std::error_code ignored;
  std::filesystem::remove(process_file(id), ignored);
}

}  // namespace disagfusion::exec
