// Everything the scheduler knows while it runs, and the steps by which an event changes it.
// Split by subject: requests.cpp, dispatch.cpp, assignment.cpp, batches.cpp, handles.cpp,
// host_memory.cpp, instances.cpp, fleet.cpp.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/append.hpp"
#include "base/check.hpp"
#include "base/inline.hpp"
#include "base/slot_array.hpp"
#include "scheduler/costs.hpp"
#include "scheduler/policies/policies.hpp"
#include "scheduler/scheduler.hpp"
#include "scheduler/state/records.hpp"
#include "scheduler/state/timer_heap.hpp"

namespace disagfusion::scheduler {

struct Scheduler::State {
  State(const Setup& setup, std::shared_ptr<const predictor::CostModel> belief, Policies policies);

  /// What events ask of a stage again and again, packed.
  struct alignas(16) NodeFacts {
    WeightsId weights;
    std::uint16_t position = 0;         ///< in its model
    std::uint32_t first_neighbour = 0;  ///< in `neighbours`: predecessors, then successors
    std::uint16_t predecessors = 0;
    std::uint16_t readers = 0;   ///< successors, and the controller where the output goes there
    bool to_controller = false;  ///< its output travels to the controller
    bool feeds_join = false;     ///< a successor has other predecessors, too
    bool may_stay = false;       ///< some role hosts it together with a predecessor
  };

  void on_event(TimePoint instant, const Event& event, ActionBuffer& actions);

  // ---- requests.cpp
  void arrive(const Event& event);
  void admit(std::uint32_t slot);
  void count_work(const RequestRecord& request);
  void reject(RequestKey key, const Admission& admission);
  void cancel(RequestKey key, EndState state, Why why);
  /// Ends an unfinished request: frees what it holds, tells the world.
  void end(std::uint32_t slot, EndState state, Why why);
  void complete_stage(std::uint32_t slot, StageRecord& record, NodeId node);
  void complete_if_all_done(std::uint32_t slot);
  /// Puts one more attempt on the request's account; false (and the request has failed) when too
  /// many.
  bool charge_retry(std::uint32_t slot);
  /// One retry for each of these requests that has not ended, then restore().
  void retry_all(const std::vector<std::uint32_t>& slots);
  /// After a loss: reruns what is needed for the unfinished stages, "as far back as needed".
  void restore(std::uint32_t slot);
  void run_again(std::uint32_t slot, std::uint16_t position);
  [[nodiscard]] bool readable(HandleKey key);
  void park(HandleKey key);
  DF_INLINE void make_ready(std::uint32_t slot, StageRecord& record, NodeId node) {
    DF_CHECK(record.phase == StageRecord::Phase::waiting);
    if (!record.keep_ready && !record.resume.valid()) record.ready = now;
    record.keep_ready = false;
    record.phase = StageRecord::Phase::queued;
    record.bound = kController;
    record.queue_key = policies.queue->key(requests[slot], record);
    append(ready, {slot, node});
  }
  /// make_ready once nothing is missing and no attempt is being taken back.
  void make_ready_if_free(std::uint32_t slot, std::uint16_t position);
  void withdraw(std::uint32_t slot, std::uint16_t position);
  [[nodiscard]] bool alive(RequestKey key) const {
    return key.slot < requests.size() && requests[key.slot].number != 0 &&
           static_cast<std::uint32_t>(requests[key.slot].number) == key.generation;
  }
  StageRecord& stage(std::uint32_t slot, std::uint16_t position) {
    return stages[slot * widest_model + position];
  }
  StageRecord& stage(std::uint32_t slot, NodeId node) { return stage(slot, position_of(node)); }
  /// The same request's record at another stage of its model: they stand as their nodes do.
  static StageRecord& beside(StageRecord& record, NodeId node, NodeId other) {
    return *(&record + (int{other.value} - int{node.value}));
  }
  [[nodiscard]] NodeId node_of(std::uint32_t slot, std::uint16_t position) const {
    return NodeId{static_cast<std::uint16_t>(
        setup.graph.first_node[requests[slot].model.index()].value + position)};
  }
  [[nodiscard]] std::uint16_t position_of(NodeId node) const {
    return facts[node.index()].position;
  }
  [[nodiscard]] std::uint16_t stage_count(ModelId model) const {
    return static_cast<std::uint16_t>(setup.graph.first_node[model.index() + 1].value -
                                      setup.graph.first_node[model.index()].value);
  }

  // ---- dispatch.cpp
  struct Ready {
    std::uint32_t request;
    NodeId node;
  };
  /// Gives what became ready to instances, and freed instances what waits. The last step of an
  /// event.
  void dispatch();
  void fill_freed();
  void offer_to_holders();
  bool offer_to_holder(std::size_t position);
  Instance* holder_of(const Ready& ready);
  bool holds_input_of(const Instance& in, const Ready& ready);
  void offer(const Ready& ready);
  void offer_push(const Ready& ready);
  void fill(Instance& in);
  void fill_stage_from(Instance& in, std::uint8_t hosted, OrderedQueue& queue);
  void fill_stage(WeightsId weights);
  bool try_extend(const Ready& ready);
  void wait_in_queue(const Ready& ready);
  void try_preempt(const Ready& ready);
  bool offer_to_victim(const Ready& ready);
  void preempt_if_urgent(Instance& in, std::uint32_t request);
  std::uint32_t find_victim(const Ready& ready);
  [[nodiscard]] RunningBatch running_batch(std::uint32_t batch_slot) const;
  [[nodiscard]] bool may_form_batch(OrderedQueue& queue, WeightsId weights, std::uint32_t limit) {
    return batch_wait.ns <= 0 || limit <= 1 || group_is_full(queue, weights, limit);
  }
  [[nodiscard]] bool group_is_full(OrderedQueue& queue, WeightsId weights, std::uint32_t limit);
  /// Moves the head of the queue and compatible entries into `taken`.
  void take_batch(OrderedQueue& queue, std::uint32_t limit);
  /// The same where more than one may go together.
  void take_alike(OrderedQueue& queue, std::uint32_t limit);
  [[nodiscard]] QueueEntry entry_of(const Ready& r) {
    return {stage(r.request, r.node).queue_key, requests[r.request].number, r.request, r.node};
  }
  [[nodiscard]] Choice choose(WeightsId weights, const Ready& ready);
  [[nodiscard]] bool blocked(const Instance& in, std::uint8_t hosted) const {
    const std::uint32_t slots = limits[in.role.index()].output_slots;
    return slots != kUnlimited && in.hosted[hosted].outputs > slots;
  }
  /// Computes nothing, holds nothing, may start.
  [[nodiscard]] bool idle(const Instance& in, std::uint8_t hosted) const {
    return in.running == kNoSlot && in.queue.empty() && !blocked(in, hosted);
  }
  [[nodiscard]] Acceptance acceptance(const Instance& in, std::uint8_t hosted) const {
    Acceptance a;
    a.available_at = in.running_until + in.queued_work + in.bound_work;
    if (in.life != Instance::Life::ready) return a;
    const std::uint32_t slots = limits[in.role.index()].input_slots;
    const std::uint32_t used = in.hosted[hosted].used_slots;
    a.idle = idle(in, hosted);
    a.free_slots = slots == kUnlimited ? kUnlimited - used : (used < slots ? slots - used : 0);
    a.accepts = a.idle || a.free_slots > 0;
    if (!setup.pull && !in.bound.empty()) {
      // Push: whoever is ready can be bound to; what waits for it counts.
      const auto bound = static_cast<std::uint32_t>(in.bound[hosted].size());
      a.idle = a.idle && bound == 0;
      a.waiting = bound > a.free_slots ? bound - a.free_slots : 0;
      a.free_slots = a.free_slots > bound ? a.free_slots - bound : 0;
      a.accepts = true;
    }
    return a;
  }
  /// Has room for one more batch of what is queued.
  [[nodiscard]] bool has_room(const Instance& in, std::uint8_t hosted) const {
    return in.hosted[hosted].used_slots < limits[in.role.index()].input_slots || idle(in, hosted);
  }
  [[nodiscard]] static int hosted_position(const Instance& in, WeightsId weights) {
    for (std::size_t i = 0; i < in.hosted.size(); ++i) {
      if (in.hosted[i].weights == weights) return static_cast<int>(i);
    }
    return -1;
  }
  [[nodiscard]] std::uint32_t largest_batch(const Instance& in) const {
    return limits[in.role.index()].largest_batch;
  }
  /// Something is left for dispatch() to do.
  [[nodiscard]] bool anything_moved() const {
    return !ready.empty() || !freed_instances.empty() || !stages_to_fill.empty();
  }
  void touch(Instance& in) {
    if (!in.dirty) mark_dirty(in);
  }
  void mark_dirty(Instance& in);
  /// What waits may find room on it now.
  void freed(Instance& in) {
    touch(in);
    if (in.freed) return;
    in.freed = true;
    append(freed_instances, in.key.id);
  }
  void flush(WeightsId weights);

  // ---- assignment.cpp
  void assign(Instance& in, std::uint8_t hosted, std::span<const QueueEntry> entries);
  void count_output_transfers(Batch& batch, std::size_t members);
  std::uint32_t new_batch(const Instance& in, std::uint8_t hosted, const QueueEntry& head);
  void add_members(Instance& in, std::uint32_t batch_slot, std::span<const QueueEntry> entries,
                   Action& action);
  void add_to_batch(Instance& in, std::uint32_t batch_slot, const QueueEntry& entry,
                    Action& extend);
  void add_member(Instance& in, Batch& batch, std::uint32_t batch_slot, const QueueEntry& entry,
                  const NodeFacts& known);
  [[nodiscard]] std::uint16_t readers_left(StageRecord& record, NodeId node,
                                           const NodeFacts& known);
  void add_inputs(Instance& in, std::uint32_t batch_slot, const QueueEntry& entry,
                  StageRecord& record, const NodeFacts& known);
  void add_input(const Instance& in, std::uint32_t batch_slot, std::uint32_t request,
                 StageRecord& record, HandleKey handle);
  void note_bound(const Instance& in, const StageRecord& consumer, const NodeFacts& known);
  void place_in_queue(Instance& in, std::uint32_t batch_slot);

  // ---- batches.cpp
  void batch_started(const Event& event);
  void start(CommandKey key);
  void start_batch(std::uint32_t batch_slot);
  void compute_ended(Instance& in);
  void batch_finished(const Event& event);
  void finish_member(Batch& batch, std::uint32_t batch_slot, BatchMemberRecord member,
                     const MemberOutcome* outcome, bool limited);
  void batch_preempted(const Event& event);
  void batch_revoked(const Event& event);
  void batch_refused(const Event& event);
  void edit_too_late(const Event& event);
  void batch_extended(const Event& event);
  /// The request no longer wants what this batch would give it.
  void kill_member(std::uint32_t batch_slot, RequestKey request);
  /// A member that was taken back runs all the same: it is wanted again. False: it was not.
  bool readmit(std::uint32_t batch_slot, BatchMemberRecord& member);
  /// A member that was taken back is out of the batch: its request may be given away again.
  void has_left(std::uint32_t batch_slot, const BatchMemberRecord& member);
  void revoke(std::uint32_t batch_slot);
  void preempt(std::uint32_t batch_slot);
  DF_INLINE void drop_batch(std::uint32_t batch_slot) {
    Batch& batch = batches[batch_slot];
    if (!batch.edits.empty()) settle_edits(batch);
    if (batches_form) close_batch(batch_slot, facts[batch.node.index()].weights);
    batch.command = {};
    batches.release(batch_slot);
  }
  void settle_edits(Batch& batch);
  /// It takes nobody any more.
  void close_batch(std::uint32_t batch_slot, WeightsId weights);
  void fail_members(std::uint32_t batch_slot, std::vector<std::uint32_t>& affected);
  void leave_queue(Instance& in, const Batch& batch, std::uint32_t batch_slot);
  void take_from_queue(Instance& in, std::uint32_t batch_slot);
  static const MemberOutcome* outcome_of(const Event& event, RequestKey request) {
    for (const MemberOutcome& outcome : event.members) {
      if (outcome.request == request) return &outcome;
    }
    return nullptr;
  }

  // ---- handles.cpp
  DF_INLINE HandleKey new_handle(HandleRecord::Kind kind, Instance& holder, RequestKey request,
                                 NodeId node) {
    const std::uint32_t slot = handles.allocate();
    HandleRecord& handle = handles[slot];
    handle = HandleRecord{};
    if (++handle_generation == 0) handle_generation = 1;
    handle.generation = handle_generation;
    handle.kind = kind;
    handle.holder = holder.key;
    handle.request = request;
    handle.node = node;
    handle.consumers = 1;
    ++holder.handles;
    return {slot, handle.generation};
  }
  HandleRecord* find(HandleKey key) {
    if (key.slot >= handles.size()) return nullptr;
    HandleRecord& handle = handles[key.slot];  // generation 0 while the slot is free
    return handle.generation == key.generation && key.valid() ? &handle : nullptr;
  }
  void free_handle(HandleKey key);
  void free_handle(HandleRecord& handle, std::uint32_t slot);
  /// One reader less.
  void consume(HandleKey key) {
    HandleRecord* handle = find(key);
    if (handle == nullptr) return;
    if (handle->consumers > 0) --handle->consumers;
    if (handle->consumers == 0) release_when_free(*handle, key);
  }
  void release_when_free(HandleKey key) {
    if (HandleRecord* handle = find(key)) release_when_free(*handle, key);
  }
  void release_when_free(HandleRecord& handle, HandleKey key);
  void transfer(HandleKey handle, InstanceKey to, std::uint32_t batch_slot, RequestKey request);
  void transfer_ended(const Event& event);
  void note_landed(Batch& batch, std::uint32_t batch_slot, const CommandRecord& command);
  void note_sent(HandleKey key) {
    HandleRecord* handle = find(key);
    if (handle != nullptr && handle->unsent > 0) note_sent(*handle);
  }
  void note_sent(HandleRecord& handle) {
    if (--handle.unsent == 0 && handle.batch != kNoSlot) free_output_slot(handle);
  }
  void free_output_slot(HandleRecord& handle);
  void sending_done(std::uint32_t batch_slot);
  void handle_released(const Event& event);
  void handle_lost(const Event& event);
  /// The handle is gone. True when its request is alive and held it.
  bool lose_handle(HandleKey key);
  /// Its stage holds it no longer. True when the request is alive and its stage did.
  bool forget_handle(HandleKey key);
  DF_INLINE void release(HandleKey key, InstanceKey holder) {
    CommandRecord& command = new_command(ActionKind::release, holder);
    command.handle = key;
    Action& action = emit(ActionKind::release);
    action.instance = holder;
    action.command = command.key();
    action.handle = key;
  }

  // ---- host_memory.cpp
  /// The result exists, in its holder's host memory.
  void hold(HandleRecord& handle, std::uint64_t bytes) {
    handle.phase = HandleRecord::Phase::held;
    handle.bytes = bytes;
    handle.host = instances[handle.holder.id.index()].machine;
    handle.order = ++held_outputs;
    held_bytes[handle.host.index()] += static_cast<double>(bytes);
  }
  void leave_memory(const HandleRecord& handle) {
    if (handle.holder.id == kController) return;  // a request's input
    held_bytes[handle.host.index()] -= static_cast<double>(handle.bytes);
  }
  /// Where a machine holds more than it has, the youngest parked outputs go and their stages run
  /// again when their joins need them.
  DF_INLINE void make_room(MachineId machine) {
    const double limit = setup.machines[machine.index()].host_memory;
    if (limit > 0 && held_bytes[machine.index()] > limit) drop_parked(machine, limit);
  }
  void drop_parked(MachineId machine, double limit);
  [[nodiscard]] HandleKey youngest_parked(MachineId machine);
  [[nodiscard]] bool parked(const HandleRecord& handle, HandleKey key);
  /// Every input of the stage can be read.
  [[nodiscard]] bool inputs_readable(std::uint32_t slot, NodeId node);

  // ---- instances.cpp
  void instance_event(const Event& event);
  void become_ready(Instance& in);
  void lose(Instance& in);
  /// Push: what waits for this instance alone is routed anew.
  void unbind(Instance& in);
  void drain(Instance& in);
  void undrain(Instance& in);
  void begin_load(Instance& in, PoolId role);
  void drained(Instance& in);
  void stop_if_free(Instance& in);
  void host(Instance& in, PoolId role);
  void rebuild_hosts(const Instance& in);
  void take_inventory(Instance& in, const Event& event);

  // ---- fleet.cpp
  void timers_due();
  void run_elasticity();
  void move(const Move& wanted);
  void re_role(Instance& in, PoolId to, const std::string& why);
  void provision(PoolId role, const std::string& why);
  void operator_order(const Event& event);
  [[nodiscard]] InstanceId victim(PoolId from, PoolId to) const;
  /// The role named like `wanted` on this instance's GPU type and degree, or none.
  [[nodiscard]] PoolId role_for(const Instance& in, PoolId wanted) const;
  void arm();
  void view_fleet();

  /// Fills `facts` and `limits`.
  void state_facts();

  // ---- commands
  DF_INLINE CommandRecord& new_command(ActionKind kind, InstanceKey addressee) {
    const std::uint32_t slot = commands.allocate();
    CommandRecord& command = commands[slot];
    command = CommandRecord{};
    command.id = (std::uint64_t{epoch} << 40U) | ++sequence;
    command.slot = slot;
    command.kind = kind;
    command.addressee = addressee;
    return command;
  }
  CommandRecord* find(CommandKey key, ActionKind kind) {
    if (key.slot >= commands.size()) return nullptr;
    CommandRecord& command = commands[key.slot];  // id 0 while the slot is free
    return command.id == key.id && command.kind == kind && key.valid() ? &command : nullptr;
  }
  void settle(CommandRecord& command) { free_command(command.slot); }
  DF_INLINE void free_command(std::uint32_t slot) {
    commands[slot].id = 0;
    commands.release(slot);
  }
  /// A new action. Copied from one of which nothing is said: some vector moves, where clearing
  /// that many bytes in place is a string instruction several times as slow.
  Action& emit(ActionKind kind) {
    static constexpr Action kBlank{};
    Action& action = append(out->actions, kBlank);
    action.kind = kind;
    return action;
  }
  /// The event belongs to the instance's present life; counted as stale otherwise.
  Instance* present(const Event& event) {
    const std::size_t index = event.instance.id.index();
    if (index != 0 && index < instances.size()) {
      Instance& in = instances[index];
      if (in.key.incarnation == event.instance.incarnation && in.life != Instance::Life::lost) {
        return &in;
      }
    }
    stale();
    return nullptr;
  }
  void stale() { ++counters.stale_events; }

  const Setup setup;
  Costs costs;
  Policies policies;
  /// What events ask of a role again and again.
  struct RoleLimits {
    std::uint32_t input_slots = 0, output_slots = 0;
    std::uint32_t largest_batch = 1;  ///< that the batching policy makes
    CostClass cost_class = 0;
  };
  [[nodiscard]] std::span<const NodeId> predecessors(const NodeFacts& known) const {
    return {neighbours.data() + known.first_neighbour, known.predecessors};
  }
  [[nodiscard]] std::span<const NodeId> successors(const NodeFacts& known) const {
    return {neighbours.data() + known.first_neighbour + known.predecessors,
            known.readers - static_cast<std::size_t>(known.to_controller)};
  }
  std::vector<NodeFacts> facts;    // by NodeId
  std::vector<NodeId> neighbours;  // of all nodes
  std::vector<RoleLimits> limits;  // by PoolId
  // Policies without an opinion are not asked.
  bool batches_form = false, preemption_on = false;
  bool elastic = false;      // somebody asks for unfinished_work and arrived_work
  bool inputs_stay = false;  // a stage may find an input or a state where it can run
  Duration batch_wait;
  TimePoint now;
  ActionBuffer* out = nullptr;
  std::uint32_t epoch = 0;
  std::uint64_t sequence = 0;

  SlotArray<RequestRecord> requests;  // by the driver's slots
  std::vector<StageRecord> stages;    // by request slot x stage of the model
  std::size_t widest_model = 1;       // its stages: the width of that table
  SlotTable<HandleRecord> handles;
  std::uint32_t handle_generation = 0;
  std::vector<double> held_bytes;  // by machine: held and not on their way out
  std::uint64_t held_outputs = 0;  // ever
  SlotTable<CommandRecord> commands;
  SlotTable<Batch> batches;
  SlotArray<Instance> instances;  // by InstanceId; [0] is the controller
  std::uint64_t unfinished = 0, waiting_to_start = 0;

  struct Touched {
    InstanceId instance;
    std::uint8_t hosted = 0;
  };
  struct StageState {
    OrderedQueue queue;
    std::vector<InstanceId> hosts;            // ready, ascending
    std::vector<Touched> touched;             // routing knows them as they were
    std::vector<std::uint32_t> open_batches;  // not started, with room
  };
  std::vector<StageState> by_weights;

  TimerHeap timers;  // [0, weights): batch wait; then elasticity; then requests
  TimePoint armed = TimePoint::never();
  [[nodiscard]] std::uint32_t elasticity_timer() const {
    return static_cast<std::uint32_t>(by_weights.size());
  }
  [[nodiscard]] std::uint32_t request_timer(std::uint32_t slot) const {
    return elasticity_timer() + 1 + slot;
  }
  bool elasticity_paused = false;
  std::vector<std::uint64_t> unfinished_work, arrived_work;  // [shape x nodes + node]
  std::vector<RoleView> role_views;
  std::vector<std::uint32_t> spare_gpus;
  std::vector<std::vector<std::uint32_t>> free_gpus;  // by machine, GPU type
  std::vector<Move> moves;

  // Reused within one event.
  std::vector<Ready> ready;
  std::vector<InstanceId> freed_instances;
  std::vector<QueueEntry> taken;
  std::vector<QueueEntry> together;
  std::vector<RunningBatch> running_batches;
  std::vector<std::uint32_t> affected;
  std::vector<WeightsId> stages_to_fill;

  Counters counters;
  std::vector<ScalingDecision> decisions;
};

}  // namespace disagfusion::scheduler
