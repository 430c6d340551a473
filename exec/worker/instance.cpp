#include "exec/worker/instance.hpp"

#include <algorithm>
#include <boost/asio/dispatch.hpp>

#include "base/check.hpp"

namespace disagfusion::exec {

using scheduler::ActionKind;
using scheduler::CommandKey;
using scheduler::EventKind;
using scheduler::HandleKey;
using scheduler::MemberOutcome;
using scheduler::Reason;
using scheduler::RunQueue;

namespace {

/// The command as the run queue reads it.
const scheduler::Action& put_back(const Command& command, scheduler::ActionBuffer& buffer) {
  buffer.clear();
  scheduler::Action action = command.action;
  action.first_member = 0;
  action.members = static_cast<std::uint32_t>(command.members.size());
  for (const CommandMember& member : command.members) {
    scheduler::BatchMember keys = member.keys;
    keys.first_input = static_cast<std::uint32_t>(buffer.inputs.size());
    keys.inputs = static_cast<std::uint32_t>(member.inputs.size());
    buffer.members.push_back(keys);
    buffer.inputs.insert(buffer.inputs.end(), member.inputs.begin(), member.inputs.end());
  }
  buffer.actions.push_back(action);
  return buffer.actions.front();
}

bool all_out_of_memory(const std::vector<MemberOutcome>& members) {
  return !members.empty() && std::all_of(members.begin(), members.end(), [](const auto& m) {
    return m.kind == MemberOutcome::Kind::failed && m.reason == Reason::out_of_memory;
  });
}

}  // namespace

Instance::Instance(boost::asio::any_io_executor executor, const scheduler::Setup& setup,
                   const std::vector<StageIdentity>& stages, scheduler::InstanceKey key,
                   std::unique_ptr<StageBackend> backend, Puller& puller, HandleStore& handles,
                   Tell tell)
    : executor_(std::move(executor)),
      setup_(setup),
      stages_(stages),
      key_(key),
      backend_(std::move(backend)),
      puller_(puller),
      handles_(handles),
      tell_(std::move(tell)) {
  queue_.unhost();
}

OwnedEvent Instance::event(EventKind kind, CommandKey command) const {
  OwnedEvent event(kind);
  event.event.instance = key_;
  event.event.command = command;
  return event;
}

void Instance::tell(EventKind kind, CommandKey command) { tell_(event(kind, command)); }

void Instance::take(Command command) {
  switch (command.action.kind) {
    case ActionKind::enqueue:
      enqueue(command);
      break;
    case ActionKind::extend:
      extend(command);
      break;
    case ActionKind::revoke:
      revoke(command);
      break;
    case ActionKind::preempt:
      preempt(command);
      break;
    case ActionKind::transfer:
      transfer(command);
      break;
    case ActionKind::cancel_transfer:
      cancel_transfer(command);
      break;
    case ActionKind::release:
      release(command);
      break;
    case ActionKind::load:
      load(command.action.pool, command.action.command);
      break;
    case ActionKind::unload:
      unload(command);
      break;
    case ActionKind::drain:
      drain(command);
      break;
    case ActionKind::stop:
      stop(command);
      break;
    case ActionKind::output_sent:
      queue_.output_sent(command.action.target);
      start_and_tell();
      break;
    case ActionKind::undrain:
      queue_.set_draining(false);
      drain_ = {};
      start_and_tell();
      break;
    default:
      break;  // nothing that an instance carries out
  }
}

// ---- the run queue -----------------------------------------------------------------------------

void Instance::enqueue(const Command& command) {
  const CommandKey key = command.action.command;
  if (!queue_.enqueue(put_back(command, buffer_), buffer_)) {
    OwnedEvent refused = event(EventKind::batch_refused, key);
    refused.event.reason = Reason::wrong_role;
    tell_(std::move(refused));
    return;
  }
  batches_[key.id].members = command.members;
  start_and_tell();
}

void Instance::extend(const Command& command) {
  const scheduler::Action& action = command.action;
  const auto batch = batches_.find(action.target.id);
  if (batch == batches_.end() || !queue_.extend(put_back(command, buffer_), buffer_)) {
    tell(EventKind::too_late, action.command);
    return;
  }
  std::vector<CommandMember>& members = batch->second.members;
  members.insert(members.end(), command.members.begin(), command.members.end());
  tell(EventKind::batch_extended, action.command);
}

void Instance::revoke(const Command& command) {
  const scheduler::Action& action = command.action;
  const RunQueue::Revoked revoked = queue_.revoke(action.target, action.request);
  if (revoked == RunQueue::Revoked::too_late) {
    tell(EventKind::too_late, action.command);
    return;
  }
  // A revoked member is answered by the revoke, a whole batch by its enqueue.
  OwnedEvent answer =
      event(EventKind::batch_revoked, action.request.valid() ? action.command : action.target);
  if (action.request.valid()) {
    MemberOutcome member;
    member.request = action.request;
    member.kind = MemberOutcome::Kind::dropped;
    answer.members.push_back(member);
  }
  if (revoked == RunQueue::Revoked::all) forget(action.target);
  tell_(std::move(answer));
  start_and_tell();
}

void Instance::preempt(const Command& command) {
  const scheduler::Action& action = command.action;
  const RunQueue::Entry* running = queue_.running();
  if (running == nullptr || running->command != action.target) {
    tell(EventKind::too_late, action.command);
    return;
  }
  bool keep = false;
  for (const CommandMember& member : command.members) {
    if (!member.keys.state.valid()) continue;
    keep_states_[member.keys.request] = member.keys.state;
    keep = true;
  }
  backend_->preempt(action.target.id, keep);
}

void Instance::start_and_tell() {
  const CommandKey started = start_next();
  if (started.valid()) tell(EventKind::batch_started, started);
  answer_drain();
}

CommandKey Instance::start_next() {
  if (queue_.next_to_start() == nullptr) return {};
  const RunQueue::Entry& entry = queue_.start();
  const CommandKey key = entry.command;
  keep_states_.clear();
  BatchCallbacks callbacks;
  callbacks.done = [self = weak_from_this(), executor = executor_,
                    id = key.id](BatchResult result) {
    boost::asio::dispatch(executor, [self, id, result = std::move(result)]() mutable {
      if (const auto instance = self.lock()) instance->computed(id, std::move(result));
    });
  };
  backend_->submit(job_of(entry), std::move(callbacks));
  return key;
}

BatchJob Instance::job_of(const RunQueue::Entry& entry) const {
  const Batch& batch = batches_.at(entry.command.id);
  BatchJob job;
  job.id = entry.command.id;
  job.weights = entry.weights;
  job.node = entry.node;
  job.first_step = entry.first_step;
  job.last_step = entry.last_step;
  for (const scheduler::BatchMember& wanted : entry.members) {
    const auto member =
        std::find_if(batch.members.begin(), batch.members.end(),
                     [&](const CommandMember& m) { return m.keys.request == wanted.request; });
    DF_CHECK(member != batch.members.end());
    job.members.push_back(job_of(*member, batch));
  }
  return job;
}

MemberJob Instance::job_of(const CommandMember& member, const Batch& batch) const {
  MemberJob job;
  job.request = member.body;
  job.number = member.keys.request.generation;
  for (const scheduler::BatchInput& input : member.inputs) {
    Buffer bytes;
    if (const auto arrived = batch.arrived.find(input.handle); arrived != batch.arrived.end()) {
      bytes = arrived->second;
    } else if (const HandleStore::Held* held = handles_.find(input.handle)) {
      bytes = held->bytes;
    }
    if (input.handle == member.keys.state) {
      job.state = std::move(bytes);
    } else {
      job.inputs.push_back(std::move(bytes));
    }
  }
  return job;
}

void Instance::computed(std::uint64_t id, BatchResult result) {
  const RunQueue::Entry* entry = queue_.running();
  DF_CHECK(entry != nullptr && entry->command.id == id);
  DF_CHECK_EQ(entry->members.size(), result.members.size());
  const CommandKey key = entry->command;
  OwnedEvent ended =
      event(result.preempted ? EventKind::batch_preempted : EventKind::batch_finished, key);
  bool outputs = false;
  for (std::size_t i = 0; i < result.members.size(); ++i) {
    if (!result.members[i].message.empty()) ended.note = result.members[i].message;
    ended.members.push_back(keep(entry->members[i], std::move(result.members[i]), key));
    outputs = outputs || ended.members.back().kind == MemberOutcome::Kind::output;
  }
  ended.event.steps_done = result.steps_done;
  ended.event.compute = result.compute;
  if (all_out_of_memory(ended.members)) {
    ended.event.kind = EventKind::out_of_memory;
    ended.members.clear();
  }
  if (outputs) {
    queue_.finish();
  } else {
    queue_.abandon();
  }
  forget(key);
  ended.event.started = start_next();
  tell_(std::move(ended));
  answer_drain();
}

MemberOutcome Instance::keep(const scheduler::BatchMember& member, MemberResult result,
                             CommandKey enqueue) {
  MemberOutcome outcome;
  outcome.request = member.request;
  outcome.reason = result.reason;
  outcome.bytes = result.stands_for > 0 ? result.stands_for : result.bytes.size();
  switch (result.kind) {
    case MemberResult::Kind::failed:
      outcome.kind = MemberOutcome::Kind::failed;
      break;
    case MemberResult::Kind::output:
      outcome.kind = MemberOutcome::Kind::output;
      outcome.handle = member.output;
      break;
    case MemberResult::Kind::state: {
      const auto state = keep_states_.find(member.request);
      outcome.kind =
          state == keep_states_.end() ? MemberOutcome::Kind::dropped : MemberOutcome::Kind::state;
      if (state != keep_states_.end()) outcome.handle = state->second;
      enqueue = {};
      break;
    }
  }
  if (outcome.handle.valid()) handles_.put(outcome.handle, std::move(result.bytes), enqueue);
  return outcome;
}

// ---- transfers and handles ---------------------------------------------------------------------

void Instance::transfer(const Command& command) {
  const scheduler::Action& action = command.action;
  transfers_[action.command.id] = action.command;
  PullSource source{action.from, action.handle, command.source_port, action.bytes};
  puller_.pull(action.command.id, source,
               [self = weak_from_this(), action](std::optional<Buffer> bytes) {
                 if (const auto instance = self.lock()) {
                   instance->transfer_ended(action, std::move(bytes));
                 }
               });
}

void Instance::transfer_ended(const scheduler::Action& action, std::optional<Buffer> bytes) {
  transfers_.erase(action.command.id);
  OwnedEvent ended =
      event(bytes ? EventKind::transfer_finished : EventKind::transfer_failed, action.command);
  ended.event.handle = action.handle;
  if (bytes) {
    const auto batch = batches_.find(action.target.id);
    if (batch != batches_.end()) batch->second.arrived[action.handle] = std::move(*bytes);
    queue_.input_arrived(action.target, action.handle);
    ended.event.started = start_next();
  } else {
    ended.event.reason = Reason::sender_lost;
  }
  tell_(std::move(ended));
}

void Instance::cancel_transfer(const Command& command) {
  const scheduler::Action& action = command.action;
  if (!puller_.cancel(action.target.id)) {
    tell(EventKind::too_late, action.command);
    return;
  }
  transfers_.erase(action.target.id);
  tell(EventKind::transfer_cancelled, action.target);
}

void Instance::release(const Command& command) {
  handles_.erase(command.action.handle);
  OwnedEvent released = event(EventKind::handle_released, command.action.command);
  released.event.handle = command.action.handle;
  tell_(std::move(released));
}

void Instance::served(HandleKey handle) {
  if (!queue_.counts_outputs()) return;
  const HandleStore::Held* held = handles_.find(handle);
  if (held == nullptr || !held->enqueue.valid()) return;
  queue_.output_transfer_ended(held->enqueue);
  start_and_tell();
}

// ---- the life of the instance ------------------------------------------------------------------

void Instance::load(PoolId role, CommandKey command) {
  DF_CHECK(role.index() < setup_.roles.size());
  LoadRequest request;
  for (const WeightsId weights : setup_.roles[role.index()].stages) {
    request.stages.push_back(stages_[weights.index()]);
  }
  request.dtype = setup_.roles[role.index()].dtype;
  backend_->load(std::move(request), [self = weak_from_this(), executor = executor_, role,
                                      command](LoadResult result) {
    boost::asio::dispatch(executor, [self, role, command, result = std::move(result)] {
      if (const auto instance = self.lock()) instance->loaded(role, command, result);
    });
  });
}

void Instance::loaded(PoolId role, CommandKey command, const LoadResult& result) {
  if (result.reason != Reason::none) {
    OwnedEvent failed = event(EventKind::load_failed, command);
    failed.event.reason = result.reason;
    failed.note = result.message;
    tell_(std::move(failed));
    return;
  }
  host(role, command);
}

void Instance::host(PoolId role, CommandKey command) {
  const scheduler::Role& hosted = setup_.roles[role.index()];
  loaded_ = hosted.stages;
  queue_.host(hosted.stages, hosted.output_slots);
  queue_.set_draining(false);
  tell(EventKind::instance_ready, command);
}

void Instance::unload(const Command& command) {
  queue_.unhost();
  loaded_.clear();
  backend_->unload([self = weak_from_this(), executor = executor_, key = command.action.command] {
    boost::asio::dispatch(executor, [self, key] {
      if (const auto instance = self.lock()) instance->tell(EventKind::instance_unloaded, key);
    });
  });
}

void Instance::drain(const Command& command) {
  queue_.set_draining(true);
  drain_ = command.action.command;
  answer_drain();
}

void Instance::answer_drain() {
  if (!drain_.valid() || !queue_.drained()) return;
  tell(EventKind::instance_drained, std::exchange(drain_, {}));
}

void Instance::stop(const Command& command) {
  stopped_ = true;
  tell(EventKind::instance_stopped, command.action.command);
}

OwnedInventory Instance::inventory() const {
  OwnedInventory inventory;
  inventory.weights = loaded_;
  if (const RunQueue::Entry* running = queue_.running()) {
    inventory.run_queue.push_back(running->command);
    inventory.first_is_running = true;
  }
  for (std::size_t i = 0; i < queue_.waiting(); ++i) {
    inventory.run_queue.push_back(queue_.waiting_at(i).command);
  }
  for (const auto& [id, key] : transfers_) inventory.transfers.push_back(key);
  inventory.handles = handles_.keys();
  return inventory;
}

}  // namespace disagfusion::exec
