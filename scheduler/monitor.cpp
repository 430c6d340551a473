// The world's side of the protocol: events.
#include "scheduler/monitor.hpp"

#include <algorithm>
#include <array>

#include "base/inline.hpp"

namespace disagfusion::scheduler {
namespace {

constexpr const char* kBadMember = "it names a request that the batch does not have";

}  // namespace

ProtocolMonitor::ProtocolMonitor(const Setup& setup)
    : instances_(setup.instances.size() + 1),
      weights_(std::max<std::size_t>(1, setup.graph.weights.size())),
      models_(setup.graph.model_names.size()),
      initial_instances_(setup.instances.size()) {
  for (const StageNode& node : setup.graph.nodes) {
    stage_of_.push_back(node.stage);
    stages_ = std::max<std::size_t>(stages_, node.stage + 1U);
  }
  hosts_.resize(setup.roles.size() * weights_);
  for (std::size_t role = 0; role < setup.roles.size(); ++role) {
    for (const WeightsId weights : setup.roles[role].stages) {
      hosts_[role * weights_ + weights.index()] = 1;
    }
    max_batch_.push_back(setup.roles[role].max_batch);
  }
  for (std::size_t i = 0; i < setup.instances.size(); ++i) {
    instances_[i + 1].role = setup.instances[i].role;
    instances_[i + 1].returns = true;
  }
  instances_[0].phase = Phase::ready;
}

const char* ProtocolMonitor::explain(TimePoint now, const Event& event) {
  if (now < now_) return "time goes backwards";
  now_ = now;
  if (epoch_ == 0 && event.kind != EventKind::controller_restarted) {
    return "the first event of all is controller_restarted";
  }
  const char* wrong = explain_kind(event);
  if (wrong == nullptr && event.started.valid()) wrong = explain_started(event, event.started);
  return wrong;
}

DF_INLINE const char* ProtocolMonitor::explain_kind(const Event& event) {
  switch (event.kind) {
    case EventKind::request_arrived:
      return explain_arrived(event);
    case EventKind::cancel_asked:
      return explain_cancel(event);
    case EventKind::batch_started:
      return explain_started(event, event.command);
    case EventKind::batch_finished:
      return explain_finished(event);
    case EventKind::step_done:
      return explain_running(event);
    case EventKind::batch_preempted:
      return explain_preempted(event);
    case EventKind::batch_extended:
      return explain_extended(event);
    case EventKind::batch_revoked:
      return explain_revoked(event);
    case EventKind::too_late:
      return explain_too_late(event);
    case EventKind::batch_refused:
    case EventKind::out_of_memory:
      return explain_refused(event);
    case EventKind::transfer_finished:
    case EventKind::transfer_failed:
    case EventKind::transfer_cancelled:
      return explain_transfer(event);
    case EventKind::handle_lost:
      return explain_handle_lost(event);
    case EventKind::handle_released:
      return explain_released(event);
    case EventKind::instance_ready:
      return explain_ready(event);
    case EventKind::instance_provisioned:
      return explain_life(event, ActionKind::provision);
    case EventKind::instance_unloaded:
      return explain_life(event, ActionKind::unload);
    case EventKind::instance_drained:
      return explain_life(event, ActionKind::drain);
    case EventKind::instance_stopped:
      return explain_life(event, ActionKind::stop);
    case EventKind::start_failed:
      return explain_life(event, ActionKind::provision);
    case EventKind::load_failed:
      return explain_life(event, ActionKind::load);
    case EventKind::instance_lost:
      return explain_lost(event);
    case EventKind::reclaim_notice:
      return known(event.instance) ? nullptr : kNoIncarnation;
    case EventKind::inventory:
      return explain_inventory(event);
    case EventKind::controller_restarted:
      return explain_restarted(event);
    case EventKind::timer:
      return explain_timer(event);
    case EventKind::capacity_changed:
    case EventKind::operator_order:
    case EventKind::tick:
      return nullptr;
  }
  return "there is no such kind of event";
}

// ---- what commands and incarnations explain ----------------------------------------------------

DF_INLINE ProtocolMonitor::Command* ProtocolMonitor::answered(const Event& event, CommandKey key,
                                                              std::uint32_t kinds,
                                                              const char*& wrong) {
  wrong = nullptr;
  if (!key.valid() || key.id > last_command_ || key.slot >= commands_.size()) {
    wrong = "no such command was ever issued";
    return nullptr;
  }
  Command& command = commands_[key.slot];
  if (command.id != key.id) {
    // The slot has a younger user: the command is past, and what it was is forgotten.
    if (command.id < key.id) wrong = "no command with that number had that slot";
    return nullptr;
  }
  if ((only(command.kind) & kinds) == 0) {
    wrong = "that command is not answered by this";
  } else if (command.instance != event.instance &&
             !(command.instance.id == kController && event.instance.id == kController)) {
    wrong = "another instance or incarnation was asked";
  } else if (open(command)) {
    return &command;
  }
  return nullptr;
}

void ProtocolMonitor::end_incarnation(Instance& instance) {
  open_commands_ -= instance.open;
  instance.open = 0;
  instance.ended = instance.incarnation;
  instance.phase = Phase::absent;
  instance.draining = false;
  instance.drain = {};
}

// ---- requests ----------------------------------------------------------------------------------

DF_INLINE const char* ProtocolMonitor::explain_arrived(const Event& event) {
  if (event.number <= last_request_) return "request numbers do not increase";
  if (static_cast<std::uint32_t>(event.number) != event.request.generation) {
    return "the request's generation is not the low half of its number";
  }
  if (event.body == nullptr) return "the request has no body";
  if (event.body->model.index() >= models_) return "there is no such model";
  last_request_ = event.number;
  Request& request = requests_.at_slot(event.request.slot);
  if (request.state == RequestState::arrived || request.state == RequestState::admitted) {
    return "an unfinished request holds that slot";
  }
  request = {event.request.generation, RequestState::arrived};
  return nullptr;
}

const char* ProtocolMonitor::explain_cancel(const Event& event) {
  const RequestKey key = event.request;
  const bool past = key.valid() && key.slot < requests_.size() &&
                    key.generation <= requests_[key.slot].generation;
  return past ? nullptr : "no such request ever arrived";
}

// ---- batches -----------------------------------------------------------------------------------

DF_INLINE const char* ProtocolMonitor::explain_started(const Event& event, CommandKey key) {
  const char* wrong = nullptr;
  if (Command* command = answered(event, key, kEnqueue, wrong)) command->started = true;
  return wrong;
}

const char* ProtocolMonitor::explain_running(const Event& event) {
  const char* wrong = nullptr;
  const Command* command = answered(event, event.command, kEnqueue, wrong);
  if (command != nullptr && !command->started && strict()) return "the batch has not started";
  return wrong;
}

DF_INLINE const char* ProtocolMonitor::explain_finished(const Event& event) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, kEnqueue, wrong);
  if (command == nullptr) return wrong;
  if (!command->started && strict()) return "the batch finished without a start";
  wrong = take_outcomes(*command, event);
  settle(*command, CommandState::finished);
  return wrong;
}

const char* ProtocolMonitor::explain_preempted(const Event& event) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, kEnqueue, wrong);
  if (command == nullptr) return wrong;
  if (!command->stop_asked) return "nobody asked to preempt that batch";
  if (!command->started && strict()) return "the batch was preempted without a start";
  wrong = take_outcomes(*command, event);
  settle(*command, CommandState::finished);
  return wrong;
}

DF_INLINE const char* ProtocolMonitor::take_outcomes(Command& command, const Event& event) {
  if (strict() && event.members.size() != command.members) {
    return event.members.size() < command.members ? "the batch has more members than it names"
                                                  : kBadMember;
  }
  std::uint32_t cursor = command.first_member;
  for (const MemberOutcome& outcome : event.members) {
    if (!find_member(command, outcome.request, cursor) && strict()) return kBadMember;
    const bool ends = event.kind == EventKind::batch_finished;
    const bool fits = outcome.kind == MemberOutcome::Kind::failed ||
                      (outcome.kind == MemberOutcome::Kind::output) == ends;
    if (!fits) return "a member ended in a way that this event does not know";
    if (outcome.handle.valid()) {
      if (const char* wrong = hold(outcome.handle, command.id, event.instance)) return wrong;
    }
  }
  return nullptr;
}

DF_INLINE const char* ProtocolMonitor::hold(HandleKey key, std::uint64_t named_by,
                                            InstanceKey holder) {
  if (key.slot >= handles_.size()) return "nobody named that handle";
  Handle& handle = handles_[key.slot];
  if (handle.generation != key.generation || handle.named_by != named_by) {
    return "its command did not name that handle";
  }
  const bool listed = !strict() && handle.state == HandleState::held && handle.holder == holder;
  if (handle.state != HandleState::named && !listed) return "that handle was given twice";
  handle.state = HandleState::held;
  handle.holder = holder;
  return nullptr;
}

const char* ProtocolMonitor::explain_extended(const Event& event) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, kExtend, wrong);
  if (command == nullptr) return wrong;
  move_members(*command, commands_[command->target_slot], command->target_slot);
  settle(*command, CommandState::settled);
  return nullptr;
}

void ProtocolMonitor::move_members(Command& from, Command& to, std::uint32_t to_slot) {
  std::uint32_t* link = &to.first_member;
  while (*link != kNil) link = &members_[*link].next;
  *link = from.first_member;
  to.members += from.members;
  for (std::uint32_t i = from.first_member; i != kNil; i = members_[i].next) {
    const RequestKey request = members_[i].request;
    if (requests_[request.slot].generation != request.generation) continue;
    attempt_at(request.slot, to.node) = {to_slot + 1, static_cast<std::uint32_t>(to.id),
                                         request.generation};
  }
  from.first_member = kNil;
  from.members = 0;
}

const char* ProtocolMonitor::explain_revoked(const Event& event) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, kEnqueue | kRevoke, wrong);
  if (command == nullptr) return wrong;
  Command& batch = command->kind == ActionKind::revoke ? commands_[command->target_slot] : *command;
  if (batch.started && strict()) return "a batch that had started was revoked";
  if (command->kind == ActionKind::enqueue) {
    if (!command->revoke_asked) return "nobody asked to revoke that batch";
    settle(*command, CommandState::settled);
    return nullptr;
  }
  if (!command->request.valid()) return "a whole revoke is answered by its enqueue";
  if (!remove_member(batch, command->request) && strict()) return kBadMember;
  settle(*command, CommandState::settled);
  return nullptr;
}

bool ProtocolMonitor::remove_member(Command& command, RequestKey request) {
  std::uint32_t* link = &command.first_member;
  while (*link != kNil && members_[*link].request != request) link = &members_[*link].next;
  if (*link == kNil) return false;
  const std::uint32_t gone = *link;
  *link = members_[gone].next;
  members_[gone].next = free_member_;
  free_member_ = gone;
  --command.members;
  if (requests_[request.slot].generation == request.generation) {
    attempt_at(request.slot, command.node) = {};
  }
  return true;
}

const char* ProtocolMonitor::explain_too_late(const Event& event) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, kDependent, wrong);
  if (command != nullptr) settle(*command, CommandState::settled);
  return wrong;
}

const char* ProtocolMonitor::explain_refused(const Event& event) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, kEnqueue, wrong);
  if (command == nullptr) return wrong;
  if (command->started && event.kind == EventKind::batch_refused && strict()) {
    return "a batch that had started was refused";
  }
  settle(*command, CommandState::settled);
  return nullptr;
}

// ---- transfers and handles ---------------------------------------------------------------------

DF_INLINE const char* ProtocolMonitor::explain_transfer(const Event& event) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, kTransfer, wrong);
  if (command == nullptr) return wrong;
  if (event.kind == EventKind::transfer_cancelled && !command->stop_asked) {
    const Command* fed = command->target_id != 0 ? &commands_[command->target_slot] : nullptr;
    const bool feeds =
        fed != nullptr && fed->id == command->target_id && open(*fed) && !fed->revoke_asked;
    if (fed == nullptr || feeds) return "nobody asked to cancel that transfer";
  }
  if (event.kind == EventKind::transfer_failed && event.reason == Reason::sender_lost) {
    Handle& handle = handles_[command->handle.slot];
    if (handle.generation == command->handle.generation && handle.state == HandleState::held) {
      handle.state = HandleState::doubted;
    }
  }
  settle(*command, event.kind == EventKind::transfer_finished ? CommandState::finished
                                                              : CommandState::settled);
  return nullptr;
}

const char* ProtocolMonitor::explain_handle_lost(const Event& event) {
  if (known(event.instance) == nullptr) return kNoIncarnation;
  const HandleKey key = event.handle;
  if (!key.valid() || key.slot >= handles_.size() ||
      key.generation > handles_[key.slot].generation) {
    return "nobody named that handle";
  }
  Handle& handle = handles_[key.slot];
  if (handle.generation != key.generation || handle.state == HandleState::ended) return nullptr;
  if (over(event.instance)) return nullptr;
  if (handle.state == HandleState::named) return "that handle was lost before there was one";
  if (handle.holder != event.instance) return "another instance holds that handle";
  handle.state = HandleState::ended;
  return nullptr;
}

DF_INLINE const char* ProtocolMonitor::explain_released(const Event& event) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, only(ActionKind::release), wrong);
  if (command == nullptr) return wrong;
  Handle& handle = handles_[command->handle.slot];
  if (handle.generation == command->handle.generation) handle.state = HandleState::ended;
  settle(*command, CommandState::settled);
  return nullptr;
}

// ---- instances ---------------------------------------------------------------------------------

const char* ProtocolMonitor::explain_ready(const Event& event) {
  if (event.command.valid()) return explain_life(event, ActionKind::load);
  const InstanceKey key = event.instance;
  if (key.id == kController || key.id.index() >= instances_.size() || key.incarnation == 0) {
    return kNoIncarnation;
  }
  Instance& instance = instances_[key.id.index()];
  if (key.incarnation <= instance.incarnation) return nullptr;
  // The initial fleet is ready by itself, and whoever was lost returns as somebody new.
  if (!instance.returns || key.incarnation != instance.incarnation + 1) {
    return "nobody asked for that incarnation";
  }
  if (instance.ended != instance.incarnation) return "the incarnation before it is not known lost";
  instance.incarnation = key.incarnation;
  instance.phase = Phase::ready;
  return nullptr;
}

const char* ProtocolMonitor::explain_life(const Event& event, ActionKind kind) {
  const char* wrong = nullptr;
  Command* command = answered(event, event.command, only(kind), wrong);
  if (command == nullptr) return wrong;
  Instance& instance = instances_[event.instance.id.index()];
  settle(*command, CommandState::settled);
  switch (event.kind) {
    case EventKind::instance_ready:
      if (instance.phase == Phase::loading) instance.phase = Phase::ready;
      break;
    case EventKind::instance_drained:
      instance.drain = {};
      break;
    case EventKind::start_failed:
      end_incarnation(instance);
      break;
    case EventKind::instance_stopped:
      end_incarnation(instance);
      instance.returns = false;
      break;
    default:  // provisioned, unloaded, load failed
      if (instance.phase != Phase::stopping) instance.phase = Phase::empty;
  }
  return nullptr;
}

const char* ProtocolMonitor::explain_lost(const Event& event) {
  Instance* instance = known(event.instance);
  if (instance == nullptr || event.instance.id == kController) return kNoIncarnation;
  if (over(event.instance)) return nullptr;
  if (event.instance.incarnation == instance->incarnation) {
    end_incarnation(*instance);
    instance->returns = true;
  }
  return nullptr;
}

const char* ProtocolMonitor::explain_inventory(const Event& event) {
  if (known(event.instance) == nullptr || event.instance.id == kController) return kNoIncarnation;
  if (event.inventory == nullptr) return "the inventory is missing";
  const Inventory& inventory = *event.inventory;
  for (const auto keys : {inventory.run_queue, inventory.transfers}) {
    for (const CommandKey key : keys) {
      if (!key.valid() || key.id > last_command_) return "no such command was ever issued";
    }
  }
  for (const HandleKey key : inventory.handles) {
    if (key.slot >= handles_.size() || key.generation > handles_[key.slot].generation) {
      return "nobody named that handle";
    }
  }
  if (over(event.instance)) return nullptr;
  settle_missing(event.instance, inventory);
  for (Handle& handle : handles_) {
    if (handle.holder == event.instance && handle.state != HandleState::named) {
      handle.state = HandleState::ended;
    }
  }
  for (const HandleKey key : inventory.handles) {  // held, so it may have to be released (again)
    Handle& handle = handles_[key.slot];
    if (handle.generation != key.generation) continue;
    handle.state = HandleState::held;
    handle.holder = event.instance;
  }
  return nullptr;
}

// An open enqueue missing from an inventory counts as refused, and what it lists no longer is
// released. A missing transfer is asked for again.
void ProtocolMonitor::settle_missing(InstanceKey instance, const Inventory& inventory) {
  for (Command& command : commands_) {
    if (command.instance != instance || command.state != CommandState::open) continue;
    if (command.kind == ActionKind::enqueue) {
      const auto same = [&](CommandKey key) { return key.id == command.id; };
      const auto& queue = inventory.run_queue;
      if (std::none_of(queue.begin(), queue.end(), same)) {
        settle(command, CommandState::settled);
      } else if (inventory.first_is_running && same(queue.front())) {
        command.started = true;
      }
    } else if (command.kind == ActionKind::release) {
      const auto& held = inventory.handles;
      const bool there = std::find(held.begin(), held.end(), command.handle) != held.end();
      if (!there) settle(command, CommandState::settled);
    }
  }
}

// ---- controller --------------------------------------------------------------------------------

const char* ProtocolMonitor::explain_restarted(const Event& event) {
  const std::uint32_t epoch = event.steps_done;
  if (epoch_ == 0 && epoch != 1) return "the first controller has epoch 1";
  if (epoch <= epoch_) return "a controller's epoch is higher than that of all before it";
  epoch_ = epoch;
  return nullptr;
}

const char* ProtocolMonitor::explain_timer(const Event&) {
  return now_ >= earliest_timer_ ? nullptr : "no timer was armed for this instant or before";
}

}  // namespace disagfusion::scheduler
