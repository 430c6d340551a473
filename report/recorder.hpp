// What became of requests, stages, instances and links, gathered at the border of the scheduler: it
// sees each event with the actions it caused and knows nothing of the world behind. Simulator and
// executor report through it alike. Instants are those at which the scheduler learnt of things.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/inline.hpp"
#include "base/scenario.hpp"
#include "base/slot_array.hpp"
#include "report/perfetto.hpp"
#include "report/run_summary.hpp"
#include "report/slo.hpp"
#include "report/statistics/intervals.hpp"
#include "report/statistics/percentiles.hpp"
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "scheduler/run_queue.hpp"
#include "scheduler/scheduler.hpp"
#include "scheduler/setup.hpp"
#include "traces/requests_csv.hpp"

namespace disagfusion::report {

/// Receives each request as it ends (requests.csv).
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void row(scheduler::RequestKey request, const traces::RequestRow& row) = 0;
};

/// Memory: dense by slot of request, command and handle, so bounded by what is open at once.
class Recorder {
 public:
  /// All must outlive it. Requests that arrive before `warmup` are counted, not measured.
  Recorder(const Scenario& scenario, const scheduler::Setup& setup,
           const predictor::CostModel& truth, Duration warmup);
  void set_rows(RowSink* rows) { rows_ = rows; }
  void set_trace(PerfettoTrace* trace) { trace_ = trace; }

  /// After each Session::on_event, with the same event and its actions.
  void on_event(TimePoint now, const scheduler::Event& event,
                const scheduler::ActionBuffer& buffer);
  /// The run is over at `end`: closes what is open, writes rows of requests in flight.
  RunSummary finish(TimePoint end, const scheduler::Scheduler& scheduler);

 private:
  using CommandKey = scheduler::CommandKey;
  using Event = scheduler::Event;
  using RequestKey = scheduler::RequestKey;
  static constexpr std::int64_t kNever = -1;

  struct StageRecord {
    std::int64_t ready = kNever, transfer_start = kNever, transfer_end = kNever;
    std::int64_t start = kNever, end = kNever;  ///< ns
    std::uint32_t instance = 0;
    std::uint16_t attempt = 0, batch = 0;
  };
  struct RequestRecord {
    std::int64_t arrival = 0, admitted = kNever, bound = kNever;
    std::uint32_t generation = 0;  ///< 0: free
    ModelId model;
    std::uint16_t objective = 0xffff;
    bool measured = false;
  };
  struct Batch {
    std::uint64_t id = 0;  ///< 0: closed
    scheduler::InstanceKey instance;
    NodeId node;
    std::uint16_t stage = 0;  ///< the node's, in its model
    WeightsId weights;
    std::uint32_t output_transfers = 0;
    std::int64_t start = kNever;
    std::vector<RequestKey> members;
  };
  struct Transfer {
    std::uint64_t id = 0;
    scheduler::InstanceKey from, to;
    scheduler::HandleKey handle;
    RequestKey request;
    NodeId node;  ///< none: to the controller
    std::int64_t start = 0, busy_before = 0;
    std::uint32_t lanes = 0;  ///< of the trace
  };
  struct Blocked {
    WeightsId weights;
    NodeId node;
    std::int64_t since = kNever;
  };
  struct Instance {
    scheduler::InstanceKey key;
    PoolId role, loading;
    MachineId machine;
    bool lost = false, reclaimed = false;
    std::int64_t ready_since = kNever, held_since = kNever, lost_at = kNever;
    std::int64_t busy = 0, busy_since = kNever;
    CommandKey running;
    scheduler::OutputSlots outputs;
    std::vector<Blocked> blocked;
  };
  struct StageTotals {
    std::uint64_t measured = 0, served = 0, batches = 0;
    double wait_s = 0, service_s = 0, transfer_s = 0, hidden_s = 0, blocked_s = 0;
    double transfers_s = 0;  ///< of all transfers: the denominator of hidden
    std::int64_t busy_ns = 0, busy_all_ns = 0, blocked_all_ns = 0;
  };
  struct MachineTotals {
    std::uint32_t held = 0;
    std::int64_t since = kNever, ns = 0;
  };

  void note_event(const Event& event);
  void note_actions(const scheduler::ActionBuffer& buffer);
  void note_action(const scheduler::ActionBuffer& buffer, const scheduler::Action& action);
  void arrive(const Event& event);
  void admit(RequestKey request);
  void end(RequestKey request, traces::Outcome outcome, const char* why);
  void measure(const RequestRecord& record, const StageRecord* stages);
  void write_row(RequestKey request, traces::Outcome outcome, const char* why);
  void enqueue(const scheduler::ActionBuffer& buffer, const scheduler::Action& action);
  void add_members(const scheduler::ActionBuffer& buffer, const scheduler::Action& action,
                   Batch& batch);
  void start(CommandKey command);
  void batch_ended(const Event& event);
  void stage_done(RequestKey request, NodeId node);
  void start_transfer(const scheduler::Action& action);
  void transfer_ended(const Event& event);
  void instance_changed(const Event& event);
  void become_ready(Instance& in);
  void leave_ready(Instance& in);
  DF_INLINE void stop_computing(Instance& in, NodeId node) {
    if (in.busy_since == kNever) return;
    const std::int64_t measured = clipped(in.busy_since, now_);
    StageTotals& totals = totals_[node.index()];
    in.busy += now_ - in.busy_since;
    totals.busy_ns += measured;
    totals.busy_all_ns += now_ - in.busy_since;
    pool_busy_ns_[in.role.index()] += measured;
    in.busy_since = kNever;
    in.running = {};
  }
  void hold(Instance& in);
  void let_go(Instance& in, std::int64_t at);
  void unblock(Instance& in);
  void close_blocked(Blocked& blocked);

  Instance* present(scheduler::InstanceKey key);
  RequestRecord* find(RequestKey key) {
    if (key.slot >= requests_.size() || requests_[key.slot].generation != key.generation ||
        key.generation == 0) {
      return nullptr;
    }
    return &requests_[key.slot];
  }
  StageRecord* stages_of(std::uint32_t slot) {
    return stages_.data() + std::size_t{slot} * widest_;
  }
  /// The record of that stage of its model, or null where the request is over.
  StageRecord* stage_of(RequestKey key, std::uint16_t stage) {
    return find(key) == nullptr ? nullptr : stages_of(key.slot) + stage;
  }
  [[nodiscard]] std::int64_t busy_until(const Instance& in, std::int64_t at) const {
    return in.busy + (in.busy_since == kNever ? 0 : at - in.busy_since);
  }
  [[nodiscard]] std::int64_t clipped(std::int64_t from, std::int64_t to) const {
    const std::int64_t first = from > warmup_ ? from : warmup_;
    return to > first ? to - first : 0;
  }
  std::string stage_without_instances(const scheduler::Scheduler& scheduler) const;
  Stability judge(std::int64_t end, std::string& why) const;
  void summarize_stages(RunSummary& summary, std::int64_t end) const;
  void summarize_cost(RunSummary& summary) const;

  const Scenario& scenario_;
  const scheduler::Setup& setup_;
  Objectives objectives_;
  std::int64_t warmup_ = 0, now_ = 0;
  RowSink* rows_ = nullptr;
  PerfettoTrace* trace_ = nullptr;
  bool limited_outputs_ = false;
  std::size_t widest_ = 1;  ///< most stages of a model
  std::vector<std::uint16_t> stages_of_model_;

  SlotArray<RequestRecord> requests_;
  std::vector<StageRecord> stages_;
  SlotArray<Batch> batches_;        ///< by command slot
  SlotArray<Transfer> transfers_;   ///< by command slot
  SlotArray<CommandKey> producer_;  ///< by handle slot
  SlotArray<Instance> instances_;
  std::vector<MachineTotals> machines_;

  // totals
  OutcomeCounts counts_;
  std::vector<std::uint64_t> offered_of_model_;
  std::uint64_t in_system_ = 0;
  double system_integral_s_ = 0;  ///< of the number in system over time
  double time_in_system_s_ = 0;
  std::int64_t first_arrival_ = kNever, last_arrival_ = 0, last_completion_ = 0;
  std::uint64_t measured_offered_ = 0, measured_completed_ = 0;
  std::uint64_t completed_after_warmup_ = 0;
  Percentiles latency_;
  BatchMeans latency_means_, wait_means_, met_means_;
  std::vector<double> seen_;  ///< backlog met by arrivals, in blocks that double
  std::uint64_t seen_block_ = 1, seen_in_block_ = 0;
  double seen_sum_ = 0;
  std::vector<ObjectiveCounts> objective_counts_;
  std::vector<StageTotals> totals_;  ///< by NodeId
  std::vector<std::int64_t> pool_ready_ns_, pool_ready_all_ns_, pool_busy_ns_;
  traces::RequestRow row_;
};

}  // namespace disagfusion::report
