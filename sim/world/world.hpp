// The simulated world: instances with their run queues, links, clients, faults and the control
// plane, in virtual time. It decides nothing: next() gives the scheduler's next event, apply()
// carries its actions out. At one instant the world first updates itself (a batch ends, the next
// one starts), then tells the scheduler one event that names what started.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "base/slot_array.hpp"
#include "predictor/cached_costs.hpp"
#include "predictor/cost_model.hpp"
#include "predictor/service_draw.hpp"
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "scheduler/run_queue.hpp"
#include "scheduler/setup.hpp"
#include "sim/kernel/indexed_heap.hpp"
#include "sim/kernel/ring.hpp"
#include "sim/kernel/winner_tree.hpp"
#include "sim/network/network.hpp"
#include "traces/arrivals.hpp"

namespace disagfusion::sim {

class World {
 public:
  /// All must outlive the world. `seed` is the replication's.
  World(const Scenario& scenario, const scheduler::Setup& setup, const predictor::CostModel& truth,
        traces::ArrivalSource& arrivals, std::uint64_t seed);

  /// The next event for the scheduler, by now() and event(); false where nothing will happen any
  /// more, or the arrivals failed (problems()). What event() refers to lives until the next call.
  bool next();
  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] const scheduler::Event& event() const { return event_; }
  /// The arrival behind a request_arrived event.
  [[nodiscard]] const traces::Request& arrived() const { return arrivals_[present_index_]; }

  /// Carries out what the scheduler answered to the last event.
  void apply(const scheduler::ActionBuffer& buffer);

  /// No arrival is to come (a closed loop may still bring one when a request ends).
  [[nodiscard]] bool arrivals_ended() const { return !arrival_known_ && pending_.empty(); }
  /// Requests that arrived and have not ended.
  [[nodiscard]] std::uint64_t in_system() const { return in_system_; }
  [[nodiscard]] const Problems& problems() const { return problems_; }
  /// Kernel events so far, those that the scheduler does not see included.
  [[nodiscard]] std::uint64_t kernel_events() const { return kernel_events_; }
  /// The most bytes that lay in the host memory of each machine at once.
  [[nodiscard]] std::vector<double> host_memory_peaks() const;
  /// What this run met and did not model: shapes that no cost covers, host memory that ran out.
  [[nodiscard]] std::vector<std::string> notes() const;

 private:
  using Action = scheduler::Action;
  using ActionBuffer = scheduler::ActionBuffer;
  using CommandKey = scheduler::CommandKey;
  using Event = scheduler::Event;
  using EventKind = scheduler::EventKind;
  using HandleKey = scheduler::HandleKey;
  using InstanceKey = scheduler::InstanceKey;
  using MemberOutcome = scheduler::MemberOutcome;
  using Reason = scheduler::Reason;
  using RequestKey = scheduler::RequestKey;
  using RunQueue = scheduler::RunQueue;

  // Sources of events in the tree, before the instances.
  enum Source : std::uint32_t { kArrival, kTimer, kCancel, kNetwork, kControl, kRare, kInstances };

  enum class Life : std::uint8_t { off, provisioning, loading, ready, empty, dead };
  struct alignas(64) Instance {
    InstanceKey key;
    PoolId role;
    MachineId machine;
    Life life = Life::off;
    const LinkSpec* link = nullptr;  ///< of its machine; null: no bottleneck, no latency
    std::uint32_t egress = kNoResource, ingress = kNoResource;
    RunQueue queue;
    // What computes.
    TimePoint started, ends;
    std::uint32_t shape = 0;                    ///< of all members
    NodeId node;                                ///< their stage
    std::uint32_t batch = 0;                    ///< so many images
    const predictor::Estimate* cost = nullptr;  ///< of one batch of these; null: none in this role
    double factor = 1;                          ///< of this one
    std::uint32_t stop_after = 0;               ///< preempting: steps done then; 0: runs to the end
    std::vector<scheduler::BatchMember> keep;   ///< preempting: whose states to keep
    // Commands that wait for time to pass.
    CommandKey life_command, drain;
    TimePoint up_since;  ///< of this incarnation: phase of its heartbeats
    bool loss_told = true;
    TimePoint last_up, last_down;  ///< order of its messages
  };
  struct RequestRecord {
    std::uint64_t index = 0;
    std::uint32_t shape = 0;
    std::uint32_t generation = 0;
    ModelId model;
    bool drawn = false;
    predictor::ServiceBits bits{};
  };
  struct HandleRecord {
    std::uint32_t generation = 0;  ///< 0: not held
    InstanceKey holder;
    CommandKey producer;
    std::uint16_t node = 0;  ///< of the stage that made it
    double bytes = 0;
  };
  struct Moving {
    bool active = false;
    CommandKey command, target;
    HandleKey handle;
    InstanceKey from, to;
  };
  /// An event without lists that is told at the present instant.
  struct Note {
    std::uint64_t sequence = 0;
    TimePoint time, when;
    EventKind kind = EventKind::tick;
    Reason reason = Reason::none;
    std::uint32_t number = 0;
    InstanceKey instance;
    CommandKey command;
    RequestKey member;
  };
  /// An event or an action on its way through the control plane.
  struct Message {
    bool is_action = false;
    Event event;
    std::vector<MemberOutcome> members;
    ActionBuffer parts;
  };
  struct Rare {
    enum class Kind : std::uint8_t { fault, loss_noticed, repaired, reclaimed } kind;
    std::uint32_t index = 0;  ///< fault
    InstanceKey instance;
  };

  // world.cpp: the loop, requests, the control plane
  /// Fills event_ anew: the fields that this world ever sets. The others stay as they were made.
  void begin_event(EventKind kind, InstanceKey instance, CommandKey command) {
    event_.kind = kind;
    event_.reason = Reason::none;
    event_.instance = instance;
    event_.command = command;
    event_.started = {};
    event_.request = {};
    event_.number = 0;
    event_.compute = {};
    event_.when = {};
    event_.steps_done = 0;
    event_.members = {};
    event_.body = nullptr;
  }
  void take_note();
  bool due(std::uint32_t source);
  bool arrival_due();
  bool control_due();
  traces::Request& present() { return arrivals_[present_index_]; }
  traces::Request& upcoming() { return arrivals_[1U - present_index_]; }
  void fetch_arrival();
  void set_arrival();
  std::uint32_t shape_class(const Shape& shape);
  void note_uncovered(ModelId model, const Shape& shape);
  RequestKey open_request();
  void request_ended(RequestKey request);
  /// Told by an instance: true where event_ is to be delivered now, false where it travels.
  bool tell() { return !delayed() || event_.instance.id == kController || tell_later(); }
  bool tell_later();
  // Field by field and in place: a note is read again soon, and a copy of a structure that was just
  // written in pieces waits for each of them.
  void note_here(EventKind kind, InstanceKey instance, CommandKey command, Reason reason,
                 RequestKey member, TimePoint when) {
    Note& note = notes_.push();
    note.sequence = next_sequence();
    note.time = now_;
    note.when = when;
    note.kind = kind;
    note.reason = reason;
    note.number = kind == EventKind::controller_restarted ? 1 : 0;  // epoch
    note.instance = instance;
    note.command = command;
    note.member = member;
  }
  void note(EventKind kind, InstanceKey instance, CommandKey command, Reason reason = Reason::none,
            RequestKey member = {}, TimePoint when = {}) {
    if (!delayed() || instance.id == kController) {
      note_here(kind, instance, command, reason, member, when);
    } else {
      note_later(kind, instance, command, reason, member, when);
    }
  }
  void note_later(EventKind kind, InstanceKey instance, CommandKey command, Reason reason,
                  RequestKey member, TimePoint when);
  [[nodiscard]] bool delayed() const { return control_.delay.ns > 0; }
  TimePoint delivery(TimePoint& last);
  std::uint32_t new_message();
  void send_down(const Action& action, const ActionBuffer& buffer);
  /// The instance in that life, or null: whoever is gone hears nothing.
  Instance* addressee(InstanceKey key) {
    if (key.id.index() >= instances_.size()) return nullptr;
    Instance& in = instances_[key.id.index()];
    return in.key == key && in.life != Life::dead && in.life != Life::off ? &in : nullptr;
  }
  void set_control();

  // actions.cpp
  void carry_out(const Action& action, const ActionBuffer& buffer);
  /// An action that travelled has arrived.
  void arrived_below(const Action& action, const ActionBuffer& buffer);
  void enqueue(const Action& action, const ActionBuffer& buffer);
  void extend(const Action& action, const ActionBuffer& buffer);
  void revoke(const Action& action);
  void preempt(const Action& action, const ActionBuffer& buffer);
  void start_transfer(const Action& action);
  void cancel_transfer(const Action& action);
  void release(const Action& action);
  void live_on(const Action& action);
  bool network_due();
  void set_network();

  // instances.cpp
  bool instance_due(Instance& in);
  bool batch_ended(Instance& in);
  /// Starts what the run queue has next, if anything; tells which enqueue that is.
  CommandKey start_next(Instance& in);
  void begin(Instance& in, const RunQueue::Entry& entry);
  [[nodiscard]] const predictor::Estimate& cost_of(Instance& in, NodeId node, std::uint32_t shape,
                                                   std::uint32_t batch);
  /// Something changed that may let an idle instance start: tells if so.
  void kick(Instance& in) {
    if (in.queue.running() == nullptr && in.queue.waiting() > 0) start_if_able(in);
  }
  void start_if_able(Instance& in);
  void check_drained(Instance& in);
  Duration seconds_of(Instance& in, const RunQueue::Entry& entry);
  RequestRecord& first_alive(const RunQueue::Entry& entry);
  double output_bytes(NodeId node, std::uint32_t shape);
  void hold(HandleKey handle, const Instance& in, const RunQueue::Entry& entry, double bytes);
  void drop_handle(HandleRecord& record);
  void provision(const Action& action);
  [[nodiscard]] const LinkSpec* link_of(MachineId machine) const;
  void make_links(Instance& in);

  // faults.cpp
  bool rare_due();
  void schedule(TimePoint at, Rare rare);
  bool strike(const FaultSpec& fault);
  void crash(Instance& in);
  bool tell_loss(Instance& in);
  void come_back(Instance& in);

  [[nodiscard]] std::uint32_t tree_slot(const Instance& in) const {
    return kInstances + static_cast<std::uint32_t>(in.key.id.value);
  }
  [[nodiscard]] std::uint64_t next_sequence() { return sequence_++; }

  const Scenario& scenario_;
  const scheduler::Setup& setup_;
  const predictor::CostModel& truth_;
  traces::ArrivalSource& source_;
  const ControlSpec control_;
  std::uint64_t seed_;

  TimePoint now_;
  std::uint64_t sequence_ = 0, kernel_events_ = 0, control_messages_ = 0;
  WinnerTree tree_;
  Ring<Note> notes_;
  Event event_;
  std::vector<MemberOutcome> outcomes_;

  // clients
  traces::Request arrivals_[2];  ///< the one that arrived last, the one to come
  std::uint32_t present_index_ = 0;
  bool arrival_known_ = false;
  Ring<traces::Request> pending_;  ///< a closed loop's, at once
  scheduler::RequestBody body_;
  SlotArray<RequestRecord> requests_;  ///< by slot
  std::vector<std::uint32_t> free_requests_;
  std::uint64_t in_system_ = 0;
  IndexedHeap cancels_;  ///< by request slot
  std::vector<RequestKey> cancel_keys_;
  Problems problems_;

  // costs
  predictor::CachedCosts costs_;
  std::map<Shape, std::uint32_t> shape_ids_;
  Shape last_shape_;
  std::uint32_t last_shape_id_ = 0xffffffffU;
  std::vector<std::uint64_t> uncovered_;  ///< by NodeId: shapes whose seconds are extrapolated
  std::vector<double> output_bytes_;      ///< [shape x nodes + node], negative: not asked

  // instances, links
  SlotArray<Instance> instances_;  ///< by InstanceId; [0] is the controller
  Network network_;
  std::vector<std::uint32_t> machine_link_;  ///< egress, then ingress = + 1; kNoResource: no nic
  SlotArray<Moving> moving_;                 ///< by TransferId
  std::vector<std::uint32_t> transfer_of_;   ///< by command slot: TransferId
  SlotArray<HandleRecord> handles_;          ///< by handle slot
  std::vector<double> host_bytes_, host_peak_;

  // control plane
  std::vector<Message> messages_;
  std::vector<std::uint32_t> free_messages_;
  IndexedHeap on_the_way_;
  std::uint32_t delivered_message_ = 0xffffffffU;

  std::vector<Rare> rare_;
  IndexedHeap rare_heap_;
};

}  // namespace disagfusion::sim
