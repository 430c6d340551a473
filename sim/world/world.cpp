#include "sim/world/world.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/append.hpp"
#include "base/check.hpp"
#include "base/inline.hpp"

namespace disagfusion::sim {

namespace {

std::vector<predictor::Variant> variants_of(const scheduler::Setup& setup) {
  std::vector<predictor::Variant> variants;
  for (const scheduler::Role& role : setup.roles) {
    variants.push_back({static_cast<std::uint16_t>(role.degree), role.offload, role.dtype});
  }
  return variants;
}

std::uint32_t largest_batch(const Scenario& scenario, const scheduler::Setup& setup) {
  std::uint32_t batch = 1, images = 1;
  for (const scheduler::Role& role : setup.roles) batch = std::max(batch, role.max_batch);
  for (const MixEntry& entry : scenario.workload.mix) {
    images = std::max(images, entry.shape.images);
  }
  constexpr std::uint32_t kMost = 64;
  return std::min(kMost, batch * images);
}

}  // namespace

World::World(const Scenario& scenario, const scheduler::Setup& setup,
             const predictor::CostModel& truth, traces::ArrivalSource& arrivals, std::uint64_t seed)
    : scenario_(scenario),
      setup_(setup),
      truth_(truth),
      source_(arrivals),
      control_(scenario.control),
      seed_(seed),
      tree_(kInstances + static_cast<std::uint32_t>(setup.instances.size()) + 1),
      costs_(truth, setup.graph.nodes.size(), setup.gpu_types.size(), variants_of(setup),
             largest_batch(scenario, setup)),
      network_(sequence_) {
  host_bytes_.assign(setup.machines.size(), 0);
  host_peak_ = host_bytes_;
  for (const scheduler::Machine& machine : setup.machines) {
    const auto& nic = scenario.fleet.nodes[machine.group].nic;
    machine_link_.push_back(nic ? network_.add_resource(nic->bandwidth) : kNoResource);
    if (nic) network_.add_resource(nic->bandwidth);
  }
  instances_.resize(setup.instances.size() + 1);
  note(EventKind::controller_restarted, {kController, 0}, {});
  for (std::size_t i = 1; i < instances_.size(); ++i) {
    Instance& in = instances_[i];
    in.key = {InstanceId{static_cast<std::uint32_t>(i)}, 1};
    in.role = setup.instances[i - 1].role;
    in.machine = setup.instances[i - 1].machine;
    in.link = link_of(in.machine);
    in.life = Life::ready;
    in.loss_told = false;
    const scheduler::Role& role = setup.roles[in.role.index()];
    in.queue.host(role.stages, role.output_slots);
    make_links(in);
    note_here(EventKind::instance_ready, in.key, {}, Reason::none, {}, {});
  }
  for (std::uint32_t i = 0; i < scenario.faults.size(); ++i) {
    schedule(scenario.faults[i].at, {Rare::Kind::fault, i, {}});
  }
  fetch_arrival();
}

// ---- the loop ----------------------------------------------------------------------------------

bool World::next() {
  if (delivered_message_ != 0xffffffffU) {
    free_messages_.push_back(delivered_message_);
    delivered_message_ = 0xffffffffU;
  }
  for (;;) {
    tree_.settle();
    const EventKey top = tree_.top();
    if (!notes_.empty()) {
      const Note& first = notes_.front();
      if (make_key(first.time, first.sequence, 0) < top) {
        ++kernel_events_;
        take_note();
        return true;
      }
    }
    if (top == kNoEvent || !problems_.empty()) return false;
    now_ = time_of(top);
    ++kernel_events_;
    if (due(slot_of(top))) return true;
  }
}

DF_INLINE bool World::due(std::uint32_t source) {
  if (source >= kInstances) return instance_due(instances_[source - kInstances]);
  switch (source) {
    case kArrival:
      return arrival_due();
    case kNetwork:
      return network_due();
    case kControl:
      return control_due();
    case kRare:
      return rare_due();
    case kTimer:
      tree_.clear(kTimer);
      begin_event(EventKind::timer, {}, {});
      return true;
    default:
      break;
  }
  const std::uint32_t slot = cancels_.top().id;
  cancels_.pop();
  if (cancels_.empty()) {
    tree_.clear(kCancel);
  } else {
    tree_.set(kCancel, cancels_.top().time, cancels_.top().sequence);
  }
  begin_event(EventKind::cancel_asked, {}, {});
  event_.request = cancel_keys_[slot];
  return true;
}

DF_INLINE void World::take_note() {
  const Note& first = notes_.front();
  now_ = first.time;
  begin_event(first.kind, first.instance, first.command);
  event_.reason = first.reason;
  event_.when = first.when;
  event_.steps_done = first.number;
  if (first.kind == EventKind::batch_revoked && first.member.valid()) {
    outcomes_.clear();
    outcomes_.push_back({first.member, MemberOutcome::Kind::dropped, Reason::none, {}, 0});
    event_.members = outcomes_;
  }
  notes_.pop();
}

void World::note_later(EventKind kind, InstanceKey instance, CommandKey command, Reason reason,
                       RequestKey member, TimePoint when) {
  const std::uint32_t id = new_message();
  Message& message = messages_[id];
  message.is_action = false;
  message.event = Event{};
  message.event.kind = kind;
  message.event.reason = reason;
  message.event.instance = instance;
  message.event.command = command;
  message.event.when = when;
  message.members.clear();
  if (kind == EventKind::batch_revoked && member.valid()) {
    message.members.push_back({member, MemberOutcome::Kind::dropped, Reason::none, {}, 0});
  }
  on_the_way_.set(id, delivery(instances_[instance.id.index()].last_up), next_sequence());
  set_control();
}

// ---- the control plane -------------------------------------------------------------------------

bool World::tell_later() {
  const std::uint32_t id = new_message();
  Message& message = messages_[id];
  message.is_action = false;
  message.event = event_;
  message.members.assign(event_.members.begin(), event_.members.end());
  on_the_way_.set(id, delivery(instances_[event_.instance.id.index()].last_up), next_sequence());
  set_control();
  return false;
}

/// The instant at which a message sent now arrives: delay times a lognormal factor of mean 1, but
/// never before the one sent before it the same way.
TimePoint World::delivery(TimePoint& last) {
  double factor = 1;
  if (control_.jitter_cv > 0) {
    RandomStream stream(seed_, Purpose::control_jitter, control_messages_++);
    factor = LognormalDistribution(1, control_.jitter_cv)(stream);
  }
  const auto delay = static_cast<std::int64_t>(static_cast<double>(control_.delay.ns) * factor);
  last = std::max(last, now_ + Duration{delay});
  return last;
}

std::uint32_t World::new_message() {
  if (free_messages_.empty()) {
    messages_.emplace_back();
    return static_cast<std::uint32_t>(messages_.size() - 1);
  }
  const std::uint32_t id = free_messages_.back();
  free_messages_.pop_back();
  return id;
}

void World::set_control() {
  if (on_the_way_.empty()) {
    tree_.clear(kControl);
  } else {
    tree_.set(kControl, on_the_way_.top().time, on_the_way_.top().sequence);
  }
}

bool World::control_due() {
  const std::uint32_t id = on_the_way_.top().id;
  on_the_way_.pop();
  set_control();
  Message& message = messages_[id];
  if (message.is_action) {
    // A copy: what it causes may send messages, too.
    const ActionBuffer parts = message.parts;
    free_messages_.push_back(id);
    arrived_below(parts.actions.front(), parts);
    return false;
  }
  event_ = message.event;
  event_.members = message.members;
  delivered_message_ = id;
  return true;
}

void World::send_down(const Action& action, const ActionBuffer& buffer) {
  const std::uint32_t id = new_message();
  Message& message = messages_[id];
  message.is_action = true;
  message.parts.clear();
  Action copy = action;
  copy.first_member = 0;
  for (scheduler::BatchMember member : buffer.members_of(action)) {
    const auto inputs = buffer.inputs_of(member);
    member.first_input = static_cast<std::uint32_t>(message.parts.inputs.size());
    message.parts.inputs.insert(message.parts.inputs.end(), inputs.begin(), inputs.end());
    message.parts.members.push_back(member);
  }
  message.parts.actions.push_back(copy);
  Instance& in = instances_.at_slot(action.instance.id.index());
  on_the_way_.set(id, delivery(in.last_down), next_sequence());
  set_control();
}

// ---- requests ----------------------------------------------------------------------------------

void World::fetch_arrival() {
  Result<bool> more = source_.next(upcoming());
  if (!more) problems_ = std::move(more.error());
  arrival_known_ = more && *more;
  set_arrival();
}

void World::set_arrival() {
  if (!pending_.empty()) {
    tree_.set(kArrival, now_, next_sequence());
  } else if (arrival_known_) {
    tree_.set(kArrival, upcoming().arrival, next_sequence());
  } else {
    tree_.clear(kArrival);
  }
}

std::uint32_t World::shape_class(const Shape& shape) {
  if (last_shape_id_ != 0xffffffffU && shape == last_shape_) return last_shape_id_;
  const auto [place, fresh] = shape_ids_.try_emplace(shape, 0U);
  if (fresh) {
    place->second = costs_.add_shape(shape);
    output_bytes_.resize((place->second + 1UL) * setup_.graph.nodes.size(), -1.0);
    note_uncovered(present().model, shape);
  }
  last_shape_ = shape;
  return last_shape_id_ = place->second;
}

void World::note_uncovered(ModelId model, const Shape& shape) {
  uncovered_.resize(setup_.graph.nodes.size(), 0);
  const std::size_t past = setup_.graph.first_node[model.index() + 1].index();
  for (std::size_t n = setup_.graph.first_node[model.index()].index(); n < past; ++n) {
    const WeightsId weights = setup_.graph.nodes[n].weights;
    const bool covered =
        std::all_of(setup_.roles.begin(), setup_.roles.end(), [&](const scheduler::Role& role) {
          if (std::find(role.stages.begin(), role.stages.end(), weights) == role.stages.end()) {
            return true;
          }
          predictor::Query query;
          query.node = NodeId{static_cast<std::uint16_t>(n)};
          query.shape = shape;
          query.gpu = role.gpu;
          query.degree = static_cast<std::uint16_t>(role.degree);
          query.batch = std::max<std::uint32_t>(1, shape.images);
          query.offload = role.offload;
          query.dtype = role.dtype;
          return truth_.covers(query);
        });
    if (!covered) ++uncovered_[n];
  }
}

std::vector<std::string> World::notes() const {
  std::vector<std::string> notes;
  for (std::size_t n = 0; n < uncovered_.size(); ++n) {
    if (uncovered_[n] == 0) continue;
    notes.push_back(fmt::format("{} shapes of {} that no cost covers: seconds of the nearest line",
                                uncovered_[n], setup_.graph.node_names[n]));
  }
  for (std::size_t m = 0; m < host_peak_.size(); ++m) {
    const NodeGroupSpec& group = scenario_.fleet.nodes[setup_.machines[m].group];
    if (group.host_memory_bytes <= 0 || host_peak_[m] <= group.host_memory_bytes) continue;
    notes.push_back(fmt::format(
        "host memory that runs out: node {} held {:.1f} GB at its peak and has {:.1f} GB",
        setup_.machines[m].name, host_peak_[m] * 1e-9, group.host_memory_bytes * 1e-9));
  }
  return notes;
}

World::RequestKey World::open_request() {
  std::uint32_t slot = 0;
  if (free_requests_.empty()) {
    slot = static_cast<std::uint32_t>(requests_.size());
    requests_.emplace_back();
  } else {
    slot = free_requests_.back();
    free_requests_.pop_back();
  }
  RequestRecord& record = requests_[slot];
  record.index = present().index;
  record.shape = shape_class(present().shape);
  record.generation = static_cast<std::uint32_t>(present().index + 1);
  record.model = present().model;
  record.drawn = false;
  ++in_system_;
  return {slot, record.generation};
}

bool World::arrival_due() {
  // A closed loop's first requests come before those that follow ended ones at the same instant.
  const bool first =
      arrival_known_ && !pending_.empty() && upcoming().index < pending_.front().index;
  if (!pending_.empty() && !first) {
    present() = pending_.front();
    pending_.pop();
    set_arrival();
  } else {
    present_index_ ^= 1U;
    fetch_arrival();
  }
  const RequestKey key = open_request();
  body_.id = present().id;
  body_.model = present().model;
  body_.shape = present().shape;
  body_.guidance = present().guidance;
  body_.priority = present().priority;
  body_.deadline = present().deadline;
  body_.timeout = present().timeout;
  body_.tenant = present().tenant;
  body_.prompt = present().prompt;
  body_.prompt_hash = present().prompt_hash;
  body_.prompt_tokens = present().prompt_tokens.value_or(0);
  body_.input_bytes = present().input_bytes.value_or(0);
  body_.noise_seed = present().index;
  if (present().cancel_after) {
    if (cancel_keys_.size() <= key.slot) cancel_keys_.resize(key.slot + 1UL);
    cancel_keys_[key.slot] = key;
    cancels_.set(key.slot, now_ + *present().cancel_after, next_sequence());
    tree_.set(kCancel, cancels_.top().time, cancels_.top().sequence);
  }
  begin_event(EventKind::request_arrived, {}, {});
  event_.request = key;
  event_.number = present().index + 1;
  event_.body = &body_;
  return true;
}

void World::request_ended(RequestKey request) {
  append(free_requests_, request.slot);
  --in_system_;
  if (cancels_.contains(request.slot)) {
    cancels_.erase(request.slot);
    if (cancels_.empty()) {
      tree_.clear(kCancel);
    } else {
      tree_.set(kCancel, cancels_.top().time, cancels_.top().sequence);
    }
  }
  if (scenario_.workload.closed_loop_concurrency) {
    traces::Request following;
    if (source_.on_terminal(now_, following)) {
      pending_.push() = following;
      set_arrival();
    }
  }
}

std::vector<double> World::host_memory_peaks() const { return host_peak_; }

}  // namespace disagfusion::sim
