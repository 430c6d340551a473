// The protocol monitor (design 2): stands between world and scheduler and holds both to the
// protocol. docs/models/protocol.md has its rules as a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/inline.hpp"
#include "base/slot_array.hpp"
#include "base/time.hpp"
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::scheduler {

/// The set of this one kind of command, a bit.
constexpr std::uint32_t only(ActionKind kind) { return 1U << static_cast<unsigned>(kind); }

/// One state machine a command and one an instance, in dense tables (slots of keys): no hashing, no
/// allocation when warm. Duplicates and late events are legal; what no command and no incarnation,
/// open or past, explains is not. After a fault the monitor is of no further use.
class ProtocolMonitor {
 public:
  explicit ProtocolMonitor(const Setup& setup);

  /// Before the scheduler sees the event: null where the protocol explains it, else what is wrong.
  [[nodiscard]] const char* explain(TimePoint now, const Event& event);

  /// After it: null where the actions are legal, else what is wrong; faulty_action() says with
  /// which.
  [[nodiscard]] const char* note_actions(TimePoint now, const ActionBuffer& buffer);
  [[nodiscard]] std::size_t faulty_action() const { return faulty_action_; }

  /// Commands that no event has settled yet.
  [[nodiscard]] std::size_t open_commands() const { return open_commands_; }
  /// Of the present controller; 0 before the first event.
  [[nodiscard]] std::uint32_t epoch() const { return epoch_; }

 private:
  static constexpr std::uint32_t kNil = 0xffffffffU;

  // Kinds of commands as sets.
  static constexpr std::uint32_t kEnqueue = only(ActionKind::enqueue);
  static constexpr std::uint32_t kExtend = only(ActionKind::extend);
  static constexpr std::uint32_t kRevoke = only(ActionKind::revoke);
  static constexpr std::uint32_t kTransfer = only(ActionKind::transfer);
  /// Settled with their target, if nothing settles them before.
  static constexpr std::uint32_t kDependent =
      kExtend | kRevoke | only(ActionKind::preempt) | only(ActionKind::cancel_transfer);

  enum class CommandState : std::uint8_t { open, finished, settled };
  struct Command {
    std::uint64_t id = 0;  ///< 0: the slot was never used
    std::uint64_t target_id = 0;
    InstanceKey instance;  ///< who has to answer
    std::uint32_t target_slot = 0;
    std::uint32_t first_member = kNil;  ///< enqueue, extend: list in members_
    std::uint32_t members = 0;
    RequestKey request;            ///< revoke: the one member, or none
    HandleKey handle;              ///< transfer, release
    std::uint32_t dependents = 0;  ///< enqueue, transfer: open commands that its settling settles
    NodeId node;
    ActionKind kind = ActionKind::cancel_timer;
    CommandState state = CommandState::settled;
    bool started = false;       ///< enqueue
    bool revoke_asked = false;  ///< enqueue, whole
    bool stop_asked = false;    ///< enqueue: preempt; transfer: cancel
  };
  struct Member {
    RequestKey request;
    std::uint32_t next = kNil;
  };

  enum class Phase : std::uint8_t { absent, starting, empty, loading, ready, unloading, stopping };
  struct Instance {
    std::uint32_t incarnation = 0;  ///< the newest known
    std::uint32_t ended = 0;        ///< incarnations up to this one are over
    std::uint32_t open = 0;         ///< open commands of the present incarnation
    PoolId role;
    Phase phase = Phase::absent;
    bool draining = false, returns = false;  ///< returns: may come back without a command
    CommandKey drain;                        ///< open, or none
  };

  /// doubted: its holder could not give it, and nobody knows whether it has it.
  enum class HandleState : std::uint8_t { none, named, held, doubted, releasing, ended };
  struct Handle {
    std::uint32_t generation = 0;
    HandleState state = HandleState::none;
    InstanceKey holder;
    std::uint64_t named_by = 0;  ///< the enqueue whose result it is
  };

  enum class RequestState : std::uint8_t { none, arrived, admitted, ended };
  struct Request {
    std::uint32_t generation = 0;
    RequestState state = RequestState::none;
  };
  /// Where a request's present attempt at a stage is: in this command, if that is still open.
  struct Attempt {
    std::uint32_t slot_plus_1 = 0;  ///< 0: nowhere
    std::uint32_t low_id = 0;
    std::uint32_t generation = 0;  ///< of the request
  };

  static constexpr const char* kNoIncarnation = "no such incarnation was ever known";

  // Events (monitor.cpp). Each returns null or what is wrong.
  const char* explain_kind(const Event& event);
  const char* explain_arrived(const Event& event);
  const char* explain_cancel(const Event& event);
  const char* explain_started(const Event& event, CommandKey key);
  const char* explain_running(const Event& event);
  const char* explain_finished(const Event& event);
  const char* explain_preempted(const Event& event);
  const char* explain_extended(const Event& event);
  const char* explain_revoked(const Event& event);
  const char* explain_too_late(const Event& event);
  const char* explain_refused(const Event& event);
  const char* explain_transfer(const Event& event);
  const char* explain_handle_lost(const Event& event);
  const char* explain_released(const Event& event);
  const char* explain_ready(const Event& event);
  const char* explain_lost(const Event& event);
  const char* explain_life(const Event& event, ActionKind kind);
  const char* explain_inventory(const Event& event);
  const char* explain_restarted(const Event& event);
  const char* explain_timer(const Event& event);

  /// The open command of one of `kinds` (a bit each) that the event answers, or null: then `wrong`
  /// says why, or is null for a duplicate or late event.
  Command* answered(const Event& event, CommandKey key, std::uint32_t kinds, const char*& wrong);
  const char* take_outcomes(Command& command, const Event& event);
  /// Outcomes come in the order of the batch, as a rule: then this looks at one member.
  bool find_member(const Command& command, RequestKey request, std::uint32_t& cursor) const {
    if (cursor != kNil && members_[cursor].request == request) {
      cursor = members_[cursor].next;
      return true;
    }
    for (std::uint32_t i = command.first_member; i != kNil; i = members_[i].next) {
      if (members_[i].request == request) return true;
    }
    return false;
  }
  const char* hold(HandleKey key, std::uint64_t named_by, InstanceKey holder);
  void move_members(Command& from, Command& to, std::uint32_t to_slot);
  bool remove_member(Command& command, RequestKey request);
  void end_incarnation(Instance& instance);
  void settle_missing(InstanceKey instance, const Inventory& inventory);

  // Actions (monitor_actions.cpp).
  const char* note(const ActionBuffer& buffer, const Action& action);
  const char* note_request(const Action& action);
  const char* note_command(const ActionBuffer& buffer, const Action& action);
  [[nodiscard]] bool asked_again(const Action& action) const;
  const char* note_kind(const ActionBuffer& buffer, const Action& action, Command& command);
  const char* note_enqueue(const ActionBuffer& buffer, const Action& action, Command& command);
  const char* note_edit(const ActionBuffer& buffer, const Action& action, Command& command);
  const char* note_extend(const ActionBuffer& buffer, const Action& action, Command& command);
  const char* note_revoke(const Action& action, Command& target);
  const char* note_preempt(const ActionBuffer& buffer, const Action& action, Command& target);
  const char* note_members(const ActionBuffer& buffer, const Action& action, Command& command,
                           std::uint64_t named_by);
  const char* note_member(const ActionBuffer& buffer, const BatchMember& member, NodeId node,
                          Attempt attempt);
  const char* note_transfer(const Action& action);
  const char* note_release(const Action& action, Command& command);
  const char* note_life(const Action& action);
  const char* note_provision(const Action& action);
  const char* note_undrain(const Action& action);
  const char* note_output_sent(const Action& action);

  /// The scheduler promises that the handle will hold a result of command `named_by`.
  const char* name_handle(HandleKey key, std::uint64_t named_by);
  /// Somebody holds it. A handle that was never seen is a request's input and lies at the
  /// controller.
  const char* use_handle(HandleKey key, Handle*& handle);
  std::uint32_t new_member(RequestKey request);
  [[nodiscard]] bool has_member(const Command& batch, std::uint64_t batch_id, RequestKey request);

  /// After a restart some news of the first controller's time is missing for good.
  [[nodiscard]] bool strict() const { return epoch_ == 1; }
  [[nodiscard]] static bool over(const Instance& instance, InstanceKey key) {
    return key.incarnation <= instance.ended && key.id != kController;
  }
  [[nodiscard]] bool over(InstanceKey key) const { return over(instances_[key.id.index()], key); }
  [[nodiscard]] bool open(const Command& command) const {
    if (command.state != CommandState::open || over(command.instance)) return false;
    if ((only(command.kind) & kDependent) == 0) return true;
    const Command& target = commands_[command.target_slot];
    return target.id == command.target_id && target.state == CommandState::open;
  }
  [[nodiscard]] bool open(const Attempt& attempt) const {
    if (attempt.slot_plus_1 == 0) return false;
    const Command& command = commands_[attempt.slot_plus_1 - 1];
    return static_cast<std::uint32_t>(command.id) == attempt.low_id && open(command);
  }
  DF_INLINE void settle(Command& command, CommandState state) {
    const std::uint32_t settled = 1 + command.dependents;
    open_commands_ -= settled;
    instances_[command.instance.id.index()].open -= settled;
    command.state = state;
    command.dependents = 0;
    if ((only(command.kind) & kDependent) != 0) --commands_[command.target_slot].dependents;
    if (command.first_member != kNil) free_members(command);
  }
  void free_members(Command& command) {
    std::uint32_t last = command.first_member;
    while (members_[last].next != kNil) last = members_[last].next;
    members_[last].next = free_member_;
    free_member_ = command.first_member;
    command.first_member = kNil;
    command.members = 0;
  }
  Instance* known(InstanceKey key) {
    if (key.id == kController) return instances_.begin();
    if (key.id.index() >= instances_.size()) return nullptr;
    Instance& instance = instances_[key.id.index()];
    return key.incarnation != 0 && key.incarnation <= instance.incarnation ? &instance : nullptr;
  }
  Attempt& attempt_at(std::uint32_t request_slot, NodeId node) {
    return attempts_[request_slot * stages_ + stage_of_[node.index()]];
  }

  SlotArray<Command> commands_;           ///< by CommandKey::slot
  SlotArray<Member> members_;             ///< lists of commands, and the free list
  SlotArray<Instance> instances_;         ///< by InstanceId
  SlotArray<Handle> handles_;             ///< by HandleKey::slot
  SlotArray<Request> requests_;           ///< by RequestKey::slot
  SlotArray<Attempt> attempts_;           ///< by request slot x stage of the model
  std::vector<std::uint16_t> stage_of_;   ///< by NodeId: position in its model
  std::vector<std::uint8_t> hosts_;       ///< by PoolId x WeightsId
  std::vector<std::uint32_t> max_batch_;  ///< by PoolId
  std::size_t stages_ = 1, weights_ = 1;  ///< widths of attempts_ and hosts_
  std::size_t models_ = 0;
  std::size_t initial_instances_ = 0;
  std::uint32_t free_member_ = kNil;
  std::uint32_t epoch_ = 0;
  std::uint64_t last_command_ = 0, last_request_ = 0;
  std::size_t open_commands_ = 0;
  std::size_t faulty_action_ = 0;
  TimePoint now_{std::numeric_limits<std::int64_t>::min()};
  TimePoint earliest_timer_ = TimePoint::never();
};

}  // namespace disagfusion::scheduler
