#include "scheduler/scheduler.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

Scheduler::State::State(const Setup& plan, std::shared_ptr<const predictor::CostModel> belief,
                        Policies chosen)
    : setup(plan), costs(setup, std::move(belief)), policies(std::move(chosen)) {
  state_facts();
  by_weights.resize(setup.graph.weights.size());
  instances.resize(setup.instances.size() + 1);
  instances[0].key = {kController, 0};
  free_gpus.reserve(setup.machines.size());
  for (const Machine& machine : setup.machines) free_gpus.push_back(machine.gpus);
  held_bytes.assign(setup.machines.size(), 0);
  for (std::size_t i = 0; i < setup.instances.size(); ++i) {
    Instance& in = instances[i + 1];
    in.key = {InstanceId{static_cast<std::uint32_t>(i + 1)}, 1};
    in.role = setup.instances[i].role;
    in.machine = setup.instances[i].machine;
    in.life = Instance::Life::expected;
    const Role& role = setup.roles[in.role.index()];
    free_gpus[in.machine.index()][role.gpu.index()] -= role.degree;
  }
  const TimePoint wake = policies.elasticity->first_wake();
  elastic = wake != TimePoint::never();
  if (elastic) timers.set(elasticity_timer(), wake);
}

void Scheduler::State::state_facts() {
  for (std::size_t n = 0; n < setup.graph.nodes.size(); ++n) {
    const StageNode& node = setup.graph.nodes[n];
    NodeFacts& known = facts.emplace_back();
    known.weights = node.weights;
    known.position = node.stage;
    known.to_controller = setup.has_output[n] != 0;
    known.readers =
        static_cast<std::uint16_t>(node.before.size() + (known.to_controller ? 1U : 0U));
    known.predecessors = static_cast<std::uint16_t>(node.after.size());
    known.first_neighbour = static_cast<std::uint32_t>(neighbours.size());
    neighbours.insert(neighbours.end(), node.after.begin(), node.after.end());
    neighbours.insert(neighbours.end(), node.before.begin(), node.before.end());
    widest_model = std::max<std::size_t>(widest_model, node.stage + 1U);
    for (const Role& role : setup.roles) {
      const auto hosts = [&](WeightsId weights) {
        return std::find(role.stages.begin(), role.stages.end(), weights) != role.stages.end();
      };
      for (const NodeId before : node.after) {
        known.may_stay = known.may_stay ||
                         (hosts(node.weights) && hosts(setup.graph.nodes[before.index()].weights));
      }
    }
    for (const NodeId next : node.before) {
      known.feeds_join = known.feeds_join || setup.graph.nodes[next.index()].after.size() > 1;
    }
    inputs_stay = inputs_stay || known.may_stay;
  }
  for (std::size_t r = 0; r < setup.roles.size(); ++r) {
    const Role& role = setup.roles[r];
    limits.push_back({role.input_slots, role.output_slots,
                      policies.batching->largest(role.max_batch),
                      costs.class_of(PoolId{static_cast<std::uint16_t>(r)})});
  }
  batches_form = policies.batching->largest(2) > 1;
  batch_wait = policies.batching->wait();
  preemption_on = policies.preemption->enabled();
}

void Scheduler::State::on_event(TimePoint instant, const Event& event, ActionBuffer& actions) {
  DF_CHECK_LE(now.ns, instant.ns);
  now = instant;
  out = &actions;
  switch (event.kind) {
    case EventKind::request_arrived:
      arrive(event);
      break;
    case EventKind::cancel_asked:
      cancel(event.request, EndState::cancelled, Why::asked);
      break;
    case EventKind::batch_started:
      batch_started(event);
      break;
    case EventKind::batch_finished:
      batch_finished(event);
      break;
    case EventKind::step_done:
      break;
    case EventKind::batch_preempted:
      batch_preempted(event);
      break;
    case EventKind::batch_extended:
      batch_extended(event);
      break;
    case EventKind::batch_revoked:
      batch_revoked(event);
      break;
    case EventKind::too_late:
      edit_too_late(event);
      break;
    case EventKind::batch_refused:
    case EventKind::out_of_memory:
      batch_refused(event);
      break;
    case EventKind::transfer_finished:
    case EventKind::transfer_failed:
    case EventKind::transfer_cancelled:
      transfer_ended(event);
      break;
    case EventKind::handle_lost:
      handle_lost(event);
      break;
    case EventKind::handle_released:
      handle_released(event);
      break;
    case EventKind::instance_provisioned:
    case EventKind::instance_ready:
    case EventKind::instance_unloaded:
    case EventKind::instance_drained:
    case EventKind::instance_stopped:
    case EventKind::instance_lost:
    case EventKind::reclaim_notice:
    case EventKind::start_failed:
    case EventKind::load_failed:
      instance_event(event);
      break;
    case EventKind::inventory:
      if (Instance* in = present(event)) take_inventory(*in, event);
      break;
    case EventKind::capacity_changed:
      if (event.machine.index() < free_gpus.size()) {
        free_gpus[event.machine.index()][event.gpu.index()] = event.steps_done;
      }
      break;
    case EventKind::operator_order:
      operator_order(event);
      break;
    case EventKind::controller_restarted:
      epoch = event.steps_done;
      sequence = 0;
      armed = TimePoint::never();  // the timers of the old process are gone
      break;
    case EventKind::timer:
      timers_due();
      break;
    case EventKind::tick:
      break;
  }
  if (anything_moved()) dispatch();
  if (timers.next() < armed) arm();
}

// ---- the public face ---------------------------------------------------------------------------

Scheduler::Scheduler(std::unique_ptr<State> state) : state_(std::move(state)) {}
Scheduler::~Scheduler() = default;

Result<std::unique_ptr<Scheduler>> Scheduler::make(
    const Setup& setup, std::shared_ptr<const predictor::CostModel> belief) {
  Result<Policies> policies = make_policies(setup);
  if (!policies) return fail(std::move(policies.error()));
  return std::unique_ptr<Scheduler>(
      new Scheduler(std::make_unique<State>(setup, std::move(belief), std::move(*policies))));
}

void Scheduler::on_event(TimePoint now, const Event& event, ActionBuffer& actions) {
  state_->on_event(now, event, actions);
}

const Counters& Scheduler::counters() const { return state_->counters; }
const std::vector<ScalingDecision>& Scheduler::decisions() const { return state_->decisions; }
std::uint64_t Scheduler::unfinished_requests() const { return state_->unfinished; }
std::size_t Scheduler::open_commands() const { return state_->commands.live_count(); }

std::vector<InstanceView> Scheduler::instances() const {
  std::vector<InstanceView> views;
  for (const Instance& in : state_->instances) {
    if (in.key.id == kController) continue;
    views.push_back({in.key, in.role, name_of(in.life), static_cast<std::uint32_t>(in.queue.size()),
                     in.running != kNoSlot});
  }
  return views;
}

std::size_t Scheduler::queue_length(WeightsId stage) const {
  return state_->by_weights[stage.index()].queue.size();
}

std::string Scheduler::explain(RequestKey key) const {
  if (!state_->alive(key)) return {};
  const RequestRecord& request = state_->requests[key.slot];
  static constexpr const char* kPhases[] = {"waits for inputs", "queued", "given to an instance",
                                            "running", "done"};
  std::string text =
      fmt::format("request {} of {}, arrived at {:.6f} s, {} of {} retries used\n", request.number,
                  state_->setup.graph.model_names[request.model.index()], request.arrival.seconds(),
                  request.retries, state_->setup.max_retries);
  for (std::uint16_t i = 0; i < state_->stage_count(request.model); ++i) {
    const StageRecord& record = state_->stage(key.slot, i);
    const NodeId node = state_->node_of(key.slot, i);
    text += fmt::format("  {}: {}", state_->setup.graph.node_names[node.index()],
                        kPhases[static_cast<int>(record.phase)]);
    if (record.batch != kNoSlot) {
      const Batch& batch = state_->batches[record.batch];
      text += fmt::format(" on instance {} in a batch of {}, {} transfers open",
                          batch.instance.value, batch.members.size(), batch.transfers.size());
    }
    if (record.phase == StageRecord::Phase::queued) {
      const WeightsId weights = state_->setup.graph.nodes[node.index()].weights;
      text += fmt::format(" since {:.6f} s, {} in the queue, {} instances ready",
                          record.ready.seconds(), state_->by_weights[weights.index()].queue.size(),
                          state_->by_weights[weights.index()].hosts.size());
    }
    if (record.attempt > 1) text += fmt::format(", attempt {}", record.attempt);
    text += "\n";
  }
  return text;
}

std::string Scheduler::audit() const {
  const State& s = *state_;
  std::vector<std::uint32_t> held(s.instances.size(), 0);
  std::vector<double> bytes(s.held_bytes.size(), 0);
  for (std::uint32_t slot = 0; slot < s.handles.size(); ++slot) {
    if (!s.handles.live(slot)) continue;
    const HandleRecord& handle = s.handles[slot];
    if (handle.phase == HandleRecord::Phase::held && handle.holder.id != kController) {
      bytes[handle.host.index()] += static_cast<double>(handle.bytes);
    }
    if (handle.holder == s.instances[handle.holder.id.index()].key)
      ++held[handle.holder.id.index()];
  }
  for (std::size_t m = 0; m < bytes.size(); ++m) {
    if (bytes[m] != s.held_bytes[m]) {
      return fmt::format("machine {} counts {} bytes held, {} are recorded", m, s.held_bytes[m],
                         bytes[m]);
    }
  }
  for (const Instance& in : s.instances) {
    if (in.key.id != kController && held[in.key.id.index()] != in.handles) {
      return fmt::format("instance {} counts {} handles, {} are recorded", in.key.id.value,
                         in.handles, held[in.key.id.index()]);
    }
    std::vector<std::uint32_t> used(in.hosted.size(), 0);
    for (const std::uint32_t slot : in.queue) ++used[s.batches[slot].hosted];
    for (std::size_t i = 0; i < in.hosted.size(); ++i) {
      if (used[i] != in.hosted[i].used_slots) {
        return fmt::format("instance {} counts {} input slots used, {} batches wait",
                           in.key.id.value, in.hosted[i].used_slots, used[i]);
      }
    }
    if (in.life != Instance::Life::ready || !s.setup.pull) continue;
    for (std::uint8_t i = 0; i < in.hosted.size(); ++i) {
      const State::StageState& stage = s.by_weights[in.hosted[i].weights.index()];
      if (s.policies.batching->wait().ns == 0 && !stage.queue.empty() &&
          s.acceptance(in, i).accepts) {
        return fmt::format("instance {} accepts {} while {} requests wait for it", in.key.id.value,
                           s.setup.graph.weights[in.hosted[i].weights.index()], stage.queue.size());
      }
    }
  }
  return {};
}

}  // namespace disagfusion::scheduler
