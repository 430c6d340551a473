// What the scheduler remembers of requests, stages, handles, commands, batches and instances.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "scheduler/action.hpp"
#include "scheduler/keys.hpp"
#include "scheduler/state/ordered_queue.hpp"
#include "scheduler/state/slot_table.hpp"

namespace disagfusion::scheduler {

/// One request at one stage. A request's stages stand side by side in one table, in the model's
/// order.
struct StageRecord {
  enum class Phase : std::uint8_t { waiting, queued, assigned, running, done };
  Phase phase = Phase::waiting;
  std::uint8_t missing = 0;           ///< predecessors that have not finished
  bool keep_ready = false;            ///< queued again as if it had never left the queue
  bool dropped = false;               ///< its output went once because memory ran out: never again
  bool delivered = false;             ///< a last stage's output that is at the controller
  std::uint8_t last_predecessor = 0;  ///< the predecessor (position in the model) that ended last
  std::uint16_t open_inputs = 0;      ///< transfers on their way to the present batch
  std::uint16_t attempt = 0;          ///< batches it has been put into
  std::uint32_t next_step = 0;        ///< to resume from
  std::uint32_t batch = kNoSlot;      ///< assigned, running
  /// The batch of the last attempt, taken back but not yet answered: no new attempt before that.
  std::uint32_t leaving = kNoSlot;
  InstanceId bound{0};  ///< push: the instance in whose queue it waits
  HandleKey output;     ///< held, or expected from the running batch
  HandleKey resume;     ///< state of a preempted attempt
  std::int64_t queue_key = 0;
  TimePoint ready;

  /// Whatever attempt there was is over.
  void wait_again() {
    phase = Phase::waiting;
    batch = kNoSlot;
    output = {};
    open_inputs = 0;
  }
};

struct RequestRecord {
  std::uint64_t number = 0;  ///< 0: the slot is free
  TimePoint arrival, deadline = TimePoint::never();
  ModelId model;
  std::uint16_t retries = 0;
  std::uint32_t shape = 0;  ///< Costs::intern
  std::int32_t priority = 0;
  std::uint16_t stages_left = 0;  ///< not done
  bool started = false;           ///< some stage was given to an instance
  std::uint16_t egress_left = 0;  ///< last outputs not yet at the controller
  HandleKey input, first_output;
  [[nodiscard]] RequestKey key(std::uint32_t slot) const {
    return {slot, static_cast<std::uint32_t>(number)};
  }
};

struct HandleRecord {
  enum class Kind : std::uint8_t { input, output, state };
  enum class Phase : std::uint8_t { expected, held, releasing };
  std::uint32_t generation = 0;
  Kind kind = Kind::output;
  Phase phase = Phase::expected;
  bool doomed = false;          ///< release it as soon as no transfer reads it
  std::uint16_t consumers = 0;  ///< stages (and the controller) that have not finished with it
  std::uint16_t open_transfers = 0;
  std::uint16_t unsent = 0;       ///< consumers that hold its output slot up
  std::uint32_t batch = kNoSlot;  ///< whose output slot it occupies
  InstanceKey holder;
  RequestKey request;
  NodeId node;
  MachineId host;  ///< held: in whose memory
  std::uint64_t bytes = 0;
  std::uint64_t order = 0;  ///< held: 1, 2, ... in the order in which outputs came to be
};

/// One cache line.
struct CommandRecord {
  std::uint64_t id = 0;  ///< 0: the slot is free
  std::uint64_t target_id = 0;
  std::uint32_t slot = 0, target_slot = 0;
  InstanceKey addressee;
  HandleKey handle;               ///< transfer, release
  RequestKey request;             ///< transfer: for whom; extend, revoke: the member
  std::uint32_t batch = kNoSlot;  ///< enqueue, extend, revoke, preempt, transfer: the batch ...
  std::uint32_t cancelled_by = kNoSlot;  ///< transfer: the open cancel
  ActionKind kind = ActionKind::enqueue;

  [[nodiscard]] CommandKey key() const { return {id, slot}; }
  /// ... if it still is this enqueue. cancel_transfer: the transfer.
  [[nodiscard]] CommandKey target() const { return {target_id, target_slot}; }
  void aim_at(CommandKey target) {
    target_id = target.id;
    target_slot = target.slot;
  }
};

struct BatchMemberRecord {
  RequestKey request;
  HandleKey output, state;         ///< state: to be kept when preempted
  std::uint32_t extend = kNoSlot;  ///< the open extend command that brings it
  bool dead = false;               ///< cancelled or moved elsewhere
};

/// Batches and instances: whole cache lines, found by a shift.
struct alignas(64) Batch {
  enum class Phase : std::uint8_t { queued, running, sending };
  CommandKey command;
  Phase phase = Phase::queued;
  bool revoking = false, preempting = false;
  bool told = false;  ///< its output slot is freed by output_sent
  InstanceId instance;
  std::uint8_t hosted = 0;
  NodeId node;
  std::uint32_t shape = 0, first_step = 0, last_step = 0;
  std::uint32_t live = 0;  ///< members not dead
  std::uint32_t counted_transfers = 0, ended_transfers = 0, unsent = 0;
  std::int64_t queue_key = 0;
  Duration expected;  ///< seconds it is predicted to take
  TimePoint started;
  std::vector<BatchMemberRecord> members;
  std::vector<std::uint32_t> transfers;  ///< open transfer commands that feed it
  std::vector<std::uint32_t> edits;  ///< open extend, revoke and preempt commands that target it
};

/// Padded: its number on an instance is asked often, and a power of two divides fast.
struct alignas(16) HostedStage {
  WeightsId weights;
  std::uint32_t used_slots = 0;
  std::uint32_t outputs = 0;  ///< ended batches whose output occupies a slot
  bool dirty = false;         ///< routing does not know its present acceptance
};

struct alignas(64) Instance {
  enum class Life : std::uint8_t {
    off,
    expected,
    provisioning,
    loading,
    ready,
    draining,
    drained,
    unloading,
    stopping,
    lost,
  };
  InstanceKey key;
  PoolId role, next_role;
  MachineId machine;
  Life life = Life::off;
  bool pinned = false, held = false;  ///< held: drained by an operator
  bool stop_when_free = false;
  bool dirty = false;  ///< all its hosted stages are
  bool freed = false;  ///< this event may have made room on it
  std::uint32_t load_failures = 0;
  std::uint32_t running = kNoSlot;  ///< batch
  TimePoint running_until;          ///< predicted
  Duration queued_work;
  std::uint32_t handles = 0;         ///< held or expected here
  std::vector<HostedStage> hosted;   ///< in serving order
  std::vector<std::uint32_t> queue;  ///< batches that have not started, in order
  std::vector<OrderedQueue> bound;   ///< push: by hosted stage
  Duration bound_work;
};

const char* name_of(Instance::Life life);

}  // namespace disagfusion::scheduler
