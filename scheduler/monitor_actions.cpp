// The scheduler's side of the protocol: actions.
#include <algorithm>

#include "base/inline.hpp"
#include "scheduler/monitor.hpp"

namespace disagfusion::scheduler {
namespace {

constexpr const char* kNotOpen = "its target is not open";

}  // namespace

const char* ProtocolMonitor::note_actions(TimePoint now, const ActionBuffer& buffer) {
  if (now != now_) return "the actions belong to another instant than the event";
  for (const Action& action : buffer.actions) {
    if (const char* wrong = note(buffer, action)) {
      faulty_action_ = static_cast<std::size_t>(&action - buffer.actions.data());
      return wrong;
    }
  }
  return nullptr;
}

DF_INLINE const char* ProtocolMonitor::note(const ActionBuffer& buffer, const Action& action) {
  switch (action.kind) {
    case ActionKind::admit:
    case ActionKind::reject:
    case ActionKind::end_request:
      return note_request(action);
    case ActionKind::arm_timer:
      earliest_timer_ = std::min(earliest_timer_, action.at);
      return nullptr;
    case ActionKind::cancel_timer:
      return nullptr;
    case ActionKind::output_sent:
      return note_output_sent(action);
    case ActionKind::undrain:
      return note_undrain(action);
    default:
      return note_command(buffer, action);
  }
}

DF_INLINE const char* ProtocolMonitor::note_request(const Action& action) {
  const RequestKey key = action.request;
  if (!key.valid() || key.slot >= requests_.size() ||
      requests_[key.slot].generation != key.generation) {
    return "there is no such request";
  }
  Request& request = requests_[key.slot];
  if (request.state == RequestState::ended) return "that request has ended";
  const bool fresh = request.state == RequestState::arrived;
  if (!fresh && action.kind != ActionKind::end_request) return "that request was admitted before";
  request.state = action.kind == ActionKind::admit ? RequestState::admitted : RequestState::ended;
  return nullptr;
}

// ---- commands ----------------------------------------------------------------------------------

DF_INLINE const char* ProtocolMonitor::note_command(const ActionBuffer& buffer,
                                                    const Action& action) {
  const CommandKey key = action.command;
  if (asked_again(action)) return nullptr;
  if (key.id <= last_command_) return "command numbers do not increase";
  if (key.epoch() != epoch_) return "the command's epoch is not this controller's";
  last_command_ = key.id;
  Command& command = commands_.at_slot(key.slot);
  if (open(command)) return "an open command holds that slot";
  if (command.first_member != kNil) free_members(command);
  command = Command{};
  command.id = key.id;
  command.kind = action.kind;
  command.instance = action.instance;
  command.target_id = action.target.id;
  command.target_slot = action.target.slot;
  if (const char* wrong = note_kind(buffer, action, command)) return wrong;
  Instance* instance = known(command.instance);
  if (instance == nullptr) return kNoIncarnation;
  if (over(*instance, command.instance)) return "that incarnation is over";
  command.state = CommandState::open;
  ++open_commands_;
  ++instance->open;
  return nullptr;
}

// After an inventory that lacks an open transfer, the same transfer is asked for again.
DF_INLINE bool ProtocolMonitor::asked_again(const Action& action) const {
  if (strict() || action.kind != ActionKind::transfer) return false;
  if (action.command.slot >= commands_.size()) return false;
  const Command& command = commands_[action.command.slot];
  return command.id == action.command.id && command.kind == action.kind && open(command) &&
         command.handle == action.handle && command.instance == action.instance;
}

DF_INLINE const char* ProtocolMonitor::note_kind(const ActionBuffer& buffer, const Action& action,
                                                 Command& command) {
  switch (action.kind) {
    case ActionKind::enqueue:
      return note_enqueue(buffer, action, command);
    case ActionKind::extend:
    case ActionKind::revoke:
    case ActionKind::preempt:
    case ActionKind::cancel_transfer:
      return note_edit(buffer, action, command);
    case ActionKind::transfer:
      command.handle = action.handle;
      return note_transfer(action);
    case ActionKind::release:
      return note_release(action, command);
    case ActionKind::provision:
      return note_provision(action);
    default:
      return note_life(action);
  }
}

// What is done to a command that is open.
const char* ProtocolMonitor::note_edit(const ActionBuffer& buffer, const Action& action,
                                       Command& command) {
  const bool of_transfer = action.kind == ActionKind::cancel_transfer;
  const auto wanted = of_transfer ? ActionKind::transfer : ActionKind::enqueue;
  if (action.target.slot >= commands_.size()) return kNotOpen;
  Command& target = commands_[action.target.slot];
  if (target.id != action.target.id || target.kind != wanted || !open(target)) return kNotOpen;
  command.instance = target.instance;
  command.request = action.request;
  ++target.dependents;
  if (action.kind == ActionKind::extend) return note_extend(buffer, action, command);
  if (action.kind == ActionKind::revoke) return note_revoke(action, target);
  if (action.kind == ActionKind::preempt) return note_preempt(buffer, action, target);
  target.stop_asked = true;
  return nullptr;
}

DF_INLINE const char* ProtocolMonitor::note_enqueue(const ActionBuffer& buffer,
                                                    const Action& action, Command& command) {
  const Instance* instance = known(action.instance);
  if (instance == nullptr || over(*instance, action.instance)) return kNoIncarnation;
  if (instance->phase != Phase::ready) return "that instance is not ready";
  if (instance->draining) return "that instance is draining";
  if (action.node.index() >= stage_of_.size()) return "there is no such stage";
  const std::size_t role = instance->role.index();
  if (hosts_[role * weights_ + action.weights.index()] == 0) {
    return "that instance does not host the stage";
  }
  if (action.members == 0) return "the batch is empty";
  if (action.members > max_batch_[role]) return "the batch is larger than the instance takes";
  if (action.first_step > action.last_step) return "the steps run backwards";
  command.node = action.node;
  return note_members(buffer, action, command, command.id);
}

const char* ProtocolMonitor::note_extend(const ActionBuffer& buffer, const Action& action,
                                         Command& command) {
  const Command& target = commands_[action.target.slot];
  if (target.revoke_asked || target.stop_asked) return "its target was told to end";
  if (action.members == 0) return "it extends by nobody";
  command.node = target.node;
  return note_members(buffer, action, command, target.id);
}

DF_INLINE const char* ProtocolMonitor::note_members(const ActionBuffer& buffer,
                                                    const Action& action, Command& command,
                                                    std::uint64_t named_by) {
  const Attempt attempt{action.command.slot + 1, static_cast<std::uint32_t>(command.id)};
  std::uint32_t last = kNil;
  for (const BatchMember& member : buffer.members_of(action)) {
    if (const char* wrong = note_member(buffer, member, command.node, attempt)) return wrong;
    if (member.output.valid()) {
      if (const char* wrong = name_handle(member.output, named_by)) return wrong;
    }
    const std::uint32_t added = new_member(member.request);
    (last == kNil ? command.first_member : members_[last].next) = added;
    last = added;
    ++command.members;
  }
  return nullptr;
}

DF_INLINE const char* ProtocolMonitor::note_member(const ActionBuffer& buffer,
                                                   const BatchMember& member, NodeId node,
                                                   Attempt attempt) {
  const RequestKey key = member.request;
  if (!key.valid() || key.slot >= requests_.size() ||
      requests_[key.slot].generation != key.generation ||
      requests_[key.slot].state != RequestState::admitted) {
    return "it names a request that is not being served";
  }
  Handle* handle = nullptr;
  if (member.state.valid()) {
    if (const char* wrong = use_handle(member.state, handle)) return wrong;
  }
  for (const BatchInput& input : buffer.inputs_of(member)) {
    if (!input.handle.valid()) continue;
    if (const char* wrong = use_handle(input.handle, handle)) return wrong;
  }
  const std::size_t end = (key.slot + std::size_t{1}) * stages_;
  if (attempts_.size() < end) attempts_.resize(std::max(end, requests_.size() * stages_));
  Attempt& present = attempt_at(key.slot, node);
  if (present.generation == key.generation && open(present)) {
    return "that request has a live attempt at the stage";
  }
  present = attempt;
  present.generation = key.generation;
  return nullptr;
}

DF_INLINE std::uint32_t ProtocolMonitor::new_member(RequestKey request) {
  if (free_member_ == kNil) {
    members_.emplace_back() = {request, kNil};
    return static_cast<std::uint32_t>(members_.size() - 1);
  }
  const std::uint32_t member = free_member_;
  free_member_ = members_[member].next;
  members_[member] = {request, kNil};
  return member;
}

const char* ProtocolMonitor::note_revoke(const Action& action, Command& target) {
  if (target.revoke_asked) return "its target was revoked before";
  if (!action.request.valid()) {
    target.revoke_asked = true;
    return nullptr;
  }
  return has_member(target, target.id, action.request) ? nullptr
                                                       : "the batch does not have that request";
}

// In the batch, or on its way there by an extend.
bool ProtocolMonitor::has_member(const Command& batch, std::uint64_t batch_id, RequestKey request) {
  std::uint32_t cursor = kNil;
  if (find_member(batch, request, cursor)) return true;
  if (request.slot >= requests_.size()) return false;
  if (requests_[request.slot].generation != request.generation) return !strict();
  if ((request.slot + std::size_t{1}) * stages_ > attempts_.size()) return false;
  const Attempt& attempt = attempt_at(request.slot, batch.node);
  return open(attempt) && commands_[attempt.slot_plus_1 - 1].target_id == batch_id;
}

const char* ProtocolMonitor::note_preempt(const ActionBuffer& buffer, const Action& action,
                                          Command& target) {
  target.stop_asked = true;
  for (const BatchMember& member : buffer.members_of(action)) {
    if (!has_member(target, target.id, member.request)) {
      return "the batch does not have that request";
    }
    if (!member.state.valid()) continue;
    if (const char* wrong = name_handle(member.state, target.id)) return wrong;
  }
  return nullptr;
}

// ---- handles -----------------------------------------------------------------------------------

DF_INLINE const char* ProtocolMonitor::name_handle(HandleKey key, std::uint64_t named_by) {
  Handle& handle = handles_.at_slot(key.slot);
  if (key.generation < handle.generation) return "that handle is of the past";
  const bool lives = handle.state == HandleState::held && !over(handle.holder);
  if (lives) {
    return key.generation == handle.generation
               ? "that handle holds something already"
               : "a handle's slot is reused, the handle is not over";
  }
  handle = {key.generation, HandleState::named, {}, named_by};
  return nullptr;
}

DF_INLINE const char* ProtocolMonitor::use_handle(HandleKey key, Handle*& handle) {
  handle = &handles_.at_slot(key.slot);
  if (handle->generation < key.generation) {
    if (handle->state == HandleState::held && !over(handle->holder)) {
      return "a handle's slot is reused, the handle is not over";
    }
    *handle = {key.generation, HandleState::held, {kController, 0}, 0};
  }
  if (handle->generation != key.generation) return "that handle is of the past";
  const bool held = handle->state == HandleState::held || handle->state == HandleState::doubted;
  if (!held) return "nobody holds that handle";
  if (over(handle->holder)) return "that handle is lost with its holder";
  return nullptr;
}

DF_INLINE const char* ProtocolMonitor::note_transfer(const Action& action) {
  Handle* handle = nullptr;
  if (const char* wrong = use_handle(action.handle, handle)) return wrong;
  const bool there = handle->holder.id == kController ? action.from.id == kController
                                                      : handle->holder == action.from;
  if (!there) return "the sender does not hold that handle";
  if (!action.target.valid()) return nullptr;
  if (action.target.slot >= commands_.size()) return kNotOpen;
  const Command& target = commands_[action.target.slot];
  const bool open_target = target.id == action.target.id && open(target);
  if (!open_target || target.kind != ActionKind::enqueue) return kNotOpen;
  return target.instance == action.instance ? nullptr : "it feeds a batch at another instance";
}

DF_INLINE const char* ProtocolMonitor::note_release(const Action& action, Command& command) {
  command.handle = action.handle;
  Handle* handle = nullptr;
  const char* wrong = use_handle(action.handle, handle);
  if (wrong != nullptr) return strict() ? wrong : nullptr;  // an inventory may list what is over
  const bool there = handle->holder.id == kController ? action.instance.id == kController
                                                      : handle->holder == action.instance;
  if (!there) return "that instance does not hold the handle";
  handle->state = HandleState::releasing;
  return nullptr;
}

const char* ProtocolMonitor::note_output_sent(const Action& action) {
  const CommandKey key = action.target;
  if (!key.valid() || key.id > last_command_ || key.slot >= commands_.size()) {
    return "no such command was ever issued";
  }
  const Command& target = commands_[key.slot];
  const bool finished =
      target.kind == ActionKind::enqueue && target.state == CommandState::finished;
  return target.id != key.id || finished ? nullptr : "that batch has not finished";
}

// ---- instances ---------------------------------------------------------------------------------

const char* ProtocolMonitor::note_provision(const Action& action) {
  if (action.instance.id == kController) return "nobody provisions the controller";
  if (action.pool.index() >= max_batch_.size()) return "there is no such role";
  Instance& instance = instances_.at_slot(action.instance.id.value);
  const bool unusable = instance.phase == Phase::empty && instance.open == 0;
  if (instance.ended != instance.incarnation && !unusable) return "that instance is not over";
  if (action.instance.incarnation <= instance.incarnation) return "that incarnation is over";
  end_incarnation(instance);
  instance.incarnation = action.instance.incarnation;
  instance.ended = instance.incarnation - 1;
  instance.phase = Phase::starting;
  instance.role = action.pool;
  instance.returns = false;
  return nullptr;
}

const char* ProtocolMonitor::note_life(const Action& action) {
  if (action.instance.id == kController) return "nobody commands the controller";
  Instance* instance = known(action.instance);
  if (instance == nullptr) return kNoIncarnation;
  if (over(action.instance)) return "that incarnation is over";
  switch (action.kind) {
    case ActionKind::load:
      if (instance->phase != Phase::empty) return "that instance is not empty";
      if (action.pool.index() >= max_batch_.size()) return "there is no such role";
      instance->phase = Phase::loading;
      instance->role = action.pool;
      instance->draining = false;
      return nullptr;
    case ActionKind::unload:
      if (instance->phase != Phase::ready) return "that instance has nothing loaded";
      instance->phase = Phase::unloading;
      return nullptr;
    case ActionKind::drain:
      if (instance->draining) return "that instance is draining already";
      instance->draining = true;
      instance->drain = action.command;
      return nullptr;
    default:
      if (instance->phase == Phase::stopping) return "that instance is stopping already";
      instance->phase = Phase::stopping;
      return nullptr;
  }
}

// Undrain takes the drain back: that command needs no answer any more.
const char* ProtocolMonitor::note_undrain(const Action& action) {
  Instance* instance = known(action.instance);
  if (instance == nullptr || over(action.instance)) return kNoIncarnation;
  if (!instance->draining) return "that instance is not draining";
  instance->draining = false;
  if (instance->drain.valid()) {
    Command& drain = commands_[instance->drain.slot];
    instance->drain = {};
    settle(drain, CommandState::settled);
  }
  return nullptr;
}

}  // namespace disagfusion::scheduler
