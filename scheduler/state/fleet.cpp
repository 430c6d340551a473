// Moves between roles, operator orders, timers.
#include <algorithm>
#include <tuple>

#include "base/check.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Life = Instance::Life;

void Scheduler::State::timers_due() {
  armed = TimePoint::never();
  while (!timers.empty() && timers.next() <= now) {
    const std::uint32_t id = timers.pop();
    if (id < elasticity_timer()) {
      const WeightsId weights{static_cast<std::uint16_t>(id)};
      if (std::find(stages_to_fill.begin(), stages_to_fill.end(), weights) ==
          stages_to_fill.end()) {
        stages_to_fill.push_back(weights);
      }
      if (!setup.pull) {
        for (const InstanceId host : by_weights[weights.index()].hosts)
          freed(instances[host.index()]);
      }
    } else if (id == elasticity_timer()) {
      run_elasticity();
    } else {
      const std::uint32_t slot = id - elasticity_timer() - 1;
      if (requests[slot].number != 0) end(slot, EndState::timed_out, Why::timeout);
    }
  }
}

/// The world is asked for a timer only when an earlier instant is needed than it was asked for.
void Scheduler::State::arm() {
  armed = timers.next();
  emit(ActionKind::arm_timer).at = armed;
}

void Scheduler::State::view_fleet() {
  role_views.assign(setup.roles.size(), {});
  spare_gpus.assign(setup.gpu_types.size(), 0);
  for (const auto& machine : free_gpus) {
    for (std::size_t type = 0; type < machine.size(); ++type) spare_gpus[type] += machine[type];
  }
  for (const Instance& in : instances) {
    if (in.key.id == kController || in.life == Life::off) continue;
    const bool moving = in.next_role.valid();
    if (in.life == Life::ready) ++role_views[in.role.index()].ready;
    if (in.life == Life::draining || in.life == Life::drained) {
      ++role_views[in.role.index()].leaving;
    }
    if (moving) ++role_views[in.next_role.index()].coming;
    if (!moving &&
        (in.life == Life::provisioning || in.life == Life::loading || in.life == Life::expected)) {
      ++role_views[in.role.index()].coming;
    }
  }
}

void Scheduler::State::run_elasticity() {
  view_fleet();
  FleetView view;
  view.now = now;
  view.setup = &setup;
  view.roles = &role_views;
  view.spare_gpus = &spare_gpus;
  view.unfinished = &unfinished_work;
  view.arrived = &arrived_work;
  view.costs = &costs;
  moves.clear();
  const TimePoint again = policies.elasticity->decide(view, moves);
  if (!elasticity_paused) {
    for (const Move& wanted : moves) move(wanted);
  }
  if (again != TimePoint::never()) timers.set(elasticity_timer(), again);
}

/// The victim of a move: idle first, then the one free soonest; ties by instance.
InstanceId Scheduler::State::victim(PoolId from, PoolId to) const {
  const Instance* best = nullptr;
  const auto rank = [&](const Instance& in) {
    const bool busy = in.running != kNoSlot || !in.queue.empty();
    return std::tuple(busy, busy ? in.running_until + in.queued_work + in.bound_work : TimePoint{},
                      in.key.id);
  };
  for (const Instance& in : instances) {
    if (in.key.id == kController || in.life != Life::ready || in.pinned) continue;
    if (setup.roles[in.role.index()].name != setup.roles[from.index()].name) continue;
    if (to.valid() && !role_for(in, to).valid()) continue;
    if (best == nullptr || rank(in) < rank(*best)) best = &in;
  }
  return best == nullptr ? kController : best->key.id;
}

PoolId Scheduler::State::role_for(const Instance& in, PoolId wanted) const {
  const Role& here = setup.roles[in.role.index()];
  for (std::size_t i = 0; i < setup.roles.size(); ++i) {
    const Role& role = setup.roles[i];
    if (role.name == setup.roles[wanted.index()].name && role.gpu == here.gpu &&
        role.degree == here.degree) {
      return PoolId{static_cast<std::uint16_t>(i)};
    }
  }
  return PoolId{};
}

void Scheduler::State::move(const Move& wanted) {
  InstanceId id = wanted.instance;
  if (id == kController && wanted.from.valid()) id = victim(wanted.from, wanted.to);
  if (!wanted.from.valid() && id == kController) {
    provision(wanted.to, wanted.why);
    return;
  }
  if (id == kController || id.index() >= instances.size()) return;
  Instance& in = instances[id.index()];
  if (in.life != Life::ready || in.pinned) return;
  if (wanted.to.valid()) {
    const PoolId to = role_for(in, wanted.to);
    if (to.valid() && to != in.role) re_role(in, to, wanted.why);
    return;
  }
  decisions.push_back({now, "stop", id, setup.roles[in.role.index()].name, "", wanted.why});
  in.stop_when_free = true;
  drain(in);
}

void Scheduler::State::re_role(Instance& in, PoolId to, const std::string& why) {
  decisions.push_back({now, "re-role", in.key.id, setup.roles[in.role.index()].name,
                       setup.roles[to.index()].name, why});
  in.next_role = to;
  drain(in);
}

void Scheduler::State::provision(PoolId to, const std::string& why) {
  const Role& role = setup.roles[to.index()];
  for (std::uint32_t machine = 0; machine < free_gpus.size(); ++machine) {
    std::uint32_t& spare = free_gpus[machine][role.gpu.index()];
    if (spare < role.degree) continue;
    spare -= role.degree;
    auto place = std::find_if(instances.begin() + 1, instances.end(), [&](const Instance& in) {
      return in.life == Life::off && in.machine.value == machine;
    });
    if (place == instances.end()) {
      instances.emplace_back();
      place = instances.end() - 1;
      place->key.id = InstanceId{static_cast<std::uint32_t>(instances.size() - 1)};
    }
    Instance& in = *place;
    ++in.key.incarnation;
    in.machine = MachineId{machine};
    in.hosted.clear();
    in.role = to;
    in.next_role = PoolId{};
    in.handles = 0;
    in.life = Life::provisioning;
    decisions.push_back({now, "provision", in.key.id, "", role.name, why});
    CommandRecord& command = new_command(ActionKind::provision, in.key);
    Action& action = emit(ActionKind::provision);
    action.instance = in.key;
    action.command = command.key();
    action.pool = to;
    action.machine = in.machine;
    return;
  }
}

void Scheduler::State::operator_order(const Event& event) {
  if (event.order == Order::pause_elasticity || event.order == Order::resume_elasticity) {
    elasticity_paused = event.order == Order::pause_elasticity;
    return;
  }
  const std::size_t index = event.instance.id.index();
  if (index == 0 || index >= instances.size()) {
    stale();
    return;
  }
  Instance& in = instances[index];
  switch (event.order) {
    case Order::drain:
      in.held = true;
      drain(in);
      break;
    case Order::undrain:
      undrain(in);
      break;
    case Order::pin:
      in.pinned = true;
      break;
    case Order::unpin:
      in.pinned = false;
      break;
    case Order::re_role: {
      const Role& now_role = setup.roles[in.role.index()];
      for (std::size_t i = 0; i < setup.roles.size(); ++i) {
        const Role& role = setup.roles[i];
        const bool same = role.gpu == now_role.gpu && role.degree == now_role.degree &&
                          std::equal(role.stages.begin(), role.stages.end(), event.stages.begin(),
                                     event.stages.end());
        if (!same || in.life != Life::ready || PoolId{static_cast<std::uint16_t>(i)} == in.role) {
          continue;
        }
        re_role(in, PoolId{static_cast<std::uint16_t>(i)}, "asked by the operator");
        break;
      }
      break;
    }
    default:
      stale();
  }
}

}  // namespace disagfusion::scheduler
