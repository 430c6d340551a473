// Commands on run queues and what becomes of them: started, finished, preempted, revoked, refused.
#include <algorithm>

#include "base/check.hpp"
#include "base/inline.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Phase = StageRecord::Phase;

namespace {

void erase_value(std::vector<std::uint32_t>& values, std::uint32_t value) {
  const auto found = std::find(values.begin(), values.end(), value);
  if (found != values.end()) values.erase(found);
}

}  // namespace

// ---- starts ------------------------------------------------------------------------------------

DF_INLINE void Scheduler::State::leave_queue(Instance& in, const Batch& batch, std::uint32_t slot) {
  if (in.queue.size() == 1 && in.queue.front() == slot) {
    in.queue.clear();
  } else {
    const auto found = std::find(in.queue.begin(), in.queue.end(), slot);
    DF_CHECK(found != in.queue.end());
    in.queue.erase(found);
  }
  in.queued_work -= batch.expected;
  HostedStage& hosted = in.hosted[batch.hosted];
  --hosted.used_slots;
  if (batches_form) close_batch(slot, hosted.weights);
}

void Scheduler::State::close_batch(std::uint32_t slot, WeightsId weights) {
  erase_value(by_weights[weights.index()].open_batches, slot);
}

/// What waits in its queue is no longer there.
void Scheduler::State::take_from_queue(Instance& in, std::uint32_t slot) {
  leave_queue(in, batches[slot], slot);
}

void Scheduler::State::start(CommandKey key) {
  const CommandRecord* command = find(key, ActionKind::enqueue);
  if (command == nullptr || batches[command->batch].phase != Batch::Phase::queued) return;
  start_batch(command->batch);
}

/// An enqueue began to compute: its input credit returns.
void Scheduler::State::start_batch(std::uint32_t slot) {
  Batch& batch = batches[slot];
  Instance& in = instances[batch.instance.index()];
  leave_queue(in, batch, slot);
  batch.phase = Batch::Phase::running;
  batch.revoking = false;
  batch.started = now;
  in.running = slot;
  in.running_until = now + batch.expected;
  for (BatchMemberRecord& member : batch.members) {
    if (member.dead) readmit(slot, member);
    if (!member.dead) stage(member.request.slot, batch.node).phase = Phase::running;
  }
  // Its credit lets another batch in; without credits there is no room while it computes.
  if (limits[in.role.index()].input_slots > 0) {
    freed(in);
  } else {
    touch(in);
  }
  if (batch.live == 0 && batch.last_step - batch.first_step > 1) preempt(slot);
}

DF_INLINE void Scheduler::State::compute_ended(Instance& in) {
  in.running = kNoSlot;
  in.running_until = now;
  freed(in);
}

void Scheduler::State::batch_started(const Event& event) {
  Instance* in = present(event);
  if (in == nullptr) return;
  const CommandRecord* command = find(event.command, ActionKind::enqueue);
  if (command == nullptr || batches[command->batch].phase != Batch::Phase::queued) {
    stale();
    return;
  }
  start_batch(command->batch);
}

// ---- ends --------------------------------------------------------------------------------------

void Scheduler::State::settle_edits(Batch& batch) {
  for (const std::uint32_t slot : batch.edits) free_command(slot);
  batch.edits.clear();
}

void Scheduler::State::batch_finished(const Event& event) {
  Instance* in = present(event);
  if (in == nullptr) return;
  CommandRecord* command = find(event.command, ActionKind::enqueue);
  if (command == nullptr) {
    stale();
    return;
  }
  const std::uint32_t slot = command->batch;
  Batch& batch = batches[slot];
  if (batch.phase == Batch::Phase::queued) start_batch(slot);  // its start was never told
  settle(*command);
  compute_ended(*in);
  const RoleLimits& limit = limits[in->role.index()];
  if (costs.learns()) {
    costs.observe(batch.node, batch.shape, limit.cost_class,
                  static_cast<std::uint32_t>(batch.members.size()), batch.first_step,
                  batch.last_step, event.compute);
  }
  if (event.started.valid()) start(event.started);

  const bool limited = limit.output_slots != kUnlimited;
  affected.clear();
  batch.unsent = 0;
  // By place: no new batch is made here, but a member may end its request.
  for (std::size_t i = 0; i < batch.members.size(); ++i) {
    const BatchMemberRecord member = batch.members[i];
    finish_member(batch, slot, member, outcome_of(event, member.request), limited);
  }
  if (limited) {
    settle_edits(batch);
    batch.phase = Batch::Phase::sending;
    ++in->hosted[batch.hosted].outputs;
    if (batch.unsent == 0) sending_done(slot);
  } else {
    drop_batch(slot);
  }
  make_room(in->machine);
  if (!affected.empty()) retry_all(std::vector<std::uint32_t>(affected));
}

DF_INLINE void Scheduler::State::finish_member(Batch& batch, std::uint32_t slot,
                                               BatchMemberRecord member,
                                               const MemberOutcome* outcome, bool limited) {
  if (member.state.valid() && find(member.state) != nullptr) {
    free_handle(member.state);  // the preempt came too late
  }
  HandleRecord* handle = member.output.valid() ? find(member.output) : nullptr;
  const bool good = outcome != nullptr && outcome->kind == MemberOutcome::Kind::output;
  if (handle != nullptr && good) {
    hold(*handle, outcome->bytes);
  } else if (handle != nullptr) {
    free_handle(member.output);
    handle = nullptr;
  }
  if ((member.dead && !readmit(slot, member)) || !alive(member.request)) {
    if (handle != nullptr) release_when_free(member.output);
    return;
  }
  const std::uint32_t request = member.request.slot;
  StageRecord& record = stage(request, batch.node);
  if (!good) {
    record.wait_again();
    affected.push_back(request);
    return;
  }
  if (handle != nullptr && limited) handle->batch = slot;
  if (facts[batch.node.index()].to_controller && !requests[request].first_output.valid()) {
    requests[request].first_output = member.output;
  }
  complete_stage(request, record, batch.node);
  if (!limited) return;
  handle = find(member.output);
  if (handle != nullptr && handle->unsent > 0 && handle->batch == slot) {
    ++batch.unsent;
  } else if (handle != nullptr && handle->batch == slot) {
    handle->batch = kNoSlot;
  }
}

void Scheduler::State::batch_preempted(const Event& event) {
  Instance* in = present(event);
  if (in == nullptr) return;
  CommandRecord* command = find(event.command, ActionKind::enqueue);
  if (command == nullptr) {
    stale();
    return;
  }
  ++counters.preemptions;
  const std::uint32_t slot = command->batch;
  if (batches[slot].phase == Batch::Phase::queued) start(event.command);
  settle(*command);
  compute_ended(*in);
  if (event.started.valid()) start(event.started);
  Batch& batch = batches[slot];
  for (BatchMemberRecord& member : batch.members) {
    readmit(slot, member);
    if (member.output.valid() && find(member.output) != nullptr) free_handle(member.output);
    const MemberOutcome* outcome = outcome_of(event, member.request);
    const bool kept = outcome != nullptr && outcome->kind == MemberOutcome::Kind::state;
    if (find(member.state) != nullptr) {
      if (kept) {
        hold(*find(member.state), outcome->bytes);
      } else {
        free_handle(member.state);
      }
    }
    const bool wanted = !member.dead && alive(member.request);
    if (!wanted) {
      if (kept) release_when_free(member.state);
      continue;
    }
    StageRecord& record = stage(member.request.slot, batch.node);
    record.wait_again();
    if (kept) {
      if (record.resume.valid()) release_when_free(record.resume);
      record.resume = member.state;
      record.next_step = event.steps_done;
    }
    make_ready(member.request.slot, record, batch.node);
  }
  drop_batch(slot);
}

void Scheduler::State::batch_revoked(const Event& event) {
  Instance* in = present(event);
  if (in == nullptr) return;
  if (CommandRecord* partial = find(event.command, ActionKind::revoke)) {
    const std::uint32_t slot = partial->batch;
    Batch& batch = batches[slot];
    erase_value(batch.edits, partial->key().slot);
    const RequestKey gone = partial->request;
    settle(*partial);
    const auto member =
        std::find_if(batch.members.begin(), batch.members.end(),
                     [&](const BatchMemberRecord& m) { return m.request == gone && m.dead; });
    if (member != batch.members.end()) {
      if (find(member->output) != nullptr) free_handle(member->output);
      const BatchMemberRecord left = *member;
      batch.members.erase(member);
      has_left(slot, left);
    }
    return;
  }
  CommandRecord* command = find(event.command, ActionKind::enqueue);
  if (command == nullptr || batches[command->batch].phase != Batch::Phase::queued) {
    stale();
    return;
  }
  const std::uint32_t slot = command->batch;
  settle(*command);
  take_from_queue(*in, slot);
  freed(*in);
  Batch& batch = batches[slot];
  for (const BatchMemberRecord& member : batch.members) {
    if (find(member.output) != nullptr) free_handle(member.output);
    has_left(slot, member);
    if (member.dead || !alive(member.request)) continue;
    StageRecord& record = stage(member.request.slot, batch.node);
    record.wait_again();
    record.keep_ready = true;
    // Its inputs are still with their holders; one that was lost meanwhile is made again.
    restore(member.request.slot);
  }
  drop_batch(slot);
}

/// Everything of this batch that is wanted must run again; the batch itself is over.
void Scheduler::State::fail_members(std::uint32_t slot, std::vector<std::uint32_t>& hit) {
  Batch& batch = batches[slot];
  for (BatchMemberRecord& member : batch.members) {
    if (find(member.output) != nullptr) free_handle(member.output);
    if (find(member.state) != nullptr) free_handle(member.state);
    if ((member.dead && !readmit(slot, member)) || !alive(member.request)) continue;
    StageRecord& record = stage(member.request.slot, batch.node);
    record.wait_again();
    if (std::find(hit.begin(), hit.end(), member.request.slot) == hit.end()) {
      hit.push_back(member.request.slot);
    }
  }
}

void Scheduler::State::batch_refused(const Event& event) {
  Instance* in = present(event);
  if (in == nullptr) return;
  CommandRecord* command = find(event.command, ActionKind::enqueue);
  if (command == nullptr) {
    stale();
    return;
  }
  const std::uint32_t slot = command->batch;
  settle(*command);
  if (batches[slot].phase == Batch::Phase::queued) {
    take_from_queue(*in, slot);
  } else {
    compute_ended(*in);
  }
  freed(*in);
  if (event.started.valid()) start(event.started);
  affected.clear();
  fail_members(slot, affected);
  drop_batch(slot);
  if (!affected.empty()) retry_all(std::vector<std::uint32_t>(affected));
}

bool Scheduler::State::readmit(std::uint32_t slot, BatchMemberRecord& member) {
  if (!member.dead || !alive(member.request)) return false;
  Batch& batch = batches[slot];
  StageRecord& record = stage(member.request.slot, batch.node);
  if (record.leaving != slot) return false;
  record.leaving = kNoSlot;
  DF_CHECK(record.phase == Phase::waiting);
  record.phase = batch.phase == Batch::Phase::queued ? Phase::assigned : Phase::running;
  record.batch = slot;
  record.output = member.output;
  record.open_inputs = 0;
  member.dead = false;
  ++batch.live;
  return true;
}

void Scheduler::State::has_left(std::uint32_t slot, const BatchMemberRecord& member) {
  if (!member.dead || !alive(member.request)) return;
  const std::uint16_t position = position_of(batches[slot].node);
  StageRecord& record = stage(member.request.slot, position);
  if (record.leaving != slot) return;
  record.leaving = kNoSlot;
  make_ready_if_free(member.request.slot, position);
}

// ---- edits -------------------------------------------------------------------------------------

void Scheduler::State::kill_member(std::uint32_t slot, RequestKey request) {
  Batch& batch = batches[slot];
  const auto member =
      std::find_if(batch.members.begin(), batch.members.end(),
                   [&](const BatchMemberRecord& m) { return m.request == request && !m.dead; });
  DF_CHECK(member != batch.members.end());
  member->dead = true;
  --batch.live;
  StageRecord& record = stage(request.slot, batch.node);
  record.output = {};
  record.batch = kNoSlot;
  if (batch.phase == Batch::Phase::running) {
    if (batch.live == 0 && batch.last_step - batch.first_step > 1) preempt(slot);
    return;
  }
  for (const std::uint32_t transfer_slot : batch.transfers) {
    CommandRecord& moving = commands[transfer_slot];
    if (moving.request != request || moving.cancelled_by != kNoSlot) continue;
    const CommandKey target = moving.key();
    const InstanceKey receiver = moving.addressee;
    CommandRecord& command = new_command(ActionKind::cancel_transfer, receiver);
    command.aim_at(target);
    commands[transfer_slot].cancelled_by = command.key().slot;
    Action& action = emit(ActionKind::cancel_transfer);
    action.instance = receiver;
    action.command = command.key();
    action.target = target;
  }
  if (batch.revoking) return;
  if (batch.live == 0) {
    revoke(slot);
    return;
  }
  const Instance& in = instances[batch.instance.index()];
  CommandRecord& command = new_command(ActionKind::revoke, in.key);
  command.batch = slot;
  command.aim_at(batch.command);
  command.request = request;
  batch.edits.push_back(command.key().slot);
  Action& action = emit(ActionKind::revoke);
  action.instance = in.key;
  action.command = command.key();
  action.target = batch.command;
  action.request = request;
}

void Scheduler::State::revoke(std::uint32_t slot) {
  Batch& batch = batches[slot];
  if (batch.revoking) return;
  batch.revoking = true;
  const Instance& in = instances[batch.instance.index()];
  CommandRecord& command = new_command(ActionKind::revoke, in.key);
  command.batch = slot;
  command.aim_at(batch.command);
  batch.edits.push_back(command.key().slot);
  Action& action = emit(ActionKind::revoke);
  action.instance = in.key;
  action.command = command.key();
  action.target = batch.command;
}

void Scheduler::State::preempt(std::uint32_t slot) {
  Batch& batch = batches[slot];
  if (batch.preempting) return;
  batch.preempting = true;
  inputs_stay = true;  // their states
  Instance& in = instances[batch.instance.index()];
  CommandRecord& command = new_command(ActionKind::preempt, in.key);
  command.batch = slot;
  command.aim_at(batch.command);
  const CommandKey key = command.key();
  batch.edits.push_back(key.slot);
  Action action;
  action.kind = ActionKind::preempt;
  action.instance = in.key;
  action.command = key;
  action.target = batch.command;
  action.first_member = static_cast<std::uint32_t>(out->members.size());
  action.members = static_cast<std::uint32_t>(batch.members.size());
  for (BatchMemberRecord& record : batch.members) {
    BatchMember member;
    member.request = record.request;
    if (!record.dead) {
      record.state = new_handle(HandleRecord::Kind::state, in, record.request, batch.node);
      find(record.state)->consumers = 1;
      member.state = record.state;
    }
    out->members.push_back(member);
  }
  out->actions.push_back(action);
}

void Scheduler::State::edit_too_late(const Event& event) {
  Instance* in = present(event);
  if (in == nullptr) return;
  if (CommandRecord* cancel = find(event.command, ActionKind::cancel_transfer)) {
    if (CommandRecord* moving = find(cancel->target(), ActionKind::transfer)) {
      moving->cancelled_by = kNoSlot;
    }
    settle(*cancel);
    return;
  }
  CommandRecord* edit = find(event.command, ActionKind::extend);
  if (edit == nullptr) edit = find(event.command, ActionKind::revoke);
  if (edit == nullptr) edit = find(event.command, ActionKind::preempt);
  if (edit == nullptr) {
    stale();
    return;
  }
  const std::uint32_t slot = edit->batch;
  const CommandRecord ended = *edit;
  Batch& batch = batches[slot];
  erase_value(batch.edits, ended.key().slot);
  settle(*edit);
  if (ended.kind == ActionKind::revoke) {
    batch.revoking = batch.revoking && ended.request.valid();
    for (BatchMemberRecord& member : batch.members) readmit(slot, member);
  }
  if (ended.kind == ActionKind::preempt) {
    batch.preempting = false;
    for (BatchMemberRecord& member : batch.members) {
      if (find(member.state) != nullptr) free_handle(member.state);
      member.state = {};
    }
  }
  if (ended.kind != ActionKind::extend) return;
  // The batch started without the newcomer: it waits again, and its inputs are sent again.
  const auto member =
      std::find_if(batch.members.begin(), batch.members.end(),
                   [&](const BatchMemberRecord& m) { return m.extend == ended.key().slot; });
  if (member == batch.members.end()) return;
  if (find(member->output) != nullptr) free_handle(member->output);
  const BatchMemberRecord gone = *member;
  batch.members.erase(member);
  has_left(slot, gone);
  if (gone.dead || !alive(gone.request)) return;
  --batch.live;
  StageRecord& record = stage(gone.request.slot, batch.node);
  record.wait_again();
  restore(gone.request.slot);
}

void Scheduler::State::batch_extended(const Event& event) {
  if (present(event) == nullptr) return;
  CommandRecord* command = find(event.command, ActionKind::extend);
  if (command == nullptr) {
    stale();
    return;
  }
  Batch& batch = batches[command->batch];
  erase_value(batch.edits, command->key().slot);
  for (BatchMemberRecord& member : batch.members) {
    if (member.extend == command->key().slot) member.extend = kNoSlot;
  }
  settle(*command);
}

}  // namespace disagfusion::scheduler
