// What the scheduler asks of the world (design 2), written into the caller's buffer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/time.hpp"
#include "scheduler/keys.hpp"

namespace disagfusion::scheduler {

enum class ActionKind : std::uint8_t {
  admit,        ///< request
  reject,       ///< request, why, at = retry after (relative ns)
  end_request,  ///< request, state, why, handle (the first output at the controller, or none)
  // commands: `command` is their id
  enqueue,   ///< instance, weights, node, members, inputs, first_step, last_step, order
  extend,    ///< target = the enqueue; members, inputs
  revoke,    ///< target = the enqueue; request, or all when request is none
  preempt,   ///< target = the enqueue: stop at the next step; members: .state = the handle that
             ///< shall hold each member's state (none: drop it)
  transfer,  ///< handle, from, instance (the receiver pulls), target = the enqueue it feeds
  cancel_transfer,  ///< target = the transfer
  release,          ///< handle, instance (its holder)
  provision,        ///< instance (a new incarnation), pool, machine
  load,             ///< instance, pool: the role, whose stages it then hosts
  unload,
  drain,
  stop,
  // notes that settle by themselves
  output_sent,  ///< target = a finished enqueue: its output slot is free (parked or all sent)
  undrain,      ///< instance
  arm_timer,    ///< at: replaces the armed instant
  cancel_timer,
};
inline constexpr int kActionKinds = static_cast<int>(ActionKind::cancel_timer) + 1;
const char* name_of(ActionKind kind);

/// How a request ended.
enum class EndState : std::uint8_t { completed, rejected, failed, timed_out, cancelled };
const char* name_of(EndState state);

enum class Why : std::uint8_t {
  none,
  queue_full,
  too_many_retries,
  timeout,
  deadline,
  asked,
  no_instance,
  bad_request,
};
const char* name_of(Why why);

/// One input of a batch member. A power of two in size, as whatever is counted often.
struct alignas(16) BatchInput {
  HandleKey handle;
  bool transferred = false;  ///< a transfer action brings it; else it lies on the instance already
};

/// One request in a batch.
struct BatchMember {
  RequestKey request;
  HandleKey output;  ///< the handle of its output, or none where nothing is kept
  HandleKey state;   ///< enqueue: to resume from, or none; preempt: to keep the state in
  std::uint32_t first_input = 0, inputs = 0;  ///< in ActionBuffer::inputs
};

/// A power of two in size.
struct alignas(16) Action {
  ActionKind kind = ActionKind::cancel_timer;
  EndState state = EndState::completed;
  Why why = Why::none;
  NodeId node;        ///< enqueue: the stage of the members' model
  WeightsId weights;  ///< enqueue: the stage
  PoolId pool;        ///< provision, load: the role
  MachineId machine;  ///< provision
  InstanceKey instance;
  InstanceKey from;  ///< transfer: the holder
  CommandKey command;
  CommandKey target;
  RequestKey request;
  HandleKey handle;
  std::uint32_t first_member = 0, members = 0;  ///< in ActionBuffer::members
  std::uint32_t first_step = 0, last_step = 0;  ///< [first, last)
  std::uint32_t output_transfers =
      0;  ///< enqueue: how many transfers free the output slot, kTold: by word
  /// enqueue: the place in the run queue, among entries of this stage: smaller is earlier, an equal
  /// one later. A rank and no position, as the queue moves on while word of it travels.
  std::int64_t order = 0;
  std::uint64_t bytes = 0;  ///< transfer
  TimePoint at;             ///< arm_timer; reject: retry after
};

/// enqueue: the world frees the output slot only when output_sent says so.
inline constexpr std::uint32_t kTold = 0xffffffffU;

/// Reused by the caller; clear() keeps the memory.
struct ActionBuffer {
  std::vector<Action> actions;
  std::vector<BatchMember> members;
  std::vector<BatchInput> inputs;

  void clear() {
    actions.clear();
    members.clear();
    inputs.clear();
  }
  [[nodiscard]] std::span<const BatchMember> members_of(const Action& a) const {
    return {members.data() + a.first_member, a.members};
  }
  [[nodiscard]] std::span<const BatchInput> inputs_of(const BatchMember& m) const {
    return {inputs.data() + m.first_input, m.inputs};
  }
};

}  // namespace disagfusion::scheduler
