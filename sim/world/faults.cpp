// Faults on a schedule: crashes with or without repair, reclaimed instances. docs/models/faults.md
// says when the controller notices.
#include <algorithm>

#include "base/check.hpp"
#include "sim/world/world.hpp"

namespace disagfusion::sim {

void World::schedule(TimePoint at, Rare rare) {
  rare_.push_back(rare);
  rare_heap_.set(static_cast<std::uint32_t>(rare_.size() - 1), at, next_sequence());
  tree_.set(kRare, rare_heap_.top().time, rare_heap_.top().sequence);
}

bool World::rare_due() {
  const Rare rare = rare_[rare_heap_.top().id];
  rare_heap_.pop();
  if (rare_heap_.empty()) {
    tree_.clear(kRare);
  } else {
    tree_.set(kRare, rare_heap_.top().time, rare_heap_.top().sequence);
  }
  if (rare.kind == Rare::Kind::fault) return strike(scenario_.faults[rare.index]);
  Instance& in = instances_[rare.instance.id.index()];
  if (in.key != rare.instance) return false;
  switch (rare.kind) {
    case Rare::Kind::loss_noticed:
      return in.life == Life::dead && tell_loss(in);
    case Rare::Kind::reclaimed:
      if (in.life != Life::off && in.life != Life::dead) crash(in);
      return false;
    case Rare::Kind::repaired: {
      const bool told = tell_loss(in);
      come_back(in);
      return told;
    }
    default:
      return false;
  }
}

bool World::strike(const FaultSpec& fault) {
  if (fault.instance == 0 || fault.instance >= instances_.size()) return false;
  Instance& in = instances_[fault.instance];
  if (in.life == Life::off || in.life == Life::dead) return false;  // nobody is there to be hit
  if (fault.kind == FaultSpec::Kind::reclaim) {
    const TimePoint gone = now_ + fault.notice;
    schedule(gone, {Rare::Kind::reclaimed, 0, in.key});
    note(EventKind::reclaim_notice, in.key, {}, Reason::none, {}, gone);
    return false;
  }
  crash(in);
  if (fault.repair) schedule(now_ + *fault.repair, {Rare::Kind::repaired, 0, in.key});
  return false;
}

/// The instance is gone with all it held. Messages it had sent still arrive. Its last heartbeat
/// left at the last multiple of `heartbeat` of its life; the loss is noticed `lost_after` after
/// that heartbeat arrived.
void World::crash(Instance& in) {
  in.life = Life::dead;
  tree_.clear(tree_slot(in));
  if (in.queue.running() != nullptr) in.queue.abandon();
  in.queue.unhost();
  in.life_command = {};
  in.drain = {};
  in.stop_after = 0;
  for (HandleRecord& record : handles_) {
    if (record.generation != 0 && record.holder == in.key) drop_handle(record);
  }
  for (std::uint32_t id = 0; id < moving_.size(); ++id) {
    Moving& moved = moving_[id];
    if (!moved.active || (moved.from != in.key && moved.to != in.key)) continue;
    moved.active = false;
    network_.cancel(now_, id);
    if (moved.to != in.key) {
      note(EventKind::transfer_failed, moved.to, moved.command, Reason::sender_lost);
    }
  }
  set_network();
  const Duration beat = control_.heartbeat;
  const std::int64_t beats = beat.ns > 0 ? (now_ - in.up_since).ns / beat.ns : 0;
  const TimePoint last_beat = beat.ns > 0 ? in.up_since + beat * beats : now_;
  const TimePoint noticed = last_beat + control_.delay + control_.lost_after;
  schedule(std::max(now_, noticed), {Rare::Kind::loss_noticed, 0, in.key});
}

/// The controller notices by itself: no message, no delay.
bool World::tell_loss(Instance& in) {
  if (in.loss_told) return false;
  in.loss_told = true;
  begin_event(EventKind::instance_lost, in.key, {});
  return true;
}

/// A repaired instance is a new life: it has nothing, and loads its role again.
void World::come_back(Instance& in) {
  ++in.key.incarnation;
  in.life = Life::loading;
  in.life_command = {};
  in.up_since = now_;
  in.loss_told = false;
  tree_.set(tree_slot(in), now_ + setup_.roles[in.role.index()].load, next_sequence());
}

}  // namespace disagfusion::sim
