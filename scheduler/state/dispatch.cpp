// Who computes what next: holders first, then whoever accepts, then the queue; freed slots take its
// head.
#include <algorithm>

#include "base/check.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Phase = StageRecord::Phase;

// ---- acceptance --------------------------------------------------------------------------------

bool Scheduler::State::blocked(const Instance& in, std::uint8_t hosted) const {
  const std::uint32_t slots = setup.roles[in.role.index()].output_slots;
  return slots != kUnlimited && in.hosted[hosted].outputs > slots;
}

int Scheduler::State::hosted_position(const Instance& in, WeightsId weights) const {
  for (std::size_t i = 0; i < in.hosted.size(); ++i) {
    if (in.hosted[i].weights == weights) return static_cast<int>(i);
  }
  return -1;
}

Acceptance Scheduler::State::acceptance(const Instance& in, std::uint8_t hosted) const {
  Acceptance a;
  a.available_at = in.running_until + in.queued_work + in.bound_work;
  if (in.life != Instance::Life::ready) return a;
  const std::uint32_t slots = setup.roles[in.role.index()].input_slots;
  const std::uint32_t used = in.hosted[hosted].used_slots;
  a.idle = in.running == kNoSlot && in.queue.empty() && !blocked(in, hosted);
  a.free_slots = slots == kUnlimited ? kUnlimited - used : (used < slots ? slots - used : 0);
  a.accepts = a.idle || a.free_slots > 0;
  if (!setup.pull && !in.bound.empty()) {
    // Push: whoever is ready can be bound to; what waits for it counts.
    const auto bound = static_cast<std::uint32_t>(in.bound[hosted].size());
    a.idle = a.idle && bound == 0;
    a.free_slots = a.free_slots > bound ? a.free_slots - bound : 0;
    a.accepts = true;
  }
  return a;
}

void Scheduler::State::touch(InstanceId id) {
  Instance& in = instances[id.index()];
  if (in.dirty) return;
  in.dirty = true;
  dirty_instances.push_back(id);
}

void Scheduler::State::freed(InstanceId id) {
  touch(id);
  if (std::find(freed_instances.begin(), freed_instances.end(), id) == freed_instances.end()) {
    freed_instances.push_back(id);
  }
}

/// Routing hears of changes when it is asked, not before.
void Scheduler::State::flush() {
  for (const InstanceId id : dirty_instances) {
    Instance& in = instances[id.index()];
    in.dirty = false;
    if (in.life != Instance::Life::ready) continue;
    for (std::uint8_t i = 0; i < in.hosted.size(); ++i) {
      policies.routing->update(in.hosted[i].weights, id, acceptance(in, i));
    }
  }
  dirty_instances.clear();
}

Choice Scheduler::State::choose(WeightsId weights, const Ready& r) {
  flush();
  RoutingQuestion question;
  question.now = now;
  question.node = r.node;
  const RequestRecord& request = requests[r.request];
  question.shape = request.shape;
  question.first_step = stage(r.request, position_of(r.node)).next_step;
  question.last_step = costs.steps(request.shape);
  if (setup.transfers) {
    double bytes = 0;
    for (const NodeId before : setup.graph.nodes[r.node.index()].after) {
      if (const HandleRecord* handle = find(stage(r.request, position_of(before)).output)) {
        bytes = std::max(bytes, static_cast<double>(handle->bytes));
      }
    }
    if (!setup.graph.nodes[r.node.index()].after.empty()) question.transfer = costs.transfer(bytes);
  }
  return policies.routing->choose(weights, question, costs);
}

// ---- the last step of an event -----------------------------------------------------------------

void Scheduler::State::dispatch() {
  if (!ready.empty()) offer_to_holders();
  fill_freed();
  for (std::size_t i = 0; i < ready.size(); ++i) offer(ready[i]);
  ready.clear();
  for (std::size_t i = 0; i < stages_to_fill.size(); ++i) fill_stage(stages_to_fill[i]);
  stages_to_fill.clear();
  fill_freed();  // whose output slot became free because its receiver was chosen just now
}

void Scheduler::State::fill_freed() {
  for (std::size_t i = 0; i < freed_instances.size(); ++i) fill(freed_instances[i]);
  freed_instances.clear();
}

void Scheduler::State::offer_to_holders() {
  for (std::size_t i = 0; i < ready.size();) {
    if (!offer_to_holder(i)) ++i;
  }
}

/// "A request goes on at the instance that holds its input if that instance hosts the stage and can
/// accept." Members of one ended batch stay together. True: the entry (and maybe others) left
/// `ready`.
bool Scheduler::State::offer_to_holder(std::size_t place) {
  const Ready r = ready[place];
  const StageRecord& record = stage(r.request, position_of(r.node));
  const StageNode& info = setup.graph.nodes[r.node.index()];
  InstanceId holder = kController;
  if (const HandleRecord* state = find(record.resume)) holder = state->holder.id;
  if (!record.resume.valid()) {
    for (const NodeId before : info.after) {
      const HandleRecord* handle = find(stage(r.request, position_of(before)).output);
      if (handle == nullptr) continue;
      const Instance& in = instances[handle->holder.id.index()];
      if (handle->holder == in.key && hosted_position(in, info.weights) >= 0) holder = in.key.id;
    }
  }
  if (holder == kController) return false;
  Instance& in = instances[holder.index()];
  const int hosted = hosted_position(in, info.weights);
  if (hosted < 0 || in.life != Instance::Life::ready) return false;
  const Acceptance a = acceptance(in, static_cast<std::uint8_t>(hosted));
  if (!(a.idle || a.free_slots > 0)) return false;
  one_entry.clear();
  const std::uint32_t limit = largest_batch(in);
  const std::uint32_t shape = requests[r.request].shape;
  for (std::size_t i = place; i < ready.size() && one_entry.size() < limit;) {
    const Ready& other = ready[i];
    const StageRecord& theirs = stage(other.request, position_of(other.node));
    const auto holds_theirs = [&] {
      for (const NodeId before : setup.graph.nodes[other.node.index()].after) {
        const HandleRecord* handle = find(stage(other.request, position_of(before)).output);
        if (handle != nullptr && handle->holder == in.key) return true;
      }
      return false;
    };
    if (one_entry.empty() || (other.node == r.node && requests[other.request].shape == shape &&
                              theirs.next_step == record.next_step && holds_theirs())) {
      one_entry.push_back(entry_of(other));
      ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  assign(in, static_cast<std::uint8_t>(hosted), one_entry);
  return true;
}

QueueEntry Scheduler::State::entry_of(const Ready& r) {
  return {stage(r.request, position_of(r.node)).queue_key, requests[r.request].number, r.request,
          r.node};
}

void Scheduler::State::offer(const Ready& r) {
  const WeightsId weights = setup.graph.nodes[r.node.index()].weights;
  StageState& state = by_weights[weights.index()];
  if (!setup.pull) {
    offer_push(r);
    return;
  }
  const bool waits = policies.batching->wait().ns > 0;
  if (state.queue.empty() && !waits) {
    const Choice choice = choose(weights, r);
    if (!choice.idle && policies.preemption->enabled() && offer_to_victim(r)) return;
    if (!choice.idle && try_extend(r)) return;
    if (choice.instance != kController) {
      Instance& in = instances[choice.instance.index()];
      const int hosted = hosted_position(in, weights);
      if (largest_batch(in) == 1) {
        one_entry.assign(1, entry_of(r));
        assign(in, static_cast<std::uint8_t>(hosted), one_entry);
        return;
      }
      // Those that became ready together may go together.
    }
  } else if (try_extend(r)) {
    return;
  }
  wait_in_queue(r);
}

void Scheduler::State::wait_in_queue(const Ready& r) {
  const WeightsId weights = setup.graph.nodes[r.node.index()].weights;
  by_weights[weights.index()].queue.insert(entry_of(r));
  if (policies.batching->largest(2) > 1 &&
      std::find(stages_to_fill.begin(), stages_to_fill.end(), weights) == stages_to_fill.end()) {
    stages_to_fill.push_back(weights);
  }
  if (policies.preemption->enabled()) try_preempt(r);
}

void Scheduler::State::offer_push(const Ready& r) {
  const WeightsId weights = setup.graph.nodes[r.node.index()].weights;
  const Choice choice = choose(weights, r);
  if (choice.instance == kController) {
    by_weights[weights.index()].queue.insert(
        entry_of(r));  // nobody is ready: who becomes so takes it
    return;
  }
  Instance& in = instances[choice.instance.index()];
  const auto hosted = static_cast<std::uint8_t>(hosted_position(in, weights));
  stage(r.request, position_of(r.node)).bound = in.key.id;
  in.bound[hosted].insert(entry_of(r));
  in.bound_work += costs.whole(r.node, requests[r.request].shape, costs.class_of(in.role));
  touch(in.key.id);
  fill(in.key.id);
}

bool Scheduler::State::try_extend(const Ready& r) {
  if (policies.batching->largest(2) <= 1) return false;
  const WeightsId weights = setup.graph.nodes[r.node.index()].weights;
  StageRecord& record = stage(r.request, position_of(r.node));
  for (const std::uint32_t slot : by_weights[weights.index()].open_batches) {
    Batch& batch = batches[slot];
    const Instance& in = instances[batch.instance.index()];
    if (batch.phase != Batch::Phase::queued || batch.revoking || batch.node != r.node ||
        batch.shape != requests[r.request].shape || batch.first_step != record.next_step ||
        batch.members.size() >= largest_batch(in)) {
      continue;
    }
    const QueueEntry entry = entry_of(r);
    CommandRecord& command = new_command(ActionKind::extend, in.key);
    const CommandKey key = command.key;
    command.batch = slot;
    command.target = batch.command;
    command.request = requests[r.request].key(r.request);
    batch.edits.push_back(key.slot);
    one_entry.assign(1, entry);
    const std::size_t at = out->actions.size();
    Action& action = emit(ActionKind::extend);
    action.instance = in.key;
    action.command = key;
    action.target = batch.command;
    action.node = batch.node;
    action.weights = weights;
    add_members(batch, slot, one_entry, at);
    batch.members.back().extend = key.slot;
    return true;
  }
  return false;
}

// ---- queues to instances -----------------------------------------------------------------------

/// With a batch wait: is the head's group full, or has it waited long enough? Arms the wait
/// otherwise.
bool Scheduler::State::may_form_batch(OrderedQueue& queue, WeightsId weights, std::uint32_t limit) {
  const Duration wait = policies.batching->wait();
  if (wait.ns <= 0 || limit <= 1) return true;
  const QueueEntry& head = queue.front();
  const StageRecord& first = stage(head.request, position_of(head.node));
  if (first.ready + wait <= now) return true;
  std::uint32_t alike = 0;
  queue.for_each([&](const QueueEntry& entry) {
    if (entry.node == head.node && requests[entry.request].shape == requests[head.request].shape &&
        stage(entry.request, position_of(entry.node)).next_step == first.next_step) {
      ++alike;
    }
    return alike < limit;
  });
  if (alike >= limit) return true;
  timers.set(static_cast<std::uint32_t>(weights.index()), first.ready + wait);
  return false;
}

void Scheduler::State::take_batch(OrderedQueue& queue, std::uint32_t limit) {
  taken.clear();
  const QueueEntry head = queue.front();
  if (limit == 1) {
    queue.pop_front();
    taken.push_back(head);
    return;
  }
  const std::uint32_t shape = requests[head.request].shape;
  const std::uint32_t next_step = stage(head.request, position_of(head.node)).next_step;
  queue.for_each([&](const QueueEntry& entry) {
    if (entry.node == head.node && requests[entry.request].shape == shape &&
        stage(entry.request, position_of(entry.node)).next_step == next_step) {
      taken.push_back(entry);
    }
    return taken.size() < limit;
  });
  for (const QueueEntry& entry : taken) queue.erase(entry);
}

bool Scheduler::State::fill_stage_from(Instance& in, std::uint8_t hosted, OrderedQueue& queue) {
  const WeightsId weights = in.hosted[hosted].weights;
  const bool from_bound = &queue != &by_weights[weights.index()].queue;
  bool any = false;
  while (!queue.empty()) {
    const Acceptance a = acceptance(in, hosted);
    if (in.life != Instance::Life::ready) break;
    const bool own_slot = (in.running == kNoSlot && in.queue.empty() && !blocked(in, hosted)) ||
                          in.hosted[hosted].used_slots < setup.roles[in.role.index()].input_slots;
    if (!a.accepts || !own_slot) break;
    if (!may_form_batch(queue, weights, largest_batch(in))) break;
    take_batch(queue, largest_batch(in));
    if (from_bound) {
      for (const QueueEntry& entry : taken) {
        in.bound_work -=
            costs.whole(entry.node, requests[entry.request].shape, costs.class_of(in.role));
      }
    }
    assign(in, hosted, taken);
    any = true;
  }
  return any;
}

void Scheduler::State::fill(InstanceId id) {
  Instance& in = instances[id.index()];
  if (in.life != Instance::Life::ready) return;
  for (std::uint8_t i = 0; i < in.hosted.size(); ++i) {
    if (!in.bound.empty()) fill_stage_from(in, i, in.bound[i]);
    fill_stage_from(in, i, by_weights[in.hosted[i].weights.index()].queue);
  }
}

void Scheduler::State::fill_stage(WeightsId weights) {
  StageState& state = by_weights[weights.index()];
  while (!state.queue.empty()) {
    const QueueEntry head = state.queue.front();
    const Choice choice = choose(weights, {head.request, head.node});
    if (choice.instance == kController) break;
    Instance& in = instances[choice.instance.index()];
    if (!may_form_batch(state.queue, weights, largest_batch(in))) break;
    take_batch(state.queue, largest_batch(in));
    assign(in, static_cast<std::uint8_t>(hosted_position(in, weights)), taken);
  }
}

// ---- assignment --------------------------------------------------------------------------------

std::uint32_t Scheduler::State::place_in_queue(Instance& in, std::uint32_t slot) {
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

void Scheduler::State::assign(Instance& in, std::uint8_t hosted,
                              const std::vector<QueueEntry>& entries) {
  const QueueEntry& head = entries.front();
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
  batch.first_step = stage(head.request, position_of(head.node)).next_step;
  batch.last_step = costs.steps(batch.shape);
  batch.live = batch.counted_transfers = batch.ended_transfers = batch.unsent = 0;
  batch.queue_key = head.key;
  batch.expected = {};
  batch.members.clear();
  batch.transfers.clear();
  batch.edits.clear();

  const Role& role = setup.roles[in.role.index()];
  const StageNode& info = setup.graph.nodes[head.node.index()];
  if (role.output_slots != kUnlimited) {
    const std::size_t consumers =
        info.before.size() + (setup.has_output[head.node.index()] != 0 ? 1U : 0U);
    batch.told = consumers > 0 && !setup.transfers;
    for (const NodeId next : info.before) {
      batch.told = batch.told || setup.graph.nodes[next.index()].after.size() > 1;
    }
    batch.counted_transfers = static_cast<std::uint32_t>(consumers * entries.size());
  }
  ++in.hosted[hosted].used_slots;

  const std::size_t at = out->actions.size();
  Action& action = emit(ActionKind::enqueue);
  action.instance = in.key;
  action.command = batch.command;
  action.node = head.node;
  action.weights = info.weights;
  action.first_step = batch.first_step;
  action.last_step = batch.last_step;
  action.place = place_in_queue(in, slot);
  action.output_transfers =
      role.output_slots == kUnlimited ? 0 : (batch.told ? kTold : batch.counted_transfers);
  add_members(batch, slot, entries, at);
  if (role.max_batch > 1 && policies.batching->largest(2) > 1 &&
      batch.members.size() < largest_batch(in)) {
    by_weights[info.weights.index()].open_batches.push_back(slot);
  }
  touch(in.key.id);
  if (!policies.preemption->enabled()) return;
  for (const BatchMemberRecord& member : batches[slot].members) {
    preempt_if_urgent(in, member.request.slot);
  }
}

/// `action` is the place of the enqueue or extend, which may move: inputs bring transfers.
void Scheduler::State::add_members(Batch& batch, std::uint32_t slot,
                                   const std::vector<QueueEntry>& entries, std::size_t action) {
  Instance& in = instances[batch.instance.index()];
  const StageNode& info = setup.graph.nodes[batch.node.index()];
  const std::size_t consumers =
      info.before.size() + (setup.has_output[batch.node.index()] != 0 ? 1U : 0U);
  const std::size_t first_member = out->members.size();
  out->actions[action].first_member = static_cast<std::uint32_t>(first_member);
  out->actions[action].members = static_cast<std::uint32_t>(entries.size());
  for (const QueueEntry& entry : entries) {
    const RequestKey key = requests[entry.request].key(entry.request);
    StageRecord& record = stage(entry.request, position_of(entry.node));
    if (!requests[entry.request].started) {
      requests[entry.request].started = true;
      --waiting_to_start;
    }
    record.phase = Phase::assigned;
    record.batch = slot;
    record.bound = kController;
    record.open_inputs = 0;
    ++record.attempt;
    if (consumers > 0) {
      record.output = new_handle(HandleRecord::Kind::output, in.key, key, entry.node);
      find(record.output)->consumers = readers_left(entry.request, entry.node);
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
  // Inputs after the members, so that both stand together in the buffer.
  for (std::size_t i = 0; i < entries.size(); ++i) {
    BatchMember& member = out->members[first_member + i];
    member.first_input = static_cast<std::uint32_t>(out->inputs.size());
    add_inputs(batch, slot, entries[i], member);
    member.inputs = static_cast<std::uint32_t>(out->inputs.size()) - member.first_input;
  }
  in.queued_work -= batch.expected;
  batch.expected = costs.seconds(batch.node, batch.shape, costs.class_of(in.role),
                                 static_cast<std::uint32_t>(batch.members.size()), batch.first_step,
                                 batch.last_step);
  in.queued_work += batch.expected;
}

/// Stages that have not finished with this one's output, and the controller where it goes there.
std::uint16_t Scheduler::State::readers_left(std::uint32_t request, NodeId node) {
  std::uint16_t readers = setup.has_output[node.index()] != 0 ? 1 : 0;
  for (const NodeId next : setup.graph.nodes[node.index()].before) {
    if (stage(request, position_of(next)).phase != Phase::done) ++readers;
  }
  return readers;
}

void Scheduler::State::add_inputs(Batch& batch, std::uint32_t slot, const QueueEntry& entry,
                                  BatchMember& member) {
  const StageNode& info = setup.graph.nodes[entry.node.index()];
  if (member.state.valid()) {
    add_input(batch, slot, entry.request, member.state);
  } else if (info.after.empty()) {
    if (requests[entry.request].input.valid()) {
      add_input(batch, slot, entry.request, requests[entry.request].input);
    }
  } else {
    for (const NodeId before : info.after) {
      add_input(batch, slot, entry.request, stage(entry.request, position_of(before)).output);
    }
  }
  note_bound(entry.request, entry.node);
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
    ++stage(request, position_of(batch.node)).open_inputs;
    transfer(key, in.key, slot, requests[request].key(request));
  }
}

// ---- preemption --------------------------------------------------------------------------------

RunningBatch Scheduler::State::running_batch(std::uint32_t slot) const {
  const Batch& batch = batches[slot];
  RunningBatch running;
  running.batch = slot;
  running.earliest_deadline = TimePoint::never();
  for (const BatchMemberRecord& member : batch.members) {
    if (member.dead) continue;
    running.earliest_deadline =
        std::min(running.earliest_deadline, requests[member.request.slot].deadline);
  }
  running.remaining = batch.started + batch.expected - now;
  running.steps = batch.last_step - batch.first_step;
  return running;
}

/// The batch of this stage that yields to the request, or kNoSlot.
std::uint32_t Scheduler::State::find_victim(const Ready& r) {
  const WeightsId weights = setup.graph.nodes[r.node.index()].weights;
  running_batches.clear();
  for (const InstanceId id : by_weights[weights.index()].hosts) {
    const Instance& in = instances[id.index()];
    if (in.running == kNoSlot || batches[in.running].preempting) continue;
    if (setup.graph.nodes[batches[in.running].node.index()].weights != weights) continue;
    running_batches.push_back(running_batch(in.running));
  }
  return policies.preemption->victim(requests[r.request], now, running_batches);
}

/// Where a victim's instance has a free slot the urgent request goes there; the victim is stopped
/// once the inputs have landed (preempt_if_urgent), so that no step is lost to waiting.
bool Scheduler::State::offer_to_victim(const Ready& r) {
  const std::uint32_t victim = find_victim(r);
  if (victim == kNoSlot) return false;
  Instance& in = instances[batches[victim].instance.index()];
  const std::uint8_t hosted = batches[victim].hosted;
  if (acceptance(in, hosted).free_slots == 0) return false;
  one_entry.assign(1, entry_of(r));
  assign(in, hosted, one_entry);
  return true;
}

/// The inputs of an urgent request are all there, and something less urgent runs: it yields.
void Scheduler::State::preempt_if_urgent(Instance& in, std::uint32_t request) {
  if (in.running == kNoSlot || batches[in.running].preempting) return;
  const Batch& batch = batches[in.running];
  const StageRecord& record = stage(request, position_of(batch.node));
  if (record.batch == kNoSlot || record.open_inputs > 0) return;
  if (batches[record.batch].instance != in.key.id || record.phase != Phase::assigned) return;
  running_batches.assign(1, running_batch(in.running));
  if (policies.preemption->victim(requests[request], now, running_batches) != kNoSlot) {
    preempt(in.running);
  }
}

/// No slot is free: what is queued at the victim's instance and can wait makes room.
void Scheduler::State::try_preempt(const Ready& r) {
  const std::uint32_t victim = find_victim(r);
  if (victim == kNoSlot) return;
  Instance& in = instances[batches[victim].instance.index()];
  const std::int64_t key = stage(r.request, position_of(r.node)).queue_key;
  if (!in.queue.empty()) {
    const std::uint32_t last = in.queue.back();
    if (batches[last].queue_key > key) revoke(last);
  } else {
    preempt(victim);
  }
}

}  // namespace disagfusion::scheduler
