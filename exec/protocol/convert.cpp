#include "exec/protocol/convert.hpp"

#include <limits>

namespace disagfusion::exec {
namespace {

using scheduler::ActionKind;
using scheduler::EventKind;

constexpr int kMostMembers = 4096;
constexpr int kReasons = static_cast<int>(scheduler::Reason::bad_input) + 1;

bool may_be_told(EventKind kind) {
  switch (kind) {
    case EventKind::batch_started:
    case EventKind::batch_finished:
    case EventKind::step_done:
    case EventKind::batch_preempted:
    case EventKind::batch_extended:
    case EventKind::batch_revoked:
    case EventKind::too_late:
    case EventKind::batch_refused:
    case EventKind::transfer_finished:
    case EventKind::transfer_failed:
    case EventKind::transfer_cancelled:
    case EventKind::handle_lost:
    case EventKind::handle_released:
    case EventKind::instance_ready:
    case EventKind::instance_unloaded:
    case EventKind::instance_drained:
    case EventKind::instance_stopped:
    case EventKind::start_failed:
    case EventKind::load_failed:
    case EventKind::out_of_memory:
      return true;
    default:
      return false;
  }
}

template <class IdType>
bool to_id(std::uint32_t value, IdType& id) {
  using Rep = decltype(id.value);
  if (value > std::numeric_limits<Rep>::max()) return false;
  id = IdType{static_cast<Rep>(value)};
  return true;
}

void put(scheduler::RequestKey key, wire::Request& out) {
  out.set_slot(key.slot);
  out.set_generation(key.generation);
}
scheduler::RequestKey take(const wire::Request& in) { return {in.slot(), in.generation()}; }

void put(const scheduler::RequestBody& body, wire::Body& out) {
  out.set_id(body.id);
  out.set_model(body.model.value);
  out.set_width(body.shape.width);
  out.set_height(body.shape.height);
  out.set_frames(body.shape.frames);
  out.set_steps(body.shape.steps);
  out.set_images(body.shape.images);
  out.set_guidance(body.guidance);
  out.set_prompt(body.prompt);
  out.set_noise_seed(body.noise_seed);
}

SharedBody take(const wire::Body& in) {
  auto body = std::make_shared<scheduler::RequestBody>();
  body->id = in.id();
  if (!to_id(in.model(), body->model)) return nullptr;
  body->shape = {in.width(), in.height(), in.frames(), in.steps(), in.images()};
  body->guidance = in.guidance();
  body->prompt = in.prompt();
  body->noise_seed = in.noise_seed();
  return body;
}

void put(const CommandMember& member, wire::Member& out) {
  put(member.keys.request, *out.mutable_request());
  to_wire(member.keys.output, *out.mutable_output());
  to_wire(member.keys.state, *out.mutable_state());
  for (const scheduler::BatchInput& input : member.inputs) {
    wire::Input& to = *out.add_inputs();
    to_wire(input.handle, *to.mutable_handle());
    to.set_transferred(input.transferred);
  }
  if (member.body) put(*member.body, *out.mutable_body());
}

bool take(const wire::Member& in, CommandMember& out) {
  out.keys.request = take(in.request());
  out.keys.output = from_wire(in.output());
  out.keys.state = from_wire(in.state());
  for (const wire::Input& input : in.inputs()) {
    out.inputs.push_back({from_wire(input.handle()), input.transferred()});
  }
  if (!in.has_body()) return true;
  out.body = take(in.body());
  return out.body != nullptr;
}

}  // namespace

void to_wire(scheduler::InstanceKey key, wire::Instance& out) {
  out.set_id(key.id.value);
  out.set_incarnation(key.incarnation);
}
scheduler::InstanceKey from_wire(const wire::Instance& in) {
  return {InstanceId{in.id()}, in.incarnation()};
}
void to_wire(scheduler::HandleKey key, wire::Handle& out) {
  out.set_slot(key.slot);
  out.set_generation(key.generation);
}
scheduler::HandleKey from_wire(const wire::Handle& in) { return {in.slot(), in.generation()}; }
void to_wire(scheduler::CommandKey key, wire::CommandId& out) {
  out.set_id(key.id);
  out.set_slot(key.slot);
}
scheduler::CommandKey from_wire(const wire::CommandId& in) { return {in.id(), in.slot()}; }

void to_wire(const Command& command, wire::Command& out) {
  const scheduler::Action& action = command.action;
  out.set_kind(static_cast<std::uint32_t>(action.kind));
  to_wire(action.command, *out.mutable_command());
  to_wire(action.target, *out.mutable_target());
  to_wire(action.from, *out.mutable_from());
  put(action.request, *out.mutable_request());
  to_wire(action.handle, *out.mutable_handle());
  for (const CommandMember& member : command.members) put(member, *out.add_members());
  out.set_node(action.node.value);
  out.set_weights(action.weights.value);
  out.set_pool(action.pool.value);
  out.set_first_step(action.first_step);
  out.set_last_step(action.last_step);
  out.set_order(action.order);
  out.set_output_transfers(action.output_transfers);
  out.set_bytes(action.bytes);
  out.set_source_port(command.source_port);
}

std::optional<Command> from_wire(const wire::Command& in, scheduler::InstanceKey addressee) {
  if (in.kind() >= scheduler::kActionKinds || in.members_size() > kMostMembers ||
      in.source_port() > 0xffffU) {
    return std::nullopt;
  }
  Command command;
  scheduler::Action& action = command.action;
  action.kind = static_cast<ActionKind>(in.kind());
  action.instance = addressee;
  action.command = from_wire(in.command());
  action.target = from_wire(in.target());
  action.from = from_wire(in.from());
  action.request = take(in.request());
  action.handle = from_wire(in.handle());
  if (!to_id(in.node(), action.node) || !to_id(in.weights(), action.weights) ||
      !to_id(in.pool(), action.pool)) {
    return std::nullopt;
  }
  action.first_step = in.first_step();
  action.last_step = in.last_step();
  action.order = in.order();
  action.output_transfers = in.output_transfers();
  action.bytes = in.bytes();
  command.source_port = static_cast<std::uint16_t>(in.source_port());
  for (const wire::Member& member : in.members()) {
    if (!take(member, command.members.emplace_back())) return std::nullopt;
  }
  return command;
}

void to_wire(const OwnedEvent& event, std::uint64_t number, wire::WorkerEvent& out) {
  const scheduler::Event& e = event.event;
  out.set_number(number);
  out.set_kind(static_cast<std::uint32_t>(e.kind));
  out.set_reason(static_cast<std::uint32_t>(e.reason));
  to_wire(e.command, *out.mutable_command());
  to_wire(e.started, *out.mutable_started());
  to_wire(e.handle, *out.mutable_handle());
  out.set_compute_ns(e.compute.ns);
  out.set_steps_done(e.steps_done);
  for (const scheduler::MemberOutcome& member : event.members) {
    wire::Outcome& to = *out.add_members();
    put(member.request, *to.mutable_request());
    to.set_kind(static_cast<std::uint32_t>(member.kind));
    to.set_reason(static_cast<std::uint32_t>(member.reason));
    to_wire(member.handle, *to.mutable_handle());
    to.set_bytes(member.bytes);
  }
  out.set_note(event.note);
}

std::optional<OwnedEvent> from_wire(const wire::WorkerEvent& in, scheduler::InstanceKey sender) {
  if (in.kind() >= scheduler::kEventKinds || in.reason() >= kReasons || in.compute_ns() < 0 ||
      in.members_size() > kMostMembers || !may_be_told(static_cast<EventKind>(in.kind()))) {
    return std::nullopt;
  }
  OwnedEvent event(static_cast<EventKind>(in.kind()));
  scheduler::Event& e = event.event;
  e.instance = sender;
  e.reason = static_cast<scheduler::Reason>(in.reason());
  e.command = from_wire(in.command());
  e.started = from_wire(in.started());
  e.handle = from_wire(in.handle());
  e.compute = {in.compute_ns()};
  e.steps_done = in.steps_done();
  for (const wire::Outcome& member : in.members()) {
    if (member.kind() > static_cast<std::uint32_t>(scheduler::MemberOutcome::Kind::failed) ||
        member.reason() >= kReasons) {
      return std::nullopt;
    }
    event.members.push_back({take(member.request()),
                             static_cast<scheduler::MemberOutcome::Kind>(member.kind()),
                             static_cast<scheduler::Reason>(member.reason()),
                             from_wire(member.handle()), member.bytes()});
  }
  event.note = in.note();
  return event;
}

void to_wire(const OwnedInventory& inventory, wire::Inventory& out) {
  for (const WeightsId weights : inventory.weights) out.add_weights(weights.value);
  for (const auto& key : inventory.run_queue) to_wire(key, *out.add_run_queue());
  out.set_first_is_running(inventory.first_is_running);
  for (const auto& key : inventory.transfers) to_wire(key, *out.add_transfers());
  for (const auto& key : inventory.handles) to_wire(key, *out.add_handles());
}

OwnedInventory from_wire(const wire::Inventory& in) {
  OwnedInventory out;
  for (const std::uint32_t weights : in.weights()) {
    out.weights.push_back(WeightsId{static_cast<std::uint16_t>(weights)});
  }
  for (const auto& key : in.run_queue()) out.run_queue.push_back(from_wire(key));
  out.first_is_running = in.first_is_running();
  for (const auto& key : in.transfers()) out.transfers.push_back(from_wire(key));
  for (const auto& key : in.handles()) out.handles.push_back(from_wire(key));
  return out;
}

}  // namespace disagfusion::exec
