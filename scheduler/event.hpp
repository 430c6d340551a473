// What the world tells the scheduler (design 2). A small plain structure: `kind` says which fields
// count.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/scenario.hpp"
#include "base/time.hpp"
#include "scheduler/keys.hpp"

namespace disagfusion::scheduler {

enum class EventKind : std::uint8_t {
  // requests: request, number, body
  request_arrived,  ///< `body` lives during the call
  cancel_asked,     ///< request
  // run queue: command (the enqueue), instance
  batch_started,    ///< a start that no other event names (returns the input credit)
  batch_finished,   ///< members, compute; started
  step_done,        ///< steps_done; on request only
  batch_preempted,  ///< members (state handles or dropped), steps_done, compute; started
  batch_extended,   ///< command = the extend
  batch_revoked,    ///< command = the enqueue; members that were revoked (all when empty)
  too_late,         ///< command = an extend, revoke, preempt or cancel_transfer that came too late
  batch_refused,    ///< command = the enqueue; reason
  // transfers and handles: command, instance (the receiver; controller: kController)
  transfer_finished,  ///< started: on the receiver
  transfer_failed,    ///< reason: sender, receiver or link
  transfer_cancelled,
  handle_lost,      ///< handle, instance (its holder)
  handle_released,  ///< command = the release
  // instances: instance, command (the one it answers, or none)
  instance_provisioned,
  instance_ready,
  instance_unloaded,
  instance_drained,
  instance_stopped,
  instance_lost,
  reclaim_notice,  ///< notice: when = the instant at which it goes
  start_failed,
  load_failed,
  out_of_memory,  ///< out_of_memory: command = the enqueue
  inventory,      ///< after a reconnect: see Inventory
  // world and operators
  capacity_changed,      ///< machine, gpu, count
  operator_order,        ///< order, instance, stages
  controller_restarted,  ///< the first event of each controller: epoch, downtime
  timer,                 ///< the armed instant has come
  tick,                  ///< nothing but time passed
};
inline constexpr int kEventKinds = static_cast<int>(EventKind::tick) + 1;
const char* name_of(EventKind kind);

enum class Reason : std::uint8_t {
  none,
  compute_error,
  sender_lost,
  receiver_lost,
  link_error,
  unknown_command,
  wrong_role,
  no_capacity,
  out_of_memory,
  bad_input,
};
const char* name_of(Reason reason);

enum class Order : std::uint8_t {
  drain,
  undrain,
  re_role,
  pin,
  unpin,
  pause_elasticity,
  resume_elasticity,
  set_policy
};
const char* name_of(Order order);

/// One request's part in a batch that ended.
struct MemberOutcome {
  enum class Kind : std::uint8_t { output, state, dropped, failed };
  RequestKey request;
  Kind kind = Kind::output;
  Reason reason = Reason::none;  ///< failed
  HandleKey handle;              ///< the one the enqueue named: output, or state when preempted
  std::uint64_t bytes = 0;       ///< its size
};

/// A request's whole body. Times are relative to arrival; nullopt means none.
struct RequestBody {
  std::string id;  ///< external
  ModelId model{0};
  Shape shape;
  double guidance = 0;
  std::int32_t priority = 0;
  std::optional<Duration> deadline, timeout;
  std::string tenant, prompt, prompt_hash;
  std::uint64_t input_bytes = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint64_t noise_seed = 0;  ///< of the image, live serving
};

/// What a worker still has, told when it meets a restarted controller.
struct Inventory {
  std::span<const WeightsId> weights;     ///< loaded
  std::span<const CommandKey> run_queue;  ///< enqueues it holds; the first may be running
  bool first_is_running = false;
  std::span<const CommandKey> transfers;  ///< pulls under way
  std::span<const HandleKey> handles;
};

struct Event {
  EventKind kind = EventKind::tick;
  Reason reason = Reason::none;
  Order order = Order::drain;
  InstanceKey instance;
  CommandKey command;  ///< the command it answers
  CommandKey started;  ///< the enqueue that started on `instance` at this instant, or none
  RequestKey request;
  std::uint64_t number = 0;  ///< of a request that arrived: 1, 2, ...
  HandleKey handle;
  Duration compute;              ///< seconds of computing; downtime
  TimePoint when;                ///< reclaim notice
  std::uint32_t steps_done = 0;  ///< also: epoch (controller_restarted), count (capacity_changed)
  MachineId machine;
  GpuTypeId gpu;
  std::span<const MemberOutcome> members;
  std::span<const WeightsId> stages;  ///< re_role
  const RequestBody* body = nullptr;
  const Inventory* inventory = nullptr;
  std::string_view text;  ///< set_policy: "kind=name"
};

}  // namespace disagfusion::scheduler
