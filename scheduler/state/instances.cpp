// The life of instances: ready, drained, loading another role, lost, back again.
#include <algorithm>

#include "base/check.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Life = Instance::Life;
using Phase = StageRecord::Phase;

const char* name_of(Instance::Life life) {
  switch (life) {
    case Life::off:
      return "off";
    case Life::expected:
      return "expected";
    case Life::provisioning:
      return "provisioning";
    case Life::loading:
      return "loading";
    case Life::ready:
      return "ready";
    case Life::draining:
      return "draining";
    case Life::drained:
      return "drained";
    case Life::unloading:
      return "unloading";
    case Life::stopping:
      return "stopping";
    case Life::lost:
      return "lost";
  }
  return "?";
}

void Scheduler::State::instance_event(const Event& event) {
  if (event.kind == EventKind::instance_ready && !event.command.valid()) {
    const std::size_t index = event.instance.id.index();
    DF_CHECK(index > 0 && index < instances.size());
    Instance& in = instances[index];
    // The initial fleet, or a lost instance that is back under a new incarnation.
    const bool comes_back =
        in.life == Life::lost && event.instance.incarnation > in.key.incarnation;
    if (in.life != Life::expected && !comes_back) {
      stale();
      return;
    }
    in.key.incarnation = event.instance.incarnation;
    become_ready(in);
    return;
  }
  Instance* in = present(event);
  if (in == nullptr) return;
  CommandRecord* command = nullptr;
  for (const ActionKind kind : {ActionKind::provision, ActionKind::load, ActionKind::unload,
                                ActionKind::drain, ActionKind::stop}) {
    if (command == nullptr) command = find(event.command, kind);
  }
  if (event.command.valid() && command == nullptr) {
    stale();
    return;
  }
  if (command != nullptr) settle(*command);
  switch (event.kind) {
    case EventKind::instance_provisioned:
      begin_load(*in, in->role);
      break;
    case EventKind::instance_ready:
      become_ready(*in);
      break;
    case EventKind::instance_unloaded:
      host(*in, PoolId{});
      begin_load(*in, in->next_role);
      break;
    case EventKind::instance_drained:
      drained(*in);
      break;
    case EventKind::instance_stopped:
      for (std::size_t type = 0; type < setup.gpu_types.size(); ++type) {
        const Role& role = setup.roles[in->role.index()];
        if (role.gpu.index() == type) free_gpus[in->machine.index()][type] += role.degree;
      }
      in->life = Life::off;
      break;
    case EventKind::instance_lost:
      lose(*in);
      break;
    case EventKind::reclaim_notice:
      in->stop_when_free = true;
      in->next_role = PoolId{};
      drain(*in);
      break;
    case EventKind::start_failed:
      in->life = Life::off;
      break;
    case EventKind::load_failed: {
      constexpr std::uint32_t kLoadAttempts = 3;
      if (++in->load_failures < kLoadAttempts) {
        begin_load(*in, in->role);
      } else {
        in->life = Life::off;
      }
      break;
    }
    default:
      DF_CHECK(false, "{} is no event of an instance's life", name_of(event.kind));
  }
}

void Scheduler::State::host(Instance& in, PoolId role) {
  rebuild_hosts(in);  // leaves the stages it hosted
  for (OrderedQueue& bound : in.bound) DF_CHECK(bound.empty());
  in.hosted.clear();
  in.dirty = false;
  if (!role.valid()) return;
  in.role = role;
  for (const WeightsId weights : setup.roles[role.index()].stages) {
    in.hosted.push_back({weights, 0, 0});
  }
  if (!setup.pull) in.bound.resize(std::max(in.bound.size(), in.hosted.size()));
}

/// Tells the routing policy who hosts the stages of this instance now.
void Scheduler::State::rebuild_hosts(const Instance& changed) {
  std::vector<CostClass> classes;
  for (const HostedStage& hosted : changed.hosted) {
    StageState& state = by_weights[hosted.weights.index()];
    const auto place = std::lower_bound(state.hosts.begin(), state.hosts.end(), changed.key.id);
    const bool listed = place != state.hosts.end() && *place == changed.key.id;
    const bool belongs = changed.life == Life::ready;
    if (listed == belongs) continue;
    if (belongs) {
      state.hosts.insert(place, changed.key.id);
    } else {
      state.hosts.erase(place);
    }
    classes.clear();
    for (const InstanceId id : state.hosts) {
      classes.push_back(costs.class_of(instances[id.index()].role));
      touch(instances[id.index()]);
    }
    policies.routing->set_hosts(hosted.weights, state.hosts, classes);
  }
}

void Scheduler::State::become_ready(Instance& in) {
  in.life = Life::ready;
  in.load_failures = 0;
  in.held = false;
  in.running = kNoSlot;
  in.running_until = now;
  in.queued_work = {};
  in.queue.clear();
  if (in.hosted.empty() || in.next_role.valid()) {
    const PoolId role = in.next_role.valid() ? in.next_role : in.role;
    in.next_role = PoolId{};
    in.life = Life::loading;  // host() must not list it under the old role
    host(in, role);
    in.life = Life::ready;
  }
  for (HostedStage& hosted : in.hosted) hosted.used_slots = hosted.outputs = 0;
  rebuild_hosts(in);
  freed(in);
}

void Scheduler::State::begin_load(Instance& in, PoolId role) {
  if (!role.valid()) {
    stop_if_free(in);
    return;
  }
  in.life = Life::loading;
  in.next_role = role;
  CommandRecord& command = new_command(ActionKind::load, in.key);
  Action& action = emit(ActionKind::load);
  action.instance = in.key;
  action.command = command.key();
  action.pool = role;
}

// ---- draining ----------------------------------------------------------------------------------

void Scheduler::State::unbind(Instance& in) {
  for (std::size_t i = 0; i < in.bound.size(); ++i) {
    while (!in.bound[i].empty()) {
      const QueueEntry entry = in.bound[i].front();
      in.bound[i].pop_front();
      StageRecord& record = stage(entry.request, position_of(entry.node));
      record.phase = Phase::waiting;
      record.keep_ready = true;
      make_ready(entry.request, record, entry.node);
    }
  }
  in.bound_work = {};
}

void Scheduler::State::drain(Instance& in) {
  if (in.life != Life::ready) return;
  in.life = Life::draining;
  rebuild_hosts(in);
  for (const std::uint32_t slot : std::vector<std::uint32_t>(in.queue)) {
    if (!batches[slot].revoking) revoke(slot);
  }
  unbind(in);
  CommandRecord& command = new_command(ActionKind::drain, in.key);
  Action& action = emit(ActionKind::drain);
  action.instance = in.key;
  action.command = command.key();
}

void Scheduler::State::undrain(Instance& in) {
  if (in.life != Life::drained && in.life != Life::draining) return;
  if (in.next_role.valid() || in.stop_when_free) return;
  // A drain that has not been answered is over as well.
  for (std::uint32_t slot = 0; slot < commands.size(); ++slot) {
    if (commands.live(slot) && commands[slot].kind == ActionKind::drain &&
        commands[slot].addressee == in.key) {
      free_command(slot);
    }
  }
  in.life = Life::ready;
  in.held = false;
  Action& action = emit(ActionKind::undrain);
  action.instance = in.key;
  rebuild_hosts(in);
  freed(in);
}

void Scheduler::State::drained(Instance& in) {
  if (in.life != Life::draining) return;
  in.life = Life::drained;
  if (in.stop_when_free) {
    stop_if_free(in);
  } else if (in.next_role.valid()) {
    in.life = Life::unloading;
    CommandRecord& command = new_command(ActionKind::unload, in.key);
    Action& action = emit(ActionKind::unload);
    action.instance = in.key;
    action.command = command.key();
  }
}

/// Before stop, its handles are released.
void Scheduler::State::stop_if_free(Instance& in) {
  if (!in.stop_when_free || in.life != Life::drained || in.handles > 0) return;
  in.life = Life::stopping;
  in.stop_when_free = false;
  CommandRecord& command = new_command(ActionKind::stop, in.key);
  Action& action = emit(ActionKind::stop);
  action.instance = in.key;
  action.command = command.key();
}

// ---- loss --------------------------------------------------------------------------------------

/// Every open command addressed to it is settled, every handle on it is lost; what is still wanted
/// runs again.
void Scheduler::State::lose(Instance& in) {
  const InstanceKey key = in.key;
  const bool was_ready = in.life == Life::ready;
  // Back again, it loads the role that it had, or was about to have.
  if (in.life == Life::loading && in.next_role.valid()) in.role = in.next_role;
  in.next_role = PoolId{};
  in.stop_when_free = in.held = false;
  in.life = Life::lost;
  if (was_ready) rebuild_hosts(in);
  std::vector<std::uint32_t> hit;
  const auto hit_by = [&](std::uint32_t request) {
    if (std::find(hit.begin(), hit.end(), request) == hit.end()) hit.push_back(request);
  };
  unbind(in);
  for (std::uint32_t slot = 0; slot < commands.size(); ++slot) {
    if (!commands.live(slot) || commands[slot].addressee != key) continue;
    const CommandRecord command = commands[slot];
    const bool edit = command.kind == ActionKind::extend || command.kind == ActionKind::revoke ||
                      command.kind == ActionKind::preempt;
    if (edit) continue;  // ends with its batch
    if (command.kind == ActionKind::enqueue) {
      fail_members(command.batch, hit);
      drop_batch(command.batch);
    } else if (command.kind == ActionKind::transfer) {
      if (HandleRecord* handle = find(command.handle)) {
        --handle->open_transfers;
        if (handle->doomed && handle->open_transfers == 0) release_when_free(command.handle);
      }
    }
    if (commands.live(slot) && commands[slot].key() == command.key()) free_command(slot);
  }
  // Ended batches whose outputs were still being sent.
  for (std::uint32_t slot = 0; slot < batches.size(); ++slot) {
    if (batches.live(slot) && batches[slot].instance == key.id) drop_batch(slot);
  }
  for (std::uint32_t slot = 0; slot < handles.size(); ++slot) {
    if (!handles.live(slot) || handles[slot].holder != key) continue;
    const HandleKey gone{slot, handles[slot].generation};
    const std::uint32_t request = handles[slot].request.slot;
    if (lose_handle(gone)) hit_by(request);
  }
  in.running = kNoSlot;
  in.queue.clear();
  in.queued_work = {};
  in.handles = 0;
  for (HostedStage& hosted : in.hosted) hosted.used_slots = hosted.outputs = 0;
  std::sort(hit.begin(), hit.end(), [&](std::uint32_t a, std::uint32_t b) {
    return requests[a].number < requests[b].number;
  });
  retry_all(hit);
}

// ---- a restarted controller --------------------------------------------------------------------

/// Compares what a worker has with what the log says it should have.
void Scheduler::State::take_inventory(Instance& in, const Event& event) {
  DF_CHECK(event.inventory != nullptr);
  const Inventory& has = *event.inventory;
  const auto holds = [](auto values, auto value) {
    return std::find(values.begin(), values.end(), value) != values.end();
  };
  std::vector<std::uint32_t> hit;
  for (std::uint32_t slot = 0; slot < commands.size(); ++slot) {
    if (!commands.live(slot) || commands[slot].addressee != in.key) continue;
    const CommandRecord command = commands[slot];
    if (command.kind == ActionKind::enqueue && !holds(has.run_queue, command.key())) {
      // Refused: unknown. It never arrived, or its result was lost with the connection.
      if (batches[command.batch].phase == Batch::Phase::queued) {
        take_from_queue(in, command.batch);
      } else {
        in.running = kNoSlot;
        in.running_until = now;
      }
      fail_members(command.batch, hit);
      drop_batch(command.batch);
      free_command(slot);
    } else if (command.kind == ActionKind::transfer && !holds(has.transfers, command.key())) {
      // Asked again: the worker pulls once more.
      const HandleRecord* handle = find(command.handle);
      if (handle == nullptr) continue;
      Action& action = emit(ActionKind::transfer);
      action.command = command.key();
      action.instance = in.key;
      action.from = handle->holder;
      action.handle = command.handle;
      action.request = command.request;
      action.bytes = handle->bytes;
      action.target = command.target();
    } else if (command.kind == ActionKind::release && !holds(has.handles, command.handle)) {
      free_command(slot);
      if (find(command.handle) != nullptr) free_handle(command.handle);
    }
  }
  if (has.first_is_running && !has.run_queue.empty()) start(has.run_queue.front());
  for (const HandleKey key : has.handles) {
    if (find(key) != nullptr) continue;
    release(key, in.key);  // unknown: released
  }
  for (std::uint32_t slot = 0; slot < handles.size(); ++slot) {
    if (!handles.live(slot) || handles[slot].holder != in.key) continue;
    const HandleKey key{slot, handles[slot].generation};
    if (handles[slot].phase != HandleRecord::Phase::held || holds(has.handles, key)) continue;
    const std::uint32_t request = handles[slot].request.slot;
    if (lose_handle(key) && std::find(hit.begin(), hit.end(), request) == hit.end()) {
      hit.push_back(request);
    }
  }
  retry_all(hit);
  freed(in);
}

}  // namespace disagfusion::scheduler
