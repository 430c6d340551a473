// Simulated instances: computing, loading, draining, stopping.
#include <algorithm>
#include <cmath>

#include "base/append.hpp"
#include "base/check.hpp"
#include "base/inline.hpp"
#include "sim/world/world.hpp"

namespace disagfusion::sim {

using scheduler::ActionKind;

// ---- computing ---------------------------------------------------------------------------------

/// The estimate of such a batch: mostly that of the batch before it.
DF_INLINE const predictor::Estimate& World::cost_of(Instance& in, NodeId node, std::uint32_t shape,
                                                    std::uint32_t batch) {
  if (in.cost == nullptr || in.node != node || in.shape != shape || in.batch != batch) {
    in.cost = &costs_.at(node, shape, setup_.roles[in.role.index()].gpu, in.role.index(), batch);
    in.node = node;
    in.shape = shape;
    in.batch = batch;
  }
  return *in.cost;
}

/// The first member that has not ended meanwhile gives shape and luck.
World::RequestRecord& World::first_alive(const RunQueue::Entry& entry) {
  const auto alive = [&](const scheduler::BatchMember& m) {
    return requests_[m.request.slot].generation == m.request.generation;
  };
  auto first = std::find_if(entry.members.begin(), entry.members.end(), alive);
  if (first == entry.members.end()) first = entry.members.begin();
  return requests_[first->request.slot];
}

DF_INLINE Duration World::seconds_of(Instance& in, const RunQueue::Entry& entry) {
  const std::size_t members = entry.members.size();
  RequestRecord& request =
      members == 1 ? requests_[entry.members.front().request.slot] : first_alive(entry);
  const std::uint32_t images = std::max<std::uint32_t>(1, costs_.shape(request.shape).images);
  const predictor::Estimate& estimate =
      cost_of(in, entry.node, request.shape, static_cast<std::uint32_t>(members) * images);
  double factor = 1;
  if (estimate.distribution != Distribution::constant) {
    if (!request.drawn) {
      request.bits = predictor::service_bits(seed_, request.index);
      request.drawn = true;
    }
    factor = predictor::service_factor(estimate, seed_, request.index,
                                       setup_.graph.nodes[entry.node.index()].stage, request.bits);
  }
  in.factor = factor;
  const double ns = predictor::service_ns(estimate, entry.first_step, entry.last_step, factor);
  return {rounded(ns)};
}

/// The entry computes from now on; the tree follows.
DF_INLINE void World::begin(Instance& in, const RunQueue::Entry& entry) {
  in.started = now_;
  in.ends = now_ + seconds_of(in, entry);
  in.stop_after = 0;
  tree_.set(tree_slot(in), in.ends, next_sequence());
}

World::CommandKey World::start_next(Instance& in) {
  const bool able = in.queue.waiting() > 0 && in.life == Life::ready;
  const RunQueue::Entry* entry = able ? in.queue.start_next() : nullptr;
  if (entry == nullptr) return {};
  begin(in, *entry);
  return entry->command;
}

/// Something changed that may let an idle instance start: tells if so.
void World::start_if_able(Instance& in) {
  const CommandKey started = start_next(in);
  if (!started.valid()) return;
  note(EventKind::batch_started, in.key, started);
  // A batch that takes no time ends after its start has been told.
  if (in.ends == now_) tree_.set(tree_slot(in), in.ends, next_sequence());
}

DF_INLINE double World::output_bytes(NodeId node, std::uint32_t shape) {
  double& known = output_bytes_[shape * setup_.graph.nodes.size() + node.index()];
  if (known < 0) known = truth_.output_bytes(node, costs_.shape(shape));
  return known;
}

DF_INLINE void World::hold(HandleKey handle, const Instance& in, const RunQueue::Entry& entry,
                           double bytes) {
  HandleRecord& record = handles_.at_slot(handle.slot);
  record.generation = handle.generation;
  record.holder = in.key;
  record.producer = entry.command;
  record.node = entry.node.value;
  record.bytes = bytes;
  double& held = host_bytes_[in.machine.index()];
  held += bytes;
  host_peak_[in.machine.index()] = std::max(host_peak_[in.machine.index()], held);
}

void World::drop_handle(HandleRecord& record) {
  host_bytes_[instances_[record.holder.id.index()].machine.index()] -= record.bytes;
  record.generation = 0;
}

DF_INLINE bool World::batch_ended(Instance& in) {
  const RunQueue::Entry& entry = *in.queue.running();
  const bool preempted = in.stop_after != 0;
  outcomes_.clear();
  for (const scheduler::BatchMember& member : entry.members) {
    MemberOutcome& outcome = append(
        outcomes_, {member.request, MemberOutcome::Kind::output, Reason::none, member.output, 0});
    if (preempted) [[unlikely]] {
      const auto kept = std::find_if(in.keep.begin(), in.keep.end(),
                                     [&](const auto& m) { return m.request == member.request; });
      outcome.handle = kept == in.keep.end() ? HandleKey{} : kept->state;
      outcome.kind =
          outcome.handle.valid() ? MemberOutcome::Kind::state : MemberOutcome::Kind::dropped;
    }
    if (outcome.handle.valid()) {
      const double bytes = output_bytes(entry.node, in.shape);
      // By way of the signed type: the unsigned one alone has a case for more than 2^63.
      outcome.bytes = static_cast<std::uint64_t>(static_cast<std::int64_t>(bytes));
      hold(outcome.handle, in, entry, bytes);
    }
  }
  begin_event(preempted ? EventKind::batch_preempted : EventKind::batch_finished, in.key,
              entry.command);
  event_.steps_done = preempted ? in.stop_after : entry.last_step;
  event_.compute = now_ - in.started;
  event_.members = outcomes_;
  if (preempted) {
    in.queue.abandon();
  } else {
    in.queue.finish();
  }
  tree_.take(tree_slot(in));
  event_.started = start_next(in);
  const bool now = tell();
  if (in.drain.valid()) check_drained(in);
  return now;
}

// ---- lives -------------------------------------------------------------------------------------

bool World::instance_due(Instance& in) {
  if (in.life == Life::ready) return batch_ended(in);
  tree_.clear(tree_slot(in));
  const CommandKey command = in.life_command;
  in.life_command = {};
  if (in.life == Life::provisioning) {
    in.life = Life::empty;
    begin_event(EventKind::instance_provisioned, in.key, command);
    return tell();
  }
  DF_CHECK(in.life == Life::loading, "instance {} has no event now", in.key.id.value);
  in.life = Life::ready;
  const scheduler::Role& role = setup_.roles[in.role.index()];
  in.queue.host(role.stages, role.output_slots);
  begin_event(EventKind::instance_ready, in.key, command);
  return tell();
}

void World::check_drained(Instance& in) {
  if (!in.drain.valid() || !in.queue.drained()) return;
  note(EventKind::instance_drained, in.key, in.drain);
  in.drain = {};
}

void World::live_on(const Action& action) {
  Instance* in = addressee(action.instance);
  if (in == nullptr) return;
  switch (action.kind) {
    case ActionKind::load:
      in->life = Life::loading;
      in->role = action.pool;
      in->cost = nullptr;
      in->life_command = action.command;
      tree_.set(tree_slot(*in), now_ + setup_.roles[in->role.index()].load, next_sequence());
      break;
    case ActionKind::unload:
      in->queue.unhost();
      in->life = Life::empty;
      note(EventKind::instance_unloaded, in->key, action.command);
      break;
    case ActionKind::drain:
      in->drain = action.command;
      in->queue.set_draining(true);
      check_drained(*in);
      break;
    case ActionKind::undrain:
      in->drain = {};
      in->queue.set_draining(false);
      break;
    case ActionKind::stop:
      in->queue.unhost();
      note(EventKind::instance_stopped, in->key, action.command);
      in->life = Life::off;
      in->loss_told = true;
      break;
    default:
      DF_CHECK(false, "the world knows no {}", scheduler::name_of(action.kind));
  }
}

const LinkSpec* World::link_of(MachineId machine) const {
  const auto& nic = scenario_.fleet.nodes[setup_.machines[machine.index()].group].nic;
  if (nic) return &*nic;
  return scenario_.network ? &*scenario_.network : nullptr;
}

void World::make_links(Instance& in) {
  const std::uint32_t shared = machine_link_[in.machine.index()];
  if (shared != kNoResource) {
    in.egress = shared;
    in.ingress = shared + 1;
    return;
  }
  const double bandwidth = scenario_.network ? scenario_.network->bandwidth : 0;
  in.egress = network_.add_resource(bandwidth);
  in.ingress = network_.add_resource(bandwidth);
}

void World::provision(const Action& action) {
  Instance& in = instances_.at_slot(action.instance.id.index());
  tree_.grow(kInstances + static_cast<std::uint32_t>(instances_.size()));
  in.key = action.instance;
  in.role = action.pool;
  in.cost = nullptr;
  const bool elsewhere = in.machine != action.machine;
  in.machine = action.machine;
  in.link = link_of(in.machine);
  in.life = Life::provisioning;
  in.life_command = action.command;
  in.drain = {};
  in.up_since = now_;
  in.loss_told = false;
  if (in.egress == kNoResource || elsewhere) make_links(in);
  const Duration takes = setup_.machines[in.machine.index()].provision;
  tree_.set(tree_slot(in), now_ + takes, next_sequence());
}

}  // namespace disagfusion::sim
