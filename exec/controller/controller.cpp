#include "exec/controller/controller.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/check.hpp"
#include "exec/protocol/version.hpp"
#include "scheduler/decision_hash.hpp"
#include "scheduler/log/sqlite_container.hpp"

namespace disagfusion::exec {

using scheduler::ActionKind;
using scheduler::EventKind;
using scheduler::HandleKey;

namespace {

class SqliteSink final : public DurableSink {
 public:
  explicit SqliteSink(std::unique_ptr<scheduler::log::SqliteLog> log) : log_(std::move(log)) {}
  void record(TimePoint now, const scheduler::Event& event, std::uint64_t hash) override {
    log_->record(now, event, hash);
  }
  bool commit() override {
    log_->commit();
    return true;
  }

 private:
  std::unique_ptr<scheduler::log::SqliteLog> log_;
};

bool same_sources(const std::vector<SourceText>& a, const std::vector<SourceText>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.path == y.path && x.text == y.text;
  });
}

Problem journal_problem(const StateFolder& state, std::string expected, std::string got) {
  Problem problem;
  problem.file = state.journal();
  problem.expected = std::move(expected);
  problem.got = std::move(got);
  return problem;
}

scheduler::log::LogHeader header_of(const Deployment& deployment) {
  scheduler::log::LogHeader header;
  header.program_version = build_version();
  header.seed = deployment.scenario.seed;
  header.live = true;
  header.belief = deployment.belief_name;
  header.sources = deployment.scenario.sources;
  return header;
}

}  // namespace

Controller::Controller(asio::io_context& context, std::shared_ptr<const Deployment> deployment,
                       StateFolder& state)
    : context_(context),
      deployment_(std::move(deployment)),
      state_(state),
      meeting_(state.meeting()),
      recorder_(deployment_->scenario, deployment_->setup, *deployment_->truth, Duration{}),
      outputs_(context, state.outputs()),
      puller_(context, meeting_.token) {
  recorder_.set_rows(this);
}

Controller::~Controller() {
  if (pull_server_) pull_server_->stop();
}

Result<std::unique_ptr<Controller>> Controller::make(asio::io_context& context,
                                                     std::shared_ptr<const Deployment> deployment,
                                                     StateFolder& state) {
  std::unique_ptr<Controller> made(new Controller(context, std::move(deployment), state));
  auto session = scheduler::Session::make(made->deployment_->setup, made->deployment_->belief);
  if (!session) return fail(std::move(session.error()));
  made->session_ = std::move(*session);
  FleetOptions options;
  options.token = made->meeting_.token;
  options.control_port = made->meeting_.control_port;
  options.folder = state.workers();
  options.backend =
      made->deployment_->scenario.serve ? made->deployment_->scenario.serve->backend : "emulated";
  made->pull_server_ =
      PullServer::start(context, made->meeting_.token, made->meeting_.pull_port,
                        {[controller = made.get()](scheduler::InstanceKey, HandleKey handle) {
                           return controller->input(handle);
                         },
                         {}});
  options.controller_pull_port = made->pull_server_->port();
  made->fleet_ = std::make_unique<Fleet>(
      context, *made->deployment_, std::move(options),
      [controller = made.get()](OwnedEvent event) {
        return controller->conductor_->feed(std::move(event));
      },
      [controller = made.get()](InstanceId id) { return controller->role_of(id); });
  auto opened = made->open_journal();
  if (!opened) return fail(std::move(opened.error()));
  return made;
}

// ---- the journal -------------------------------------------------------------------------------

Result<void> Controller::open_journal() {
  if (state_.has_journal()) return replay();
  auto log = scheduler::log::SqliteLog::create(state_.journal(), header_of(*deployment_));
  if (!log) return fail(std::move(log.error()));
  journal_ = std::make_unique<Journal>(std::make_unique<SqliteSink>(std::move(*log)));
  conductor_ = std::make_unique<Conductor>(context_, *session_, clock_, *this, journal_.get());
  return {};
}

Result<void> Controller::replay() {
  const double age_s = state_.journal_age_s();
  auto reader = scheduler::log::open_log(state_.journal());
  if (!reader) return fail(std::move(reader.error()));
  if (!same_sources((*reader)->header().sources, deployment_->scenario.sources)) {
    return fail(journal_problem(state_, "a log of this very scenario (or an empty serve.state)",
                                "one of another scenario"));
  }
  conductor_ = std::make_unique<Conductor>(context_, *session_, clock_, *this, nullptr);
  replaying_ = true;
  scheduler::log::Record record;
  std::uint64_t rows = 0;
  for (;;) {
    auto more = (*reader)->next(record);
    if (!more) return fail(std::move(more.error()));
    if (!*more) break;
    ++rows;
    const scheduler::Event& event = record.event;
    if (event.kind == EventKind::controller_restarted) epoch_ = event.steps_done + 1;
    const std::uint64_t hash = conductor_->replay(record.now, event);
    if (hash != record.actions_hash) {
      return fail(journal_problem(state_, "the same decisions as when it was written",
                                  fmt::format("others after event {}", rows)));
    }
  }
  replaying_ = false;
  const TimePoint last = conductor_->last_now();
  downtime_ = from_seconds(age_s);
  clock_ = Clock(last + downtime_);
  auto log = scheduler::log::SqliteLog::append_to(state_.journal());
  if (!log) return fail(std::move(log.error()));
  journal_ = std::make_unique<Journal>(std::make_unique<SqliteSink>(std::move(*log)));
  conductor_ = std::make_unique<Conductor>(context_, *session_, clock_, *this, journal_.get());
  if (rows == 0) downtime_ = {};
  return {};
}

Result<void> Controller::start() {
  OwnedEvent began(EventKind::controller_restarted);
  began.event.steps_done = epoch_;
  began.event.compute = downtime_;
  conductor_->feed(std::move(began));
  // What the last controller had not answered itself.
  for (const auto& [id, action] : std::map(own_open_)) own_command(action);
  fleet_->start(epoch_ > 1);
  meeting_.control_port = fleet_->control_port();
  meeting_.pull_port = pull_server_->port();
  return state_.keep(meeting_);
}

void Controller::stop(std::function<void()> done) {
  constexpr std::chrono::milliseconds kPatience{3000};
  fleet_->stop(kPatience, std::move(done));
}

// ---- accounts ----------------------------------------------------------------------------------

void Controller::decided(TimePoint now, const scheduler::Event& event,
                         const scheduler::ActionBuffer& actions) {
  ledger_.decided(now, event, actions, replaying_);
  recorder_.on_event(now, event, actions);
  if (event.kind == EventKind::request_arrived) ++figures_.arrived;
  note(event, actions);
  if (!replaying_) return;
  fleet_->replayed(event);
  for (const scheduler::Action& action : actions.actions) {
    if (action.kind == ActionKind::end_request || action.kind == ActionKind::reject) {
      ++figures_.by_end[static_cast<std::size_t>(action.state)];
    }
    if (action.instance.id == kController || !action.instance.id.valid()) continue;
    Command command = cut(action, actions);
    add_bodies(command);
    fleet_->replayed(std::move(command));
  }
}

void Controller::row(scheduler::RequestKey key, const traces::RequestRow& row) {
  ledger_.note_row(key, row);
}

/// What lies at the controller, and what it still has to answer.
void Controller::note(const scheduler::Event& event, const scheduler::ActionBuffer& actions) {
  if (event.instance.id == kController) own_open_.erase(event.command.id);
  for (const scheduler::Action& action : actions.actions) {
    if (action.kind == ActionKind::enqueue || action.kind == ActionKind::extend) {
      note_output(actions, action);
    }
    if (action.kind == ActionKind::transfer && action.from.id == kController) {
      inputs_[action.handle] = action.request.generation;
    }
    if (action.kind == ActionKind::release) {
      output_nodes_.erase(action.handle);
      if (action.instance.id == kController) inputs_.erase(action.handle);
    }
    const bool own = action.kind == ActionKind::transfer || action.kind == ActionKind::release ||
                     action.kind == ActionKind::cancel_transfer;
    if (own && action.instance.id == kController) own_open_[action.command.id] = action;
  }
}

void Controller::note_output(const scheduler::ActionBuffer& actions,
                             const scheduler::Action& action) {
  if (!deployment_->setup.graph.nodes[action.node.index()].before.empty()) return;
  for (const scheduler::BatchMember& member : actions.members_of(action)) {
    output_nodes_[member.output] = action.node;
  }
}

std::optional<Buffer> Controller::input(HandleKey handle) const {
  const auto held = inputs_.find(handle);
  if (held == inputs_.end()) return std::nullopt;
  return Buffer{};  // a request brings nothing but its body, which travels with the enqueue
}

PoolId Controller::role_of(InstanceId id) const {
  for (const scheduler::InstanceView& view : session_->scheduler().instances()) {
    if (view.key.id == id) return view.role;
  }
  return deployment_->setup.instances.at(id.index() - 1).role;
}

// ---- actions -----------------------------------------------------------------------------------

void Controller::carry_out(Command command) {
  const scheduler::Action& action = command.action;
  switch (action.kind) {
    case ActionKind::admit:
      ledger_.publish(action);
      return;
    case ActionKind::reject:
    case ActionKind::end_request: {
      ++figures_.by_end[static_cast<std::size_t>(action.state)];
      const Account* account = ledger_.find(action.request);
      ledger_.publish(action);
      if (on_end_) on_end_(*account);
      return;
    }
    default:
      break;
  }
  if (action.instance.id == kController) {
    own_command(action);
    return;
  }
  add_bodies(command);
  fleet_->send(std::move(command));
}

void Controller::add_bodies(Command& command) {
  if (command.action.kind != ActionKind::enqueue && command.action.kind != ActionKind::extend)
    return;
  for (CommandMember& member : command.members) {
    const Account* account = ledger_.find(member.keys.request);
    DF_CHECK(account != nullptr);
    member.body = account->body;
  }
}

void Controller::own_command(const scheduler::Action& action) {
  switch (action.kind) {
    case ActionKind::release:
      answer(EventKind::handle_released, action.command, action.handle);
      break;
    case ActionKind::transfer:
      fetch_output(action);
      break;
    case ActionKind::cancel_transfer:
      if (puller_.cancel(action.target.id)) {
        answer(EventKind::transfer_cancelled, action.target, {});
      } else {
        answer(EventKind::too_late, action.command, {});
      }
      break;
    default:
      break;
  }
}

/// Pulls a last output and keeps it; only then has the transfer finished.
void Controller::fetch_output(const scheduler::Action& action) {
  const PullSource source{action.from, action.handle, fleet_->pull_port(action.from), action.bytes};
  const auto node = output_nodes_.find(action.handle);
  const std::uint32_t stage = node == output_nodes_.end() ? 0 : node->second.value;
  puller_.pull(action.command.id, source, [this, action, stage](std::optional<Buffer> bytes) {
    if (!bytes) {
      answer(EventKind::transfer_failed, action.command, action.handle,
             scheduler::Reason::sender_lost);
      return;
    }
    outputs_.keep(action.request.generation, stage, std::move(*bytes), [this, action](bool kept) {
      DF_CHECK(kept, "an output could not be written under serve.state");
      answer(EventKind::transfer_finished, action.command, action.handle);
    });
  });
}

void Controller::answer(EventKind kind, scheduler::CommandKey command, HandleKey handle,
                        scheduler::Reason reason) {
  OwnedEvent event(kind);
  event.event.instance = {kController, 0};
  event.event.command = command;
  event.event.handle = handle;
  event.event.reason = reason;
  conductor_->feed(std::move(event));
}

void Controller::settled(std::uint64_t through) {
  ++figures_.commits;
  fleet_->settled(through);
}

// ---- requests and operators --------------------------------------------------------------------

std::uint64_t Controller::submit(scheduler::RequestBody body) {
  const Account* known = ledger_.find(body.id);
  // A rejected request was never accepted: its id may be tried again.
  const bool rejected = known != nullptr && known->state == Account::State::ended &&
                        known->end == scheduler::EndState::rejected;
  if (known != nullptr && !rejected) return known->number;
  OwnedEvent arrived(EventKind::request_arrived);
  arrived.event.request = ledger_.next_key();
  arrived.event.number = arrived.event.request.generation;
  arrived.body = std::make_shared<scheduler::RequestBody>(std::move(body));
  const std::uint64_t number = arrived.event.number;
  conductor_->feed(std::move(arrived));
  return number;
}

void Controller::cancel(std::uint64_t number) {
  const Account* account = ledger_.by_number(number);
  if (account == nullptr || account->state == Account::State::ended) return;
  OwnedEvent asked(EventKind::cancel_asked);
  asked.event.request = account->key;
  conductor_->feed(std::move(asked));
}

void Controller::pictures(const Account& account,
                          std::function<void(std::vector<std::string>)> done) {
  std::vector<std::uint32_t> nodes;
  const StageGraph& graph = deployment_->setup.graph;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].model == account.body->model && graph.nodes[i].before.empty()) {
      nodes.push_back(static_cast<std::uint32_t>(i));
    }
  }
  outputs_.read(account.number, std::move(nodes), std::move(done));
}

void Controller::order(scheduler::Order order, InstanceId instance, std::vector<WeightsId> stages) {
  OwnedEvent event(EventKind::operator_order);
  event.event.order = order;
  event.event.instance = {instance, 0};
  for (const scheduler::InstanceView& view : session_->scheduler().instances()) {
    if (view.key.id == instance) event.event.instance = view.key;
  }
  event.stages = std::move(stages);
  conductor_->feed(std::move(event));
}

std::string Controller::explain(const Account& account) const {
  return session_->scheduler().explain(account.key);
}

bool Controller::ready() const {
  const scheduler::Setup& setup = deployment_->setup;
  std::vector<bool> served(setup.graph.weights.size(), false);
  for (const scheduler::InstanceView& view : session_->scheduler().instances()) {
    if (std::string_view(view.state) != "ready") continue;
    for (const WeightsId weights : setup.roles[view.role.index()].stages)
      served[weights.index()] = true;
  }
  return std::all_of(served.begin(), served.end(), [](bool s) { return s; });
}

}  // namespace disagfusion::exec
