#include "report/recorder.hpp"

#include <algorithm>

#include "base/append.hpp"
#include "base/check.hpp"
#include "base/inline.hpp"

namespace disagfusion::report {

using scheduler::Action;
using scheduler::ActionBuffer;
using scheduler::ActionKind;
using scheduler::EventKind;
using scheduler::MemberOutcome;

namespace {

double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

traces::Outcome outcome_of(scheduler::EndState state) {
  switch (state) {
    case scheduler::EndState::completed:
      return traces::Outcome::completed;
    case scheduler::EndState::rejected:
      return traces::Outcome::rejected;
    case scheduler::EndState::failed:
      return traces::Outcome::failed;
    case scheduler::EndState::timed_out:
      return traces::Outcome::timed_out;
    case scheduler::EndState::cancelled:
      return traces::Outcome::cancelled;
  }
  return traces::Outcome::failed;
}

}  // namespace

const char* name_of(Stability stability) {
  switch (stability) {
    case Stability::stable:
      return "stable";
    case Stability::backlogged:
      return "backlogged";
    case Stability::overloaded:
      return "overloaded";
  }
  return "?";
}

Recorder::Recorder(const Scenario& scenario, const scheduler::Setup& setup,
                   const predictor::CostModel& truth, Duration warmup)
    : scenario_(scenario), setup_(setup), objectives_(scenario, setup, truth), warmup_(warmup.ns) {
  const StageGraph& graph = setup.graph;
  for (std::size_t m = 0; m + 1 < graph.first_node.size(); ++m) {
    const auto count =
        static_cast<std::uint16_t>(graph.first_node[m + 1].value - graph.first_node[m].value);
    stages_of_model_.push_back(count);
    widest_ = std::max<std::size_t>(widest_, count);
  }
  offered_of_model_.assign(graph.model_names.size(), 0);
  totals_.resize(graph.nodes.size());
  objective_counts_.resize(scenario.slo.size());
  machines_.resize(setup.machines.size());
  pool_ready_ns_.assign(setup.roles.size(), 0);
  pool_ready_all_ns_ = pool_busy_ns_ = pool_ready_ns_;
  for (const scheduler::Role& role : setup.roles) {
    limited_outputs_ = limited_outputs_ || role.output_slots != kUnlimited;
  }
  instances_.resize(setup.instances.size() + 1);
  for (std::size_t i = 1; i < instances_.size(); ++i) {
    Instance& in = instances_[i];
    in.key = {InstanceId{static_cast<std::uint32_t>(i)}, 1};
    in.role = setup.instances[i - 1].role;
    in.machine = setup.instances[i - 1].machine;
    hold(in);
  }
}

void Recorder::on_event(TimePoint now, const Event& event, const ActionBuffer& buffer) {
  if (now.ns != now_) {
    system_integral_s_ += static_cast<double>(in_system_) * seconds(now.ns - now_);
    now_ = now.ns;
  }
  note_event(event);
  if (!buffer.actions.empty()) note_actions(buffer);
}

DF_INLINE void Recorder::note_actions(const ActionBuffer& buffer) {
  for (const Action& action : buffer.actions) note_action(buffer, action);
}

DF_INLINE void Recorder::note_event(const Event& event) {
  switch (event.kind) {
    case EventKind::request_arrived:
      arrive(event);
      break;
    case EventKind::batch_started:
      start(event.command);
      break;
    case EventKind::batch_finished:
    case EventKind::batch_preempted:
      batch_ended(event);
      break;
    case EventKind::batch_revoked:
    case EventKind::batch_refused:
    case EventKind::out_of_memory:
      if (event.command.slot < batches_.size() && event.members.empty() &&
          batches_[event.command.slot].id == event.command.id) {
        batches_[event.command.slot].id = 0;
      }
      break;
    case EventKind::transfer_finished:
    case EventKind::transfer_failed:
    case EventKind::transfer_cancelled:
      transfer_ended(event);
      break;
    case EventKind::instance_ready:
    case EventKind::instance_drained:
    case EventKind::instance_unloaded:
    case EventKind::instance_stopped:
    case EventKind::instance_lost:
    case EventKind::start_failed:
    case EventKind::load_failed:
      instance_changed(event);
      break;
    case EventKind::reclaim_notice:
      if (Instance* in = present(event.instance)) in->reclaimed = true;
      break;
    default:  // among them the most frequent ones that concern nobody here: handle_released, timer
      return;
  }
  if (event.started.valid()) start(event.started);
}

DF_INLINE void Recorder::note_action(const ActionBuffer& buffer, const Action& action) {
  switch (action.kind) {
    case ActionKind::admit:
      admit(action.request);
      break;
    case ActionKind::reject:
      end(action.request, traces::Outcome::rejected, name_of(action.why));
      break;
    case ActionKind::end_request:
      end(action.request, outcome_of(action.state), name_of(action.why));
      break;
    case ActionKind::enqueue:
      enqueue(buffer, action);
      break;
    case ActionKind::extend: {
      Batch& batch = batches_[action.target.slot];
      if (batch.id == action.target.id) add_members(buffer, action, batch);
      break;
    }
    case ActionKind::transfer:
      start_transfer(action);
      break;
    case ActionKind::output_sent:
      if (Instance* in = present(action.instance)) {
        if (in->outputs.output_sent(action.target)) unblock(*in);
      }
      break;
    case ActionKind::load:
      if (Instance* in = present(action.instance)) in->loading = action.pool;
      break;
    case ActionKind::provision: {
      Instance& in = instances_.at_slot(action.instance.id.index());
      in.key = action.instance;
      in.lost = in.reclaimed = false;
      in.role = action.pool;
      in.machine = action.machine;
      in.ready_since = in.busy_since = kNever;
      hold(in);
      break;
    }
    case ActionKind::undrain:
      if (Instance* in = present(action.instance)) become_ready(*in);
      break;
    default:
      break;
  }
}

// ---- requests ----------------------------------------------------------------------------------

DF_INLINE void Recorder::arrive(const Event& event) {
  const std::uint32_t slot = event.request.slot;
  if (slot >= requests_.size()) {
    requests_.resize(slot + 1UL);
    stages_.resize((slot + 1UL) * widest_);
  }
  RequestRecord& record = requests_[slot];
  record = RequestRecord{};
  record.arrival = now_;
  record.generation = event.request.generation;
  record.model = event.body->model;
  record.measured = now_ >= warmup_;
  std::fill_n(stages_of(slot), stages_of_model_[record.model.index()], StageRecord{});
  if (!objective_counts_.empty()) {
    const Objectives::Bound bound = objectives_.bound_of(*event.body);
    record.objective = bound.objective;
    if (bound.latency) record.bound = bound.latency->ns;
  }
  ++counts_.offered;
  ++offered_of_model_[record.model.index()];
  if (record.measured) ++measured_offered_;
  if (first_arrival_ == kNever) first_arrival_ = now_;
  last_arrival_ = now_;
  seen_sum_ += static_cast<double>(in_system_);
  if (++seen_in_block_ == seen_block_) {
    seen_.push_back(seen_sum_ / static_cast<double>(seen_block_));
    seen_sum_ = 0;
    seen_in_block_ = 0;
    constexpr std::size_t kMostBlocks = 96;
    if (seen_.size() == kMostBlocks) {
      for (std::size_t i = 0; i < kMostBlocks / 2; ++i) {
        seen_[i] = (seen_[2 * i] + seen_[2 * i + 1]) / 2;
      }
      seen_.resize(kMostBlocks / 2);
      seen_block_ *= 2;
    }
  }
  ++in_system_;
}

DF_INLINE void Recorder::admit(RequestKey request) {
  RequestRecord* record = find(request);
  if (record == nullptr) return;
  record->admitted = now_;
  const std::size_t first = setup_.graph.first_node[record->model.index()].index();
  StageRecord* stages = stages_of(request.slot);
  for (std::uint16_t i = 0; i < stages_of_model_[record->model.index()]; ++i) {
    if (setup_.graph.nodes[first + i].after.empty()) stages[i].ready = now_;
  }
}

DF_INLINE void Recorder::measure(const RequestRecord& record, const StageRecord* stages) {
  const std::size_t first = setup_.graph.first_node[record.model.index()].index();
  double wait_total = 0;
  for (std::uint16_t i = 0; i < stages_of_model_[record.model.index()]; ++i) {
    const StageRecord& stage = stages[i];
    if (stage.start == kNever || stage.ready == kNever) continue;
    const std::int64_t transfer =
        stage.transfer_end == kNever ? 0 : stage.transfer_end - stage.transfer_start;
    const double wait = std::max(0.0, seconds(stage.start - stage.ready - transfer));
    StageTotals& totals = totals_[first + i];
    ++totals.measured;
    totals.wait_s += wait;
    totals.service_s += seconds(stage.end - stage.start);
    totals.transfer_s += seconds(transfer);
    wait_total += wait;
  }
  wait_means_.add(wait_total);
  latency_means_.add(seconds(now_ - record.arrival));
  latency_.add({now_ - record.arrival});
  ++measured_completed_;
}

void Recorder::end(RequestKey request, traces::Outcome outcome, const char* why) {
  RequestRecord* record = find(request);
  if (record == nullptr) return;
  --in_system_;
  const std::int64_t sojourn = now_ - record->arrival;
  time_in_system_s_ += seconds(sojourn);
  bool counted = record->bound != kNever;
  bool met = false;
  switch (outcome) {
    case traces::Outcome::completed:
      ++counts_.completed;
      last_completion_ = now_;
      if (now_ > warmup_) ++completed_after_warmup_;
      met = counted && sojourn <= record->bound;
      if (record->measured) measure(*record, stages_of(request.slot));
      break;
    case traces::Outcome::rejected:
      ++counts_.rejected;
      break;
    case traces::Outcome::timed_out:
      ++counts_.timed_out;
      break;
    case traces::Outcome::failed:
      ++counts_.failed;
      break;
    case traces::Outcome::cancelled:
      ++counts_.cancelled;
      counted = false;
      break;
    case traces::Outcome::in_flight:
      ++counts_.in_flight;
      counted = counted && sojourn > record->bound;
      break;
  }
  if (counted && record->measured) {
    ObjectiveCounts& objective = objective_counts_[record->objective];
    ++(met ? objective.met : objective.missed);
    met_means_.add(met ? 1 : 0);
  }
  if (rows_ != nullptr) {
    row_.slo_met.reset();
    if (counted) row_.slo_met = met;
    write_row(request, outcome, why);
  }
  record->generation = 0;
}

void Recorder::write_row(RequestKey request, traces::Outcome outcome, const char* why) {
  const RequestRecord& record = requests_[request.slot];
  const std::optional<bool> met = row_.slo_met;
  if (row_.stages.size() != setup_.graph.nodes.size()) {
    row_.stages.resize(setup_.graph.nodes.size());
  }
  row_.clear();
  row_.slo_met = met;
  row_.state = outcome;
  const std::string_view reason = why;
  if (reason != "none") row_.reason = reason;
  const auto instant = [](std::int64_t ns) -> std::optional<TimePoint> {
    if (ns == kNever) return std::nullopt;
    return TimePoint{ns};
  };
  row_.admitted = instant(record.admitted);
  if (outcome != traces::Outcome::in_flight) row_.done = TimePoint{now_};
  if (outcome == traces::Outcome::completed) row_.latency = Duration{now_ - record.arrival};
  const std::size_t first = setup_.graph.first_node[record.model.index()].index();
  const StageRecord* stages = stages_of(request.slot);
  for (std::uint16_t i = 0; i < stages_of_model_[record.model.index()]; ++i) {
    const StageRecord& stage = stages[i];
    traces::StageTimes& times = row_.stages[first + i];
    times.ready = instant(stage.ready);
    times.transfer_start = instant(stage.transfer_start);
    times.transfer_end = instant(stage.transfer_end);
    times.start = instant(stage.start);
    times.end = instant(stage.end);
    times.instance = stage.attempt == 0 ? InstanceId::none() : InstanceId{stage.instance};
    times.attempt = stage.attempt;
    times.batch = stage.batch;
  }
  rows_->row(request, row_);
}

// ---- batches -----------------------------------------------------------------------------------

DF_INLINE Recorder::Instance* Recorder::present(scheduler::InstanceKey key) {
  const std::size_t index = key.id.index();
  if (index == 0 || index >= instances_.size()) return nullptr;
  Instance& in = instances_[index];
  return in.key == key && !in.lost ? &in : nullptr;
}

DF_INLINE void Recorder::enqueue(const ActionBuffer& buffer, const Action& action) {
  Batch& batch = batches_.at_slot(action.command.slot);
  batch.id = action.command.id;
  batch.instance = action.instance;
  batch.node = action.node;
  batch.stage = setup_.graph.nodes[action.node.index()].stage;
  batch.weights = action.weights;
  batch.output_transfers = action.output_transfers;
  batch.start = kNever;
  batch.members.clear();
  add_members(buffer, action, batch);
}

DF_INLINE void Recorder::add_members(const ActionBuffer& buffer, const Action& action,
                                     Batch& batch) {
  for (const scheduler::BatchMember& member : buffer.members_of(action)) {
    append(batch.members, member.request);
    StageRecord* stage = stage_of(member.request, batch.stage);
    if (stage == nullptr) continue;
    stage->instance = batch.instance.id.value;
    ++stage->attempt;
    stage->transfer_start = stage->transfer_end = kNever;
  }
}

DF_INLINE void Recorder::start(CommandKey command) {
  if (command.slot >= batches_.size() || batches_[command.slot].id != command.id) return;
  Batch& batch = batches_[command.slot];
  Instance* in = present(batch.instance);
  if (in == nullptr || batch.start != kNever) return;
  batch.start = now_;
  in->running = command;
  in->busy_since = now_;
  for (const RequestKey member : batch.members) {
    if (StageRecord* stage = stage_of(member, batch.stage)) stage->start = now_;
  }
}

DF_INLINE void Recorder::batch_ended(const Event& event) {
  if (event.command.slot >= batches_.size()) return;
  Batch& batch = batches_[event.command.slot];
  Instance* in = present(batch.instance);
  if (batch.id != event.command.id || in == nullptr) return;
  if (batch.start == kNever) start(event.command);
  stop_computing(*in, batch.node);
  batch.id = 0;
  StageTotals& totals = totals_[batch.node.index()];
  ++totals.batches;
  if (trace_ != nullptr) {
    trace_->compute(batch.instance.id.value, setup_.graph.node_names[batch.node.index()],
                    batch.members.empty() ? 0 : batch.members.front().generation,
                    batch.members.size(), batch.start, now_);
  }
  if (event.kind == EventKind::batch_preempted) return;
  std::size_t good = 0;
  for (const MemberOutcome& outcome : event.members) {
    if (outcome.kind != MemberOutcome::Kind::output) continue;
    ++good;
    if (limited_outputs_ && outcome.handle.valid()) {
      producer_.at_slot(outcome.handle.slot) = event.command;
    }
    StageRecord* stage = stage_of(outcome.request, batch.stage);
    if (stage == nullptr) continue;
    stage->end = now_;
    stage->batch = static_cast<std::uint16_t>(std::min<std::size_t>(event.members.size(), 0xffff));
    stage_done(outcome.request, batch.node);
  }
  totals.served += good;
  if (!in->outputs.counting()) return;
  in->outputs.finish(event.command, batch.weights, batch.output_transfers);
  for (Blocked& blocked : in->blocked) {
    if (blocked.weights != batch.weights) continue;
    if (blocked.since == kNever && in->outputs.blocked(batch.weights)) {
      blocked.since = now_;
      blocked.node = batch.node;
    }
  }
}

/// A successor is ready once all its predecessors have ended.
DF_INLINE void Recorder::stage_done(RequestKey request, NodeId node) {
  StageRecord* stages = stages_of(request.slot);
  for (const NodeId next : setup_.graph.nodes[node.index()].before) {
    const StageNode& successor = setup_.graph.nodes[next.index()];
    bool all = true;
    if (successor.after.size() > 1) {
      for (const NodeId before : successor.after) {
        all = all && stages[setup_.graph.nodes[before.index()].stage].end != kNever;
      }
    }
    if (all && stages[successor.stage].end == kNever) stages[successor.stage].ready = now_;
  }
}

void Recorder::close_blocked(Blocked& blocked) {
  if (blocked.since == kNever) return;
  StageTotals& totals = totals_[blocked.node.index()];
  totals.blocked_s += seconds(clipped(blocked.since, now_));
  totals.blocked_all_ns += now_ - blocked.since;
  blocked.since = kNever;
}

void Recorder::unblock(Instance& in) {
  for (Blocked& blocked : in.blocked) {
    if (!in.outputs.blocked(blocked.weights)) close_blocked(blocked);
  }
}

// ---- transfers ---------------------------------------------------------------------------------

DF_INLINE void Recorder::start_transfer(const Action& action) {
  Transfer& transfer = transfers_.at_slot(action.command.slot);
  transfer.id = action.command.id;
  transfer.from = action.from;
  transfer.to = action.instance;
  transfer.handle = action.handle;
  transfer.request = action.request;
  transfer.node = action.target.valid() ? action.node : NodeId::none();
  transfer.start = now_;
  const Instance* to = present(action.instance);
  transfer.busy_before = to == nullptr ? 0 : busy_until(*to, now_);
  if (trace_ != nullptr) {
    transfer.lanes = trace_->take_lanes(action.from.id.value, action.instance.id.value);
  }
  if (!transfer.node.valid() || find(action.request) == nullptr) return;
  StageRecord& stage =
      stages_of(action.request.slot)[setup_.graph.nodes[action.node.index()].stage];
  if (stage.transfer_start == kNever) stage.transfer_start = now_;
}

DF_INLINE void Recorder::transfer_ended(const Event& event) {
  const std::uint32_t slot = event.command.slot;
  if (slot >= transfers_.size() || transfers_[slot].id != event.command.id) return;
  Transfer& transfer = transfers_[slot];
  transfer.id = 0;
  if (trace_ != nullptr) {
    trace_->transfer(transfer.from.id.value, transfer.to.id.value, transfer.lanes,
                     transfer.node.valid() ? setup_.graph.node_names[transfer.node.index()]
                                           : std::string("result"),
                     transfer.request.generation, transfer.start, now_);
  }
  if (event.kind != EventKind::transfer_finished) return;
  if (transfer.node.valid()) {
    StageTotals& totals = totals_[transfer.node.index()];
    totals.transfers_s += seconds(now_ - transfer.start);
    if (const Instance* to = present(transfer.to)) {
      totals.hidden_s += seconds(busy_until(*to, now_) - transfer.busy_before);
    }
    if (find(transfer.request) != nullptr) {
      stages_of(transfer.request.slot)[setup_.graph.nodes[transfer.node.index()].stage]
          .transfer_end = now_;
    }
  }
  Instance* from = limited_outputs_ ? present(transfer.from) : nullptr;
  if (from != nullptr && transfer.handle.slot < producer_.size()) {
    if (from->outputs.transfer_ended(producer_[transfer.handle.slot])) unblock(*from);
  }
}

// ---- instances ---------------------------------------------------------------------------------

void Recorder::hold(Instance& in) {
  if (in.held_since != kNever) return;
  in.held_since = now_;
  MachineTotals& machine = machines_[in.machine.index()];
  if (machine.held++ == 0) machine.since = now_;
}

void Recorder::let_go(Instance& in, std::int64_t at) {
  if (in.held_since == kNever) return;
  in.held_since = kNever;
  MachineTotals& machine = machines_[in.machine.index()];
  if (--machine.held == 0) machine.ns += at - machine.since;
}

void Recorder::become_ready(Instance& in) {
  if (in.ready_since != kNever) return;
  in.ready_since = now_;
}

void Recorder::leave_ready(Instance& in) {
  if (in.ready_since == kNever) return;
  pool_ready_ns_[in.role.index()] += clipped(in.ready_since, now_);
  pool_ready_all_ns_[in.role.index()] += now_ - in.ready_since;
  in.ready_since = kNever;
}

void Recorder::instance_changed(const Event& event) {
  const std::size_t index = event.instance.id.index();
  if (index == 0 || index >= instances_.size()) return;
  Instance& in = instances_[index];
  if (event.kind == EventKind::instance_ready) {
    if (event.instance.incarnation < in.key.incarnation || (in.lost && event.instance == in.key)) {
      return;
    }
    in.key = event.instance;
    in.lost = false;
    if (in.loading.valid() && in.loading != in.role && trace_ != nullptr) {
      trace_->name(in.key.id.value, setup_.roles[in.loading.index()].name);
    }
    if (in.loading.valid()) in.role = in.loading;
    in.loading = PoolId::none();
    const scheduler::Role& role = setup_.roles[in.role.index()];
    in.outputs.host(role.stages, role.output_slots);
    in.blocked.clear();
    for (const WeightsId stage : role.stages) in.blocked.push_back({stage, {}, kNever});
    hold(in);
    become_ready(in);
    return;
  }
  if (event.instance != in.key || in.lost) return;
  if (event.kind == EventKind::instance_lost) {
    if (in.running.valid() && batches_[in.running.slot].id == in.running.id) {
      const NodeId node = batches_[in.running.slot].node;
      batches_[in.running.slot].id = 0;
      stop_computing(in, node);
    }
    in.lost = true;
    in.lost_at = now_;
  }
  leave_ready(in);
  for (Blocked& blocked : in.blocked) close_blocked(blocked);
  // What crashed is still rented; what was reclaimed is not.
  const bool gone = event.kind == EventKind::instance_lost && in.reclaimed;
  if (gone || event.kind == EventKind::instance_stopped || event.kind == EventKind::start_failed) {
    let_go(in, now_);
  }
}

}  // namespace disagfusion::report
