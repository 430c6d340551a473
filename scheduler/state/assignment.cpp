// A batch is given to an instance: the enqueue, its members, what they read.
#include "base/check.hpp"
#include "base/inline.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Phase = StageRecord::Phase;

DF_INLINE std::uint32_t Scheduler::State::place_in_queue(Instance& in, std::uint32_t slot) {
  const Batch& batch = batches[slot];
  std::size_t place = in.queue.size();
  while (place > 0) {
    const Batch& other = batches[in.queue[place - 1]];
    const bool earlier = batch.hosted < other.hosted ||
                         (batch.hosted == other.hosted && batch.queue_key < other.queue_key);
    if (!earlier) break;
    --place;
  }
  in.queue.insert(in.queue.begin() + static_cast<std::ptrdiff_t>(place), slot);
  return static_cast<std::uint32_t>(place);
}

/// How the output slot of a batch comes free: by the end of so many transfers, or told.
void Scheduler::State::count_output_transfers(Batch& batch, std::size_t members) {
  const NodeFacts& known = facts[batch.node.index()];
  batch.told = (known.readers > 0 && !setup.transfers) || known.feeds_join;
  batch.counted_transfers = static_cast<std::uint32_t>(known.readers * members);
}

void Scheduler::State::assign(Instance& in, std::uint8_t hosted,
                              std::span<const QueueEntry> entries) {
  const QueueEntry& head = entries.front();
  const NodeFacts& known = facts[head.node.index()];
  const RoleLimits& limit = limits[in.role.index()];
  const std::uint32_t slot = batches.allocate();
  CommandRecord& command = new_command(ActionKind::enqueue, in.key);
  command.batch = slot;
  Batch& batch = batches[slot];
  batch.command = command.key;
  batch.phase = Batch::Phase::queued;
  batch.revoking = batch.preempting = batch.told = false;
  batch.instance = in.key.id;
  batch.hosted = hosted;
  batch.node = head.node;
  batch.shape = requests[head.request].shape;
  batch.first_step = stage(head.request, known.position).next_step;
  batch.last_step = costs.steps(batch.shape);
  batch.live = batch.counted_transfers = batch.ended_transfers = batch.unsent = 0;
  batch.queue_key = head.key;
  batch.expected = {};
  batch.members.clear();
  batch.transfers.clear();
  batch.edits.clear();
  const bool limited = limit.output_slots != kUnlimited;
  if (limited) count_output_transfers(batch, entries.size());
  ++in.hosted[hosted].used_slots;

  const std::size_t at = out->actions.size();
  Action& action = emit(ActionKind::enqueue);
  action.instance = in.key;
  action.command = batch.command;
  action.node = head.node;
  action.weights = known.weights;
  action.first_step = batch.first_step;
  action.last_step = batch.last_step;
  action.place = place_in_queue(in, slot);
  if (limited) action.output_transfers = batch.told ? kTold : batch.counted_transfers;
  add_members(batch, slot, entries, at);
  if (limit.largest_batch > batch.members.size()) {
    by_weights[known.weights.index()].open_batches.push_back(slot);
  }
  touch(in);
  if (!preemption_on) return;
  for (const BatchMemberRecord& member : batches[slot].members) {
    preempt_if_urgent(in, member.request.slot);
  }
}

/// `action` is the place of the enqueue or extend, which may move: inputs bring transfers.
void Scheduler::State::add_members(Batch& batch, std::uint32_t slot,
                                   std::span<const QueueEntry> entries, std::size_t action) {
  Instance& in = instances[batch.instance.index()];
  const std::size_t first_member = out->members.size();
  out->actions[action].first_member = static_cast<std::uint32_t>(first_member);
  out->actions[action].members = static_cast<std::uint32_t>(entries.size());
  for (const QueueEntry& entry : entries) add_member(batch, slot, in.key, entry);
  // Inputs after the members, so that both stand together in the buffer.
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::size_t first_input = out->inputs.size();
    add_inputs(batch, slot, entries[i], out->members[first_member + i].state);
    BatchMember& member = out->members[first_member + i];
    member.first_input = static_cast<std::uint32_t>(first_input);
    member.inputs = static_cast<std::uint32_t>(out->inputs.size() - first_input);
  }
  in.queued_work -= batch.expected;
  batch.expected = costs.seconds(batch.node, batch.shape, limits[in.role.index()].cost_class,
                                 static_cast<std::uint32_t>(batch.members.size()), batch.first_step,
                                 batch.last_step);
  in.queued_work += batch.expected;
}

DF_INLINE void Scheduler::State::add_member(Batch& batch, std::uint32_t slot, InstanceKey holder,
                                            const QueueEntry& entry) {
  RequestRecord& request = requests[entry.request];
  const RequestKey key = request.key(entry.request);
  StageRecord& record = stage(entry.request, entry.node);
  if (!request.started) {
    request.started = true;
    --waiting_to_start;
  }
  record.phase = Phase::assigned;
  record.batch = slot;
  record.bound = kController;
  record.open_inputs = 0;
  ++record.attempt;
  if (facts[entry.node.index()].readers > 0) {
    record.output = new_handle(HandleRecord::Kind::output, holder, key, entry.node);
    handles[record.output.slot].consumers = readers_left(entry.request, entry.node);
  }
  BatchMemberRecord& kept = batch.members.emplace_back();
  kept.request = key;
  kept.output = record.output;
  ++batch.live;
  BatchMember& member = out->members.emplace_back();
  member.request = key;
  member.output = record.output;
  member.state = record.resume;
}

/// Stages that have not finished with this one's output, and the controller where it goes there.
DF_INLINE std::uint16_t Scheduler::State::readers_left(std::uint32_t request, NodeId node) {
  std::uint16_t readers = facts[node.index()].to_controller ? 1 : 0;
  for (const NodeId next : setup.graph.nodes[node.index()].before) {
    if (stage(request, next).phase != Phase::done) ++readers;
  }
  return readers;
}

DF_INLINE void Scheduler::State::add_inputs(Batch& batch, std::uint32_t slot,
                                            const QueueEntry& entry, HandleKey state) {
  const NodeFacts& known = facts[entry.node.index()];
  if (state.valid()) {
    add_input(batch, slot, entry.request, state);
  } else if (known.predecessors == 0) {
    const HandleKey input = requests[entry.request].input;
    if (input.valid()) add_input(batch, slot, entry.request, input);
  } else if (known.predecessors == 1) {
    add_input(batch, slot, entry.request, stage(entry.request, known.before).output);
  } else {
    for (const NodeId before : setup.graph.nodes[entry.node.index()].after) {
      add_input(batch, slot, entry.request, stage(entry.request, before).output);
    }
  }
  if (known.predecessors > 0) note_bound(entry.request, entry.node);
}

void Scheduler::State::add_input(Batch& batch, std::uint32_t slot, std::uint32_t request,
                                 HandleKey key) {
  const HandleRecord* handle = find(key);
  DF_CHECK(handle != nullptr, "an input of request {} is gone", requests[request].number);
  const Instance& in = instances[batch.instance.index()];
  const bool transferred = setup.transfers && handle->holder != in.key;
  BatchInput& input = out->inputs.emplace_back();
  input.handle = key;
  input.transferred = transferred;
  if (transferred) {
    ++stage(request, batch.node).open_inputs;
    transfer(key, in.key, slot, requests[request].key(request));
  }
}

}  // namespace disagfusion::scheduler
