// Handles, transfers and output slots: what is held where, who still reads it, when it may go.
#include <algorithm>

#include "base/check.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Phase = StageRecord::Phase;

/// The handle is no more: released, lost, or never made.
void Scheduler::State::free_handle(HandleKey key) {
  HandleRecord* handle = find(key);
  DF_CHECK(handle != nullptr);
  free_handle(*handle, key.slot);
}

void Scheduler::State::free_handle(HandleRecord& handle, std::uint32_t slot) {
  Instance& holder = instances[handle.holder.id.index()];
  if (holder.key == handle.holder || handle.holder.id == kController) --holder.handles;
  if (handle.phase == HandleRecord::Phase::held) leave_memory(handle);
  handle.generation = 0;
  handles.release(slot);
  if (holder.stop_when_free) stop_if_free(holder);
}

void Scheduler::State::release_when_free(HandleRecord& handle, HandleKey key) {
  // One that is expected still: its batch decides.
  if (handle.phase != HandleRecord::Phase::held) return;
  if (handle.unsent > 0) park(key);
  if (handle.open_transfers > 0) {
    handle.doomed = true;
    return;
  }
  leave_memory(handle);
  handle.phase = HandleRecord::Phase::releasing;
  release(key, handle.holder);
}

void Scheduler::State::handle_released(const Event& event) {
  CommandRecord* command = find(event.command, ActionKind::release);
  if (command == nullptr) {
    stale();
    return;
  }
  const HandleKey key = command->handle;
  settle(*command);
  if (HandleRecord* handle = find(key)) free_handle(*handle, key.slot);
}

// ---- transfers ---------------------------------------------------------------------------------

void Scheduler::State::transfer(HandleKey key, InstanceKey to, std::uint32_t batch_slot,
                                RequestKey request) {
  HandleRecord* handle = find(key);
  DF_CHECK(handle != nullptr);
  ++handle->open_transfers;
  CommandRecord& command = new_command(ActionKind::transfer, to);
  command.handle = key;
  command.request = request;
  command.batch = batch_slot;
  command.cancelled_by = kNoSlot;
  Action& action = emit(ActionKind::transfer);
  action.command = command.key();
  action.instance = to;
  action.from = handle->holder;
  action.handle = key;
  action.request = request;
  action.bytes = handle->bytes;
  if (batch_slot == kNoSlot) return;
  Batch& batch = batches[batch_slot];
  command.aim_at(batch.command);
  action.target = batch.command;
  action.node = batch.node;
  append(batch.transfers, command.key().slot);
}

void Scheduler::State::transfer_ended(const Event& event) {
  CommandRecord* found = find(event.command, ActionKind::transfer);
  if (found == nullptr) {
    stale();
    return;
  }
  const CommandRecord command = *found;
  if (command.cancelled_by != kNoSlot) free_command(command.cancelled_by);
  settle(*found);
  const bool finished = event.kind == EventKind::transfer_finished;
  const bool for_batch = command.batch != kNoSlot;
  Batch* batch = nullptr;
  if (for_batch && batches.live(command.batch) &&
      batches[command.batch].command == command.target()) {
    batch = &batches[command.batch];
    auto& open = batch->transfers;
    open.erase(std::remove(open.begin(), open.end(), command.key().slot), open.end());
  }
  if (HandleRecord* handle = find(command.handle)) {
    --handle->open_transfers;
    if (handle->doomed && handle->open_transfers == 0) release_when_free(command.handle);
  }
  const bool wanted = alive(command.request);
  if (finished && batch != nullptr && wanted) {
    note_landed(*batch, command.batch, command);
  } else if (finished && !for_batch && wanted) {
    note_sent(command.handle);
    if (const HandleRecord* handle = find(command.handle)) {
      stage(command.request.slot, position_of(handle->node)).delivered = true;
    }
    consume(command.handle);
    --requests[command.request.slot].egress_left;
    complete_if_all_done(command.request.slot);
  }
  if (event.started.valid()) start(event.started);
  if (finished || !wanted || event.kind == EventKind::transfer_cancelled) return;
  // Failed: what the batch waited for comes another way, or the stage runs again.
  const std::uint32_t request = command.request.slot;
  if (batch != nullptr) {
    const std::uint16_t position = position_of(batch->node);
    if (stage(request, position).batch != command.batch) return;
    withdraw(request, position);
    stage(request, position).phase = Phase::waiting;
  }
  if (event.reason == Reason::sender_lost) {
    if (const HandleRecord* handle = find(command.handle)) {
      forget_handle(command.handle);
      if (handle->open_transfers == 0) free_handle(command.handle);
    }
  } else if (!for_batch && find(command.handle) != nullptr) {
    if (charge_retry(request)) {
      transfer(command.handle, {kController, 0}, kNoSlot, command.request);
    }
    return;
  }
  if (charge_retry(request)) restore(request);
}

void Scheduler::State::note_landed(Batch& batch, std::uint32_t batch_slot,
                                   const CommandRecord& command) {
  const std::uint32_t request = command.request.slot;
  StageRecord& record = stage(request, batch.node);
  if (record.batch != batch_slot) return;
  DF_CHECK(record.open_inputs > 0);
  --record.open_inputs;
  if (record.open_inputs == 0 && preemption_on) {
    preempt_if_urgent(instances[batch.instance.index()], request);
  }
  if (facts[batch.node.index()].predecessors == 0) return;
  const HandleKey last = stage(request, record.last_predecessor).output;
  if (setup.sync_handoff ? record.open_inputs == 0 : command.handle == last) {
    const HandleRecord* handle = find(last);
    if (handle != nullptr && handle->batch != kNoSlot && command.handle == last) {
      ++batches[handle->batch].ended_transfers;
    }
    note_sent(last);
  }
}

/// The last consumer that held the slot up has what it needs.
void Scheduler::State::free_output_slot(HandleRecord& handle) {
  const std::uint32_t batch = handle.batch;
  handle.batch = kNoSlot;
  if (batches[batch].phase != Batch::Phase::sending) {
    // Still counting the members of the ended batch: finish_member sees that nothing is unsent.
    return;
  }
  if (--batches[batch].unsent == 0) sending_done(batch);
}

/// Every output of an ended batch is sent or parked: its slot is free.
void Scheduler::State::sending_done(std::uint32_t slot) {
  Batch& batch = batches[slot];
  Instance& in = instances[batch.instance.index()];
  const CommandKey key = batch.command;
  const bool tell = batch.told || batch.ended_transfers < batch.counted_transfers;
  --in.hosted[batch.hosted].outputs;
  if (tell) {
    Action& action = emit(ActionKind::output_sent);
    action.instance = in.key;
    action.target = key;
    action.weights = in.hosted[batch.hosted].weights;
  }
  freed(in);
  drop_batch(slot);
}

void Scheduler::State::handle_lost(const Event& event) {
  const HandleRecord* handle = find(event.handle);
  if (handle == nullptr || handle->holder != event.instance) {
    stale();
    return;
  }
  const std::uint32_t request = handle->request.slot;
  if (lose_handle(event.handle)) retry_all({request});
}

bool Scheduler::State::forget_handle(HandleKey key) {
  const HandleRecord& handle = *find(key);
  if (!alive(handle.request)) return false;
  StageRecord& owner = stage(handle.request.slot, position_of(handle.node));
  const bool output = owner.output == key, resume = owner.resume == key;
  if (output) owner.output = {};
  if (resume) {
    owner.resume = {};
    owner.next_step = 0;
  }
  return output || resume;
}

bool Scheduler::State::lose_handle(HandleKey key) {
  const bool held = forget_handle(key);
  free_handle(key);
  return held;
}

}  // namespace disagfusion::scheduler
