// A batch is given to an instance: the enqueue, its members, what they read.
#include "base/check.hpp"
#include "base/inline.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Phase = StageRecord::Phase;

DF_INLINE void Scheduler::State::place_in_queue(Instance& in, std::uint32_t slot) {
  const Batch& batch = batches[slot];
  std::size_t place = in.queue.size();
  while (place > 0) {
    const Batch& other = batches[in.queue[place - 1]];
    const bool earlier = batch.hosted < other.hosted ||
                         (batch.hosted == other.hosted && batch.queue_key < other.queue_key);
    if (!earlier) break;
    --place;
  }
  if (place == in.queue.size()) {
    append(in.queue, slot);
  } else {
    in.queue.insert(in.queue.begin() + static_cast<std::ptrdiff_t>(place), slot);
  }
}

/// How the output slot of a batch comes free: by the end of so many transfers, or told.
void Scheduler::State::count_output_transfers(Batch& batch, std::size_t members) {
  const NodeFacts& known = facts[batch.node.index()];
  batch.told = (known.readers > 0 && !setup.transfers) || known.feeds_join;
  batch.counted_transfers = static_cast<std::uint32_t>(known.readers * members);
}

/// A batch of nobody yet, and the command that gives it to the instance.
DF_INLINE std::uint32_t Scheduler::State::new_batch(const Instance& in, std::uint8_t hosted,
                                                    const QueueEntry& head) {
  const std::uint32_t slot = batches.allocate();
  CommandRecord& command = new_command(ActionKind::enqueue, in.key);
  command.batch = slot;
  Batch& batch = batches[slot];
  batch.command = command.key();
  batch.phase = Batch::Phase::queued;
  batch.revoking = batch.preempting = batch.told = false;
  batch.instance = in.key.id;
  batch.hosted = hosted;
  batch.node = head.node;
  batch.shape = requests[head.request].shape;
  batch.first_step = stage(head.request, head.node).next_step;
  batch.last_step = costs.steps(batch.shape);
  batch.live = batch.counted_transfers = batch.ended_transfers = batch.unsent = 0;
  batch.queue_key = head.key;
  batch.expected = {};
  batch.members.clear();
  batch.transfers.clear();
  batch.edits.clear();
  return slot;
}

void Scheduler::State::assign(Instance& in, std::uint8_t hosted,
                              std::span<const QueueEntry> entries) {
  const RoleLimits& limit = limits[in.role.index()];
  const std::uint32_t slot = new_batch(in, hosted, entries.front());
  Batch& batch = batches[slot];
  const bool limited = limit.output_slots != kUnlimited;
  if (limited) count_output_transfers(batch, entries.size());
  ++in.hosted[hosted].used_slots;

  const WeightsId weights = in.hosted[hosted].weights;
  Action& action = emit(ActionKind::enqueue);
  action.instance = in.key;
  action.command = batch.command;
  action.node = batch.node;
  action.weights = weights;
  action.first_step = batch.first_step;
  action.last_step = batch.last_step;
  action.order = batch.queue_key;
  place_in_queue(in, slot);
  if (limited) action.output_transfers = batch.told ? kTold : batch.counted_transfers;
  add_members(in, slot, entries, action);
  if (limit.largest_batch > entries.size()) {
    append(by_weights[weights.index()].open_batches, slot);
  }
  touch(in);
  if (!preemption_on) return;
  for (const BatchMemberRecord& member : batches[slot].members) {
    preempt_if_urgent(in, member.request.slot);
  }
}

/// `action` is the enqueue or extend. Inputs bring transfers, after which it may have moved.
DF_INLINE void Scheduler::State::add_members(Instance& in, std::uint32_t slot,
                                             std::span<const QueueEntry> entries, Action& action) {
  Batch& batch = batches[slot];
  action.first_member = static_cast<std::uint32_t>(out->members.size());
  action.members = static_cast<std::uint32_t>(entries.size());
  const NodeFacts& known = facts[batch.node.index()];
  for (const QueueEntry& entry : entries) add_member(in, batch, slot, entry, known);
  in.queued_work -= batch.expected;
  batch.expected = costs.seconds(batch.node, batch.shape, limits[in.role.index()].cost_class,
                                 static_cast<std::uint32_t>(batch.members.size()), batch.first_step,
                                 batch.last_step);
  in.queued_work += batch.expected;
}

void Scheduler::State::add_to_batch(Instance& in, std::uint32_t slot, const QueueEntry& entry,
                                    Action& extend) {
  add_members(in, slot, {&entry, 1}, extend);
}

DF_INLINE void Scheduler::State::add_member(Instance& in, Batch& batch, std::uint32_t slot,
                                            const QueueEntry& entry, const NodeFacts& known) {
  RequestRecord& request = requests[entry.request];
  const RequestKey key = request.key(entry.request);
  StageRecord& record = stage(entry.request, known.position);
  if (!request.started) {
    request.started = true;
    --waiting_to_start;
  }
  record.phase = Phase::assigned;
  record.batch = slot;
  record.bound = kController;
  record.open_inputs = 0;
  ++record.attempt;
  if (known.readers > 0) {
    record.output = new_handle(HandleRecord::Kind::output, in, key, entry.node);
    handles[record.output.slot].consumers = readers_left(record, entry.node, known);
  }
  append(batch.members, {key, record.output, {}, kNoSlot, false});
  ++batch.live;
  const auto first_input = static_cast<std::uint32_t>(out->inputs.size());
  add_inputs(in, slot, entry, record, known);
  const std::uint32_t inputs = static_cast<std::uint32_t>(out->inputs.size()) - first_input;
  append(out->members, {key, record.output, record.resume, first_input, inputs});
}

/// Stages that have not finished with this one's output, and the controller where it goes there.
DF_INLINE std::uint16_t Scheduler::State::readers_left(StageRecord& record, NodeId node,
                                                       const NodeFacts& known) {
  std::uint16_t readers = known.to_controller ? 1 : 0;
  for (const NodeId next : successors(known)) {
    if (beside(record, node, next).phase != Phase::done) ++readers;
  }
  return readers;
}

DF_INLINE void Scheduler::State::add_inputs(Instance& in, std::uint32_t slot,
                                            const QueueEntry& entry, StageRecord& record,
                                            const NodeFacts& known) {
  if (record.resume.valid()) [[unlikely]] {
    add_input(in, slot, entry.request, record, record.resume);
  } else if (known.predecessors == 0) {
    const HandleKey input = requests[entry.request].input;
    if (input.valid()) add_input(in, slot, entry.request, record, input);
  } else {
    for (const NodeId before : predecessors(known)) {
      add_input(in, slot, entry.request, record, beside(record, entry.node, before).output);
    }
  }
  if (known.predecessors > 0) note_bound(in, record, known);
}

DF_INLINE void Scheduler::State::add_input(const Instance& in, std::uint32_t slot,
                                           std::uint32_t request, StageRecord& record,
                                           HandleKey key) {
  HandleRecord* handle = find(key);
  DF_CHECK(handle != nullptr, "an input of request {} is gone", requests[request].number);
  const bool transferred = setup.transfers && handle->holder != in.key;
  append(out->inputs, {key, transferred});
  if (!transferred) return;
  ++record.open_inputs;
  transfer(key, in.key, slot, requests[request].key(request));
}

/// A consumer's receiver is chosen: where no transfer brings the output, its slot is free by this.
DF_INLINE void Scheduler::State::note_bound(const Instance& in, const StageRecord& record,
                                            const NodeFacts& known) {
  const HandleKey last = (&record + (record.last_predecessor - int{known.position}))->output;
  const HandleRecord* handle = find(last);
  if (handle == nullptr || handle->unsent == 0) return;
  const bool travels = setup.transfers && handle->holder != in.key;
  if (setup.sync_handoff ? record.open_inputs == 0 : !travels) note_sent(last);
}

}  // namespace disagfusion::scheduler
