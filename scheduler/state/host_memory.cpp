// What lies in the host memory of each machine, and what goes where it runs out.
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Phase = StageRecord::Phase;

/// A finished stage's output that every reader still waits with, for want of another predecessor.
/// One that was made again stays: two outputs of one request cannot drive each other out for ever.
bool Scheduler::State::parked(const HandleRecord& handle, HandleKey key) {
  if (handle.kind != HandleRecord::Kind::output || handle.phase != HandleRecord::Phase::held ||
      handle.doomed || handle.open_transfers > 0 || !alive(handle.request)) {
    return false;
  }
  const std::uint32_t slot = handle.request.slot;
  const StageRecord& maker = stage(slot, position_of(handle.node));
  if (maker.output != key || maker.dropped) return false;
  bool awaited = false;
  for (const NodeId next : setup.graph.nodes[handle.node.index()].before) {
    const StageRecord& reader = stage(slot, position_of(next));
    if (reader.phase == Phase::done) continue;
    if (reader.phase != Phase::waiting || reader.missing == 0) return false;
    awaited = true;
  }
  return awaited;
}

HandleKey Scheduler::State::youngest_parked(MachineId machine) {
  HandleKey youngest;
  std::uint64_t order = 0;
  for (std::uint32_t slot = 0; slot < handles.size(); ++slot) {
    if (!handles.live(slot)) continue;
    const HandleRecord& handle = handles[slot];
    const HandleKey key{slot, handle.generation};
    if (handle.host != machine || handle.order <= order || !parked(handle, key)) continue;
    youngest = key;
    order = handle.order;
  }
  return youngest;
}

void Scheduler::State::drop_parked(MachineId machine, double limit) {
  while (held_bytes[machine.index()] > limit) {
    const HandleKey key = youngest_parked(machine);
    if (!key.valid()) return;  // what is there is needed: the world's affair
    const HandleRecord& handle = *find(key);
    StageRecord& maker = stage(handle.request.slot, position_of(handle.node));
    maker.output = {};
    maker.dropped = true;
    ++counters.outputs_dropped;
    release_when_free(key);
  }
}

bool Scheduler::State::inputs_readable(std::uint32_t slot, NodeId node) {
  for (const NodeId before : setup.graph.nodes[node.index()].after) {
    const HandleKey output = stage(slot, position_of(before)).output;
    if (!readable(output)) return false;
  }
  return true;
}

}  // namespace disagfusion::scheduler
