// Who computes what next: holders first, then whoever accepts, then the queue; freed slots take its
// head.
#include <algorithm>

#include "base/check.hpp"
#include "base/inline.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Phase = StageRecord::Phase;

// ---- acceptance --------------------------------------------------------------------------------

void Scheduler::State::mark_dirty(Instance& in) {
  in.dirty = true;
  for (HostedStage& hosted : in.hosted) {
    if (hosted.dirty) continue;
    hosted.dirty = true;
    const auto place = static_cast<std::uint8_t>(&hosted - in.hosted.data());
    append(by_weights[hosted.weights.index()].touched, {in.key.id, place});
  }
}

/// Routing hears of changes at a stage when it is asked about that stage, not before.
DF_INLINE void Scheduler::State::flush(WeightsId weights) {
  std::vector<Touched>& touched = by_weights[weights.index()].touched;
  for (const Touched& place : touched) {
    Instance& in = instances[place.instance.index()];
    // It may have taken another role meanwhile.
    if (place.hosted >= in.hosted.size() || in.hosted[place.hosted].weights != weights) continue;
    in.dirty = in.hosted[place.hosted].dirty = false;
    if (in.life != Instance::Life::ready) continue;
    policies.routing->update(weights, place.instance, acceptance(in, place.hosted));
  }
  touched.clear();
}

DF_INLINE Choice Scheduler::State::choose(WeightsId weights, const Ready& r) {
  flush(weights);
  RoutingQuestion question;
  question.now = now;
  question.node = r.node;
  const RequestRecord& request = requests[r.request];
  question.shape = request.shape;
  question.first_step = stage(r.request, r.node).next_step;
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
  if (inputs_stay && !ready.empty()) offer_to_holders();
  if (!freed_instances.empty()) fill_freed();
  for (std::size_t i = 0; i < ready.size(); ++i) offer(ready[i]);
  ready.clear();
  for (std::size_t i = 0; i < stages_to_fill.size(); ++i) fill_stage(stages_to_fill[i]);
  stages_to_fill.clear();
  // Whose output slot became free because its receiver was chosen just now.
  if (!freed_instances.empty()) fill_freed();
}

DF_INLINE void Scheduler::State::fill_freed() {
  for (std::size_t i = 0; i < freed_instances.size(); ++i) {
    fill(instances[freed_instances[i].index()]);
  }
  for (const InstanceId id : freed_instances) instances[id.index()].freed = false;
  freed_instances.clear();
}

DF_INLINE void Scheduler::State::offer_to_holders() {
  for (std::size_t i = 0; i < ready.size();) {
    if (!offer_to_holder(i)) ++i;
  }
}

/// "A request goes on at the instance that holds its input if that instance hosts the stage and can
/// accept." Members of one ended batch stay together. True: the entry (and maybe others) left
/// `ready`.
DF_INLINE bool Scheduler::State::offer_to_holder(std::size_t place) {
  const Ready r = ready[place];
  Instance* holder = holder_of(r);
  if (holder == nullptr || holder->life != Instance::Life::ready) return false;
  Instance& in = *holder;
  const int hosted = hosted_position(in, facts[r.node.index()].weights);
  if (hosted < 0) return false;
  const Acceptance a = acceptance(in, static_cast<std::uint8_t>(hosted));
  if (!(a.idle || a.free_slots > 0)) return false;
  const StageRecord& record = stage(r.request, r.node);
  together.clear();
  const std::uint32_t limit = largest_batch(in);
  const std::uint32_t shape = requests[r.request].shape;
  for (std::size_t i = place; i < ready.size() && together.size() < limit;) {
    const Ready& other = ready[i];
    const bool alike = other.node == r.node && requests[other.request].shape == shape &&
                       stage(other.request, other.node).next_step == record.next_step;
    if (together.empty() || (alike && holds_input_of(in, other))) {
      together.push_back(entry_of(other));
      ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  assign(in, static_cast<std::uint8_t>(hosted), together);
  return true;
}

/// The instance that hosts the stage and holds its state, or an input of it; or null.
DF_INLINE Instance* Scheduler::State::holder_of(const Ready& r) {
  const StageRecord& record = stage(r.request, r.node);
  if (record.resume.valid()) {
    const HandleRecord* state = find(record.resume);
    if (state == nullptr || state->holder.id == kController) return nullptr;
    return &instances[state->holder.id.index()];
  }
  const NodeFacts& known = facts[r.node.index()];
  if (!known.may_stay) return nullptr;
  Instance* holder = nullptr;
  const auto look_at = [&](NodeId before) {
    const HandleRecord* handle = find(stage(r.request, before).output);
    if (handle == nullptr) return;
    Instance& in = instances[handle->holder.id.index()];
    if (handle->holder == in.key && hosted_position(in, known.weights) >= 0) holder = &in;
  };
  for (const NodeId before : predecessors(known)) look_at(before);
  return holder;
}

bool Scheduler::State::holds_input_of(const Instance& in, const Ready& r) {
  for (const NodeId before : setup.graph.nodes[r.node.index()].after) {
    const HandleRecord* handle = find(stage(r.request, before).output);
    if (handle != nullptr && handle->holder == in.key) return true;
  }
  return false;
}

DF_INLINE void Scheduler::State::offer(const Ready& r) {
  if (!setup.pull) {
    offer_push(r);
    return;
  }
  const WeightsId weights = facts[r.node.index()].weights;
  if (by_weights[weights.index()].queue.empty() && batch_wait.ns == 0) {
    const Choice choice = choose(weights, r);
    if (!choice.idle && preemption_on && offer_to_victim(r)) return;
    if (!choice.idle && batches_form && try_extend(r)) return;
    if (choice.instance != kController) {
      Instance& in = instances[choice.instance.index()];
      if (largest_batch(in) == 1) {
        const QueueEntry entry = entry_of(r);
        assign(in, static_cast<std::uint8_t>(hosted_position(in, weights)), {&entry, 1});
        return;
      }
      // Those that became ready together may go together.
    }
  } else if (batches_form && try_extend(r)) {
    return;
  }
  wait_in_queue(r);
}

DF_INLINE void Scheduler::State::wait_in_queue(const Ready& r) {
  const WeightsId weights = facts[r.node.index()].weights;
  by_weights[weights.index()].queue.insert(entry_of(r));
  if (batches_form &&
      std::find(stages_to_fill.begin(), stages_to_fill.end(), weights) == stages_to_fill.end()) {
    stages_to_fill.push_back(weights);
  }
  if (preemption_on) try_preempt(r);
}

void Scheduler::State::offer_push(const Ready& r) {
  const WeightsId weights = facts[r.node.index()].weights;
  const Choice choice = choose(weights, r);
  if (choice.instance == kController) {
    by_weights[weights.index()].queue.insert(
        entry_of(r));  // nobody is ready: who becomes so takes it
    return;
  }
  Instance& in = instances[choice.instance.index()];
  const auto hosted = static_cast<std::uint8_t>(hosted_position(in, weights));
  stage(r.request, r.node).bound = in.key.id;
  in.bound[hosted].insert(entry_of(r));
  in.bound_work += costs.whole(r.node, requests[r.request].shape, costs.class_of(in.role));
  touch(in);
  fill(in);
}

bool Scheduler::State::try_extend(const Ready& r) {
  const WeightsId weights = facts[r.node.index()].weights;
  StageRecord& record = stage(r.request, r.node);
  for (const std::uint32_t slot : by_weights[weights.index()].open_batches) {
    Batch& batch = batches[slot];
    Instance& in = instances[batch.instance.index()];
    if (batch.phase != Batch::Phase::queued || batch.revoking || batch.node != r.node ||
        batch.shape != requests[r.request].shape || batch.first_step != record.next_step ||
        batch.members.size() >= largest_batch(in)) {
      continue;
    }
    const QueueEntry entry = entry_of(r);
    CommandRecord& command = new_command(ActionKind::extend, in.key);
    const CommandKey key = command.key();
    command.batch = slot;
    command.aim_at(batch.command);
    command.request = requests[r.request].key(r.request);
    batch.edits.push_back(key.slot);
    Action& action = emit(ActionKind::extend);
    action.instance = in.key;
    action.command = key;
    action.target = batch.command;
    action.node = batch.node;
    action.weights = weights;
    add_to_batch(in, slot, entry, action);
    batch.members.back().extend = key.slot;
    return true;
  }
  return false;
}

// ---- queues to instances -----------------------------------------------------------------------

/// With a batch wait: is the head's group full, or has it waited long enough? Arms the wait
/// otherwise.
bool Scheduler::State::group_is_full(OrderedQueue& queue, WeightsId weights, std::uint32_t limit) {
  const Duration wait = batch_wait;
  const QueueEntry& head = queue.front();
  const StageRecord& first = stage(head.request, head.node);
  if (first.ready + wait <= now) return true;
  std::uint32_t alike = 0;
  queue.for_each([&](const QueueEntry& entry) {
    if (entry.node == head.node && requests[entry.request].shape == requests[head.request].shape &&
        stage(entry.request, entry.node).next_step == first.next_step) {
      ++alike;
    }
    return alike < limit;
  });
  if (alike >= limit) return true;
  timers.set(static_cast<std::uint32_t>(weights.index()), first.ready + wait);
  return false;
}

DF_INLINE void Scheduler::State::take_batch(OrderedQueue& queue, std::uint32_t limit) {
  taken.clear();
  if (limit == 1) {
    append(taken, queue.front());
    queue.pop_front();
  } else {
    take_alike(queue, limit);
  }
}

void Scheduler::State::take_alike(OrderedQueue& queue, std::uint32_t limit) {
  const QueueEntry& head = queue.front();
  const std::uint32_t shape = requests[head.request].shape;
  const std::uint32_t next_step = stage(head.request, head.node).next_step;
  queue.for_each([&](const QueueEntry& entry) {
    if (entry.node == head.node && requests[entry.request].shape == shape &&
        stage(entry.request, entry.node).next_step == next_step) {
      taken.push_back(entry);
    }
    return taken.size() < limit;
  });
  for (const QueueEntry& entry : taken) queue.erase(entry);
}

DF_INLINE void Scheduler::State::fill_stage_from(Instance& in, std::uint8_t hosted,
                                                 OrderedQueue& queue) {
  const WeightsId weights = in.hosted[hosted].weights;
  const bool from_bound = &queue != &by_weights[weights.index()].queue;
  const std::uint32_t limit = largest_batch(in);
  while (!queue.empty() && has_room(in, hosted)) {
    if (!may_form_batch(queue, weights, limit)) break;
    take_batch(queue, limit);
    if (from_bound) {
      for (const QueueEntry& entry : taken) {
        in.bound_work -=
            costs.whole(entry.node, requests[entry.request].shape, costs.class_of(in.role));
      }
    }
    assign(in, hosted, taken);
  }
}

DF_INLINE void Scheduler::State::fill(Instance& in) {
  if (in.life != Instance::Life::ready) return;
  const std::size_t stages_hosted = in.hosted.size();
  for (std::uint8_t i = 0; i < stages_hosted; ++i) {
    if (!in.bound.empty()) fill_stage_from(in, i, in.bound[i]);
    OrderedQueue& queue = by_weights[in.hosted[i].weights.index()].queue;
    if (!queue.empty()) fill_stage_from(in, i, queue);
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
  const WeightsId weights = facts[r.node.index()].weights;
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
  const QueueEntry entry = entry_of(r);
  assign(in, hosted, {&entry, 1});
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
  const std::int64_t key = stage(r.request, r.node).queue_key;
  if (!in.queue.empty()) {
    const std::uint32_t last = in.queue.back();
    if (batches[last].queue_key > key) revoke(last);
  } else {
    preempt(victim);
  }
}

}  // namespace disagfusion::scheduler
