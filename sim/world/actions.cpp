// What the scheduler's actions do to the simulated world.
#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "base/inline.hpp"
#include "sim/world/world.hpp"

namespace disagfusion::sim {

using scheduler::ActionKind;

void World::apply(const ActionBuffer& buffer) {
  for (const Action& action : buffer.actions) {
    // What concerns no instance stays at the controller.
    if (delayed() && action.instance.id != kController) {
      send_down(action, buffer);
    } else {
      carry_out(action, buffer);
    }
  }
}

DF_INLINE void World::carry_out(const Action& action, const ActionBuffer& buffer) {
  switch (action.kind) {
    case ActionKind::admit:
      break;
    case ActionKind::reject:
    case ActionKind::end_request:
      request_ended(action.request);
      break;
    case ActionKind::arm_timer:
      tree_.set(kTimer, std::max(action.at, now_), next_sequence());
      break;
    case ActionKind::cancel_timer:
      tree_.clear(kTimer);
      break;
    case ActionKind::enqueue:
      enqueue(action, buffer);
      break;
    case ActionKind::extend:
      extend(action, buffer);
      break;
    case ActionKind::revoke:
      revoke(action);
      break;
    case ActionKind::preempt:
      preempt(action, buffer);
      break;
    case ActionKind::transfer:
      start_transfer(action);
      break;
    case ActionKind::cancel_transfer:
      cancel_transfer(action);
      break;
    case ActionKind::release:
      release(action);
      break;
    case ActionKind::provision:
      provision(action);
      break;
    case ActionKind::output_sent:
      if (Instance* in = addressee(action.instance)) {
        in->queue.output_sent(action.target);
        kick(*in);
      }
      break;
    default:
      live_on(action);
  }
}

void World::arrived_below(const Action& action, const ActionBuffer& buffer) {
  carry_out(action, buffer);
}

DF_INLINE void World::enqueue(const Action& action, const ActionBuffer& buffer) {
  Instance* in = addressee(action.instance);
  if (in == nullptr) return;
  if (in->life != Life::ready || !in->queue.enqueue(action, buffer)) {
    note(EventKind::batch_refused, in->key, action.command, Reason::wrong_role);
    return;
  }
  kick(*in);
}

void World::extend(const Action& action, const ActionBuffer& buffer) {
  Instance* in = addressee(action.instance);
  if (in == nullptr) return;
  const bool done = in->queue.extend(action, buffer);
  note(done ? EventKind::batch_extended : EventKind::too_late, in->key, action.command);
}

void World::revoke(const Action& action) {
  Instance* in = addressee(action.instance);
  if (in == nullptr) return;
  switch (in->queue.revoke(action.target, action.request)) {
    case RunQueue::Revoked::too_late:
      note(EventKind::too_late, in->key, action.command);
      break;
    case RunQueue::Revoked::member:
      note(EventKind::batch_revoked, in->key, action.command, Reason::none, action.request);
      kick(*in);
      break;
    case RunQueue::Revoked::all:
      note(EventKind::batch_revoked, in->key, action.target);
      check_drained(*in);
      break;
  }
}

/// Steps end at started + before + k per_step, k = 1, 2, ...: the first such instant not before
/// now.
void World::preempt(const Action& action, const ActionBuffer& buffer) {
  Instance* in = addressee(action.instance);
  if (in == nullptr) return;
  const RunQueue::Entry* running = in->queue.running();
  if (running == nullptr || running->command != action.target || in->stop_after != 0) {
    note(EventKind::too_late, in->key, action.command);
    return;
  }
  const double ns_per_step = in->cost->per_step_s * 1e9 * in->factor;
  const double ns_before_steps =
      running->first_step == 0 ? in->cost->fixed_s * 1e9 * in->factor : 0;
  const double passed = static_cast<double>((now_ - in->started).ns) - ns_before_steps;
  const double steps = std::max(1.0, std::ceil(passed / std::max(1.0, ns_per_step)));
  const double in_batch = running->last_step - running->first_step;
  if (steps >= in_batch) return;  // it ends as it is: that settles the preempt, too
  in->stop_after = running->first_step + static_cast<std::uint32_t>(steps);
  const auto members = buffer.members_of(action);
  in->keep.assign(members.begin(), members.end());
  const double at = ns_before_steps + steps * ns_per_step;
  in->ends = std::max(now_, in->started + Duration{rounded(at)});
  tree_.set(tree_slot(*in), in->ends, next_sequence());
}

// ---- transfers ---------------------------------------------------------------------------------

DF_INLINE void World::start_transfer(const Action& action) {
  const bool to_controller = action.instance.id == kController;
  const bool from_controller = action.from.id == kController;
  Instance* to = to_controller ? nullptr : addressee(action.instance);
  if (!to_controller && to == nullptr) return;
  Instance* from = from_controller ? nullptr : addressee(action.from);
  if (!from_controller && from == nullptr) {
    note(EventKind::transfer_failed, action.instance, action.command, Reason::sender_lost);
    return;
  }
  auto bytes = static_cast<double>(action.bytes);
  Duration latency;
  std::uint32_t egress = kNoResource, ingress = kNoResource;
  if (from != nullptr && to != nullptr && from->machine == to->machine) {
    const auto& group = scenario_.fleet.nodes[setup_.machines[to->machine.index()].group];
    if (group.inside_bandwidth > 0 && from != to) {
      latency = from_seconds(bytes / group.inside_bandwidth);
    }
    bytes = 0;
  } else {
    double jitter_cv = 0;
    for (const Instance* end : {from, to}) {
      if (end == nullptr || end->link == nullptr) continue;
      latency = std::max(latency, end->link->latency);
      jitter_cv = std::max(jitter_cv, end->link->jitter_cv);
    }
    if (from != nullptr) egress = from->egress;
    if (to != nullptr) ingress = to->ingress;
    if (jitter_cv > 0) {
      // By request and by what reads it: the same luck under every policy.
      const std::uint64_t index = requests_[action.request.slot].index;
      const std::uint64_t reader = to_controller ? 0xffffULL : action.node.value;
      const std::uint64_t sender = from == nullptr ? 0 : handles_[action.handle.slot].node;
      RandomStream stream(seed_, Purpose::transfer_jitter, index, reader << 16U | sender);
      const double factor = LognormalDistribution(1, jitter_cv)(stream);
      bytes *= factor;
      latency.ns = static_cast<std::int64_t>(static_cast<double>(latency.ns) * factor);
    }
  }
  const Network::TransferId id = network_.start(now_, egress, ingress, bytes, latency);
  Moving& moving = moving_.at_slot(id);
  moving.active = true;
  moving.command = action.command;
  moving.target = action.target;
  moving.handle = action.handle;
  moving.from = action.from;
  moving.to = action.instance;
  if (action.command.slot >= transfer_of_.size()) transfer_of_.resize(action.command.slot + 1UL);
  transfer_of_[action.command.slot] = id;
  set_network();
}

void World::set_network() {
  const Network::Next next = network_.next();
  if (next.time == TimePoint::never()) {
    tree_.clear(kNetwork);
  } else if (tree_.of(kNetwork) != make_key(next.time, next.sequence, kNetwork)) {
    tree_.set(kNetwork, next.time, next.sequence);
  }
}

void World::cancel_transfer(const Action& action) {
  const std::uint32_t slot = action.target.slot;
  if (slot < transfer_of_.size()) {
    const std::uint32_t id = transfer_of_[slot];
    if (id < moving_.size() && moving_[id].active && moving_[id].command == action.target) {
      moving_[id].active = false;
      network_.cancel(now_, id);
      set_network();
      note(EventKind::transfer_cancelled, action.instance, action.target);
      return;
    }
  }
  note(EventKind::too_late, action.instance, action.command);
}

bool World::network_due() {
  const std::optional<Network::TransferId> delivered = network_.advance();
  set_network();
  if (!delivered) return false;
  Moving& moved = moving_[*delivered];
  moved.active = false;
  begin_event(EventKind::transfer_finished, moved.to, moved.command);
  Instance* to = addressee(moved.to);
  if (to != nullptr) {
    to->queue.input_arrived(moved.target, moved.handle);
    if (to->queue.running() == nullptr) event_.started = start_next(*to);
  }
  const bool now = tell();
  Instance* from = addressee(moved.from);
  if (from != nullptr && from->queue.counts_outputs()) {
    from->queue.output_transfer_ended(handles_[moved.handle.slot].producer);
    kick(*from);
  }
  return now;
}

DF_INLINE void World::release(const Action& action) {
  if (action.handle.slot < handles_.size()) {
    HandleRecord& record = handles_[action.handle.slot];
    if (record.generation == action.handle.generation) drop_handle(record);
  }
  if (action.instance.id != kController && addressee(action.instance) == nullptr) return;
  note(EventKind::handle_released, action.instance, action.command);
}

}  // namespace disagfusion::sim
