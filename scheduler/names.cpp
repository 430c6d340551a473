// The words of the protocol.
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"

namespace disagfusion::scheduler {
namespace {

template <std::size_t N>
const char* nth(const char* const (&names)[N], std::size_t index) {
  return index < N ? names[index] : "unknown";
}

}  // namespace

const char* name_of(EventKind kind) {
  static constexpr const char* kNames[] = {"request_arrived",
                                           "cancel_asked",
                                           "batch_started",
                                           "batch_finished",
                                           "step_done",
                                           "batch_preempted",
                                           "batch_extended",
                                           "batch_revoked",
                                           "too_late",
                                           "batch_refused",
                                           "transfer_finished",
                                           "transfer_failed",
                                           "transfer_cancelled",
                                           "handle_lost",
                                           "handle_released",
                                           "instance_provisioned",
                                           "instance_ready",
                                           "instance_unloaded",
                                           "instance_drained",
                                           "instance_stopped",
                                           "instance_lost",
                                           "reclaim_notice",
                                           "start_failed",
                                           "load_failed",
                                           "out_of_memory",
                                           "inventory",
                                           "capacity_changed",
                                           "operator_order",
                                           "controller_restarted",
                                           "timer",
                                           "tick"};
  static_assert(std::size(kNames) == kEventKinds);
  return nth(kNames, static_cast<std::size_t>(kind));
}

const char* name_of(Reason reason) {
  static constexpr const char* kNames[] = {"none",          "compute_error", "sender_lost",
                                           "receiver_lost", "link_error",    "unknown_command",
                                           "wrong_role",    "no_capacity",   "out_of_memory",
                                           "bad_input"};
  return nth(kNames, static_cast<std::size_t>(reason));
}

const char* name_of(Order order) {
  static constexpr const char* kNames[] = {
      "drain", "undrain",          "re_role",           "pin",
      "unpin", "pause_elasticity", "resume_elasticity", "set_policy"};
  return nth(kNames, static_cast<std::size_t>(order));
}

const char* name_of(ActionKind kind) {
  static constexpr const char* kNames[] = {
      "admit",    "reject",          "end_request", "enqueue",   "extend",      "revoke", "preempt",
      "transfer", "cancel_transfer", "release",     "provision", "load",        "unload", "drain",
      "stop",     "output_sent",     "undrain",     "arm_timer", "cancel_timer"};
  static_assert(std::size(kNames) == kActionKinds);
  return nth(kNames, static_cast<std::size_t>(kind));
}

const char* name_of(EndState state) {
  static constexpr const char* kNames[] = {"completed", "rejected", "failed", "timed_out",
                                           "cancelled"};
  return nth(kNames, static_cast<std::size_t>(state));
}

const char* name_of(Why why) {
  static constexpr const char* kNames[] = {"none",        "queue_full", "too_many_retries",
                                           "timeout",     "deadline",   "asked",
                                           "no_instance", "bad_request"};
  return nth(kNames, static_cast<std::size_t>(why));
}

}  // namespace disagfusion::scheduler
