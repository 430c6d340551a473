#include "scheduler/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace disagfusion::scheduler {
namespace {

template <class... Args>
void add(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

std::string text(RequestKey key) { return key.valid() ? fmt::format("r{}", key.generation) : "r-"; }
std::string text(HandleKey key) {
  return key.valid() ? fmt::format("h{}.{}", key.slot, key.generation) : "h-";
}
std::string text(CommandKey key) {
  if (!key.valid()) return "c-";
  if (key.epoch() == 1) return fmt::format("c{}", key.sequence());
  return fmt::format("c{}.{}", key.epoch(), key.sequence());
}
std::string text(InstanceKey key) {
  if (key.id == kController) return "controller";
  return fmt::format("i{}.{}", key.id.value, key.incarnation);
}

template <class Tag, class Rep>
std::string named(const std::vector<std::string>& names, Id<Tag, Rep> id, const char* what) {
  if (id.index() < names.size()) return names[id.index()];
  return id.valid() ? fmt::format("{}#{}", what, id.value) : fmt::format("no {}", what);
}

// At most 60 bytes of it, whole characters, what cannot be printed escaped.
std::string quoted(std::string_view words) {
  constexpr std::size_t kMost = 60;
  std::size_t size = std::min(words.size(), kMost);
  const auto inside = [&](std::size_t i) {
    return (static_cast<unsigned char>(words[i]) & 0xc0U) == 0x80U;
  };
  while (size > 0 && size < words.size() && inside(size)) --size;
  std::string out = "\"";
  for (const char c : words.substr(0, size)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      add(out, "\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  out += size < words.size() ? "...\"" : "\"";
  return out;
}

// whole.fraction with `digits` decimals, trailing zeros gone.
std::string decimal(std::uint64_t whole, std::uint64_t fraction, int digits) {
  std::string out = fmt::format("{}.{:0{}}", whole, fraction, digits);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out;
}

std::uint64_t magnitude(std::int64_t ns) {
  return ns < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(ns)
                : static_cast<std::uint64_t>(ns);
}

constexpr std::uint64_t kNanos = 1'000'000'000;

std::string instant(TimePoint at) {
  if (at == TimePoint::never()) return "never";
  const std::uint64_t ns = magnitude(at.ns);
  return fmt::format("{}{}.{:09}", at.ns < 0 ? "-" : "", ns / kNanos, ns % kNanos);
}

}  // namespace

std::string seconds_text(std::int64_t ns) {
  const std::uint64_t size = magnitude(ns);
  return (ns < 0 ? "-" : "") + decimal(size / kNanos, size % kNanos, 9);
}

std::string bytes_text(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  std::uint64_t scale = 1;
  int unit = 0;
  while (unit < 6 && bytes / scale >= 1000) {
    scale *= 1000;
    ++unit;
  }
  return decimal(bytes / scale, bytes % scale, std::max(1, 3 * unit)) + " " + kUnits[unit];
}

TextWriter::TextWriter(const Setup& setup)
    : stages_(setup.graph.node_names),
      weights_(setup.graph.weights),
      models_(setup.graph.model_names),
      gpus_(setup.gpu_types) {
  for (const Role& role : setup.roles) roles_.push_back(role.name);
  for (const Machine& machine : setup.machines) machines_.push_back(machine.name);
}

void TextWriter::remember(const ActionBuffer& buffer) {
  for (const Action& action : buffer.actions) {
    const CommandKey key = action.command;
    if (!key.valid()) continue;
    if (key.slot >= commands_.size()) commands_.resize(key.slot + std::size_t{1});
    commands_[key.slot] = {key.id, action.kind, action.node, action.handle};
  }
}

std::string TextWriter::described(CommandKey key) const {
  std::string out = text(key);
  if (key.slot >= commands_.size() || commands_[key.slot].id != key.id || !key.valid()) return out;
  const Known& known = commands_[key.slot];
  switch (known.kind) {
    case ActionKind::enqueue:
      add(out, " ({})", named(stages_, known.node, "stage"));
      break;
    case ActionKind::transfer:
    case ActionKind::release:
      add(out, " ({} {})", name_of(known.kind), text(known.handle));
      break;
    default:
      add(out, " ({})", name_of(known.kind));
  }
  return out;
}

// ---- events ------------------------------------------------------------------------------------

std::string TextWriter::event(TimePoint now, const Event& event) const {
  std::string out = instant(now);
  add(out, " {}", name_of(event.kind));
  write_subject(out, event);
  if (event.reason != Reason::none) add(out, " {}", name_of(event.reason));
  if (event.started.valid()) add(out, " started {}", described(event.started));
  return out;
}

void TextWriter::write_subject(std::string& out, const Event& event) const {
  switch (event.kind) {
    case EventKind::request_arrived:
      write_arrival(out, event);
      return;
    case EventKind::cancel_asked:
      add(out, " {}", text(event.request));
      return;
    case EventKind::capacity_changed:
      add(out, " {} {} x {}", named(machines_, event.machine, "machine"), event.steps_done,
          named(gpus_, event.gpu, "GPU type"));
      return;
    case EventKind::operator_order:
      write_order(out, event);
      return;
    case EventKind::controller_restarted:
      add(out, " epoch {} downtime {} s", event.steps_done, seconds_text(event.compute.ns));
      return;
    case EventKind::timer:
    case EventKind::tick:
      return;
    default:
      break;
  }
  add(out, " {}", text(event.instance));
  if (event.command.valid()) add(out, " {}", described(event.command));
  if (event.handle.valid()) add(out, " {}", text(event.handle));
  write_outcomes(out, event);
  if (event.steps_done != 0) add(out, " steps {}", event.steps_done);
  if (event.compute.ns != 0) add(out, " compute {} s", seconds_text(event.compute.ns));
  if (event.kind == EventKind::reclaim_notice) add(out, " at {}", instant(event.when));
  if (event.inventory != nullptr) write_inventory(out, *event.inventory);
}

void TextWriter::write_arrival(std::string& out, const Event& event) const {
  add(out, " r{}", event.number);
  if (event.body == nullptr) return;
  const RequestBody& body = *event.body;
  add(out, " {}", named(models_, body.model, "model"));
  const Shape& shape = body.shape;
  if (shape.width != 0 || shape.height != 0) add(out, " {}x{}", shape.width, shape.height);
  if (shape.frames != 1) add(out, " {} frames", shape.frames);
  add(out, " {} steps", shape.steps);
  if (shape.images != 1) add(out, " {} images", shape.images);
  if (body.guidance != 0) add(out, " guidance {}", body.guidance);
  if (body.priority != 0) add(out, " priority {}", body.priority);
  if (body.deadline) add(out, " deadline {} s", seconds_text(body.deadline->ns));
  if (body.timeout) add(out, " timeout {} s", seconds_text(body.timeout->ns));
  if (body.input_bytes != 0) add(out, " input {}", bytes_text(body.input_bytes));
  if (body.noise_seed != 0) add(out, " seed {}", body.noise_seed);
  if (!body.tenant.empty()) add(out, " tenant {}", quoted(body.tenant));
  if (!body.id.empty()) add(out, " id {}", quoted(body.id));
  if (!body.prompt.empty()) add(out, " prompt {}", quoted(body.prompt));
}

void TextWriter::write_outcomes(std::string& out, const Event& event) const {
  for (const MemberOutcome& member : event.members) {
    add(out, " {}:", text(member.request));
    switch (member.kind) {
      case MemberOutcome::Kind::output:
        out += "ok";
        break;
      case MemberOutcome::Kind::state:
        out += "state";
        break;
      case MemberOutcome::Kind::dropped:
        out += "dropped";
        break;
      case MemberOutcome::Kind::failed:
        add(out, "failed({})", name_of(member.reason));
        break;
    }
    if (member.handle.valid()) add(out, " {}", text(member.handle));
    if (member.bytes != 0) add(out, " {}", bytes_text(member.bytes));
  }
}

void TextWriter::write_inventory(std::string& out, const Inventory& inventory) const {
  out += " loaded";
  for (const WeightsId weights : inventory.weights)
    add(out, " {}", named(weights_, weights, "stage"));
  add(out, "; {}", inventory.first_is_running ? "runs" : "queued");
  for (const CommandKey key : inventory.run_queue) add(out, " {}", described(key));
  out += "; pulls";
  for (const CommandKey key : inventory.transfers) add(out, " {}", described(key));
  out += "; holds";
  for (const HandleKey key : inventory.handles) add(out, " {}", text(key));
}

void TextWriter::write_order(std::string& out, const Event& event) const {
  add(out, " {}", name_of(event.order));
  if (event.instance.id.valid() && event.instance.id != kController) {
    add(out, " {}", text(event.instance));
  }
  for (const WeightsId weights : event.stages) add(out, " {}", named(weights_, weights, "stage"));
  if (!event.text.empty()) add(out, " {}", quoted(event.text));
}

// ---- actions -----------------------------------------------------------------------------------

std::string TextWriter::action(const ActionBuffer& buffer, const Action& x) const {
  std::string out = name_of(x.kind);
  if (x.command.valid()) add(out, " {}", text(x.command));
  switch (x.kind) {
    case ActionKind::admit:
      add(out, " {}", text(x.request));
      break;
    case ActionKind::reject:
      add(out, " {} {}", text(x.request), name_of(x.why));
      break;
    case ActionKind::end_request:
      add(out, " {} {}", text(x.request), name_of(x.state));
      break;
    case ActionKind::enqueue:
      write_enqueue(out, buffer, x);
      break;
    case ActionKind::extend:
      add(out, " {}", described(x.target));
      write_members(out, buffer, x);
      break;
    case ActionKind::revoke:
      add(out, " {} {}", described(x.target), x.request.valid() ? text(x.request) : "all");
      break;
    case ActionKind::preempt:
      write_preempt(out, buffer, x);
      break;
    case ActionKind::transfer:
      add(out, " {} {} -> {} {}", text(x.handle), text(x.from), text(x.instance),
          bytes_text(x.bytes));
      if (x.target.valid()) add(out, " for {}", described(x.target));
      break;
    case ActionKind::cancel_transfer:
    case ActionKind::output_sent:
      add(out, " {}", described(x.target));
      break;
    case ActionKind::release:
      add(out, " {} at {}", text(x.handle), text(x.instance));
      break;
    case ActionKind::provision:
      add(out, " {} as {} on {}", text(x.instance), named(roles_, x.pool, "role"),
          named(machines_, x.machine, "machine"));
      break;
    case ActionKind::load:
      add(out, " {} as {}", text(x.instance), named(roles_, x.pool, "role"));
      break;
    case ActionKind::unload:
    case ActionKind::drain:
    case ActionKind::stop:
    case ActionKind::undrain:
      add(out, " {}", text(x.instance));
      break;
    case ActionKind::arm_timer:
      add(out, " {}", instant(x.at));
      break;
    case ActionKind::cancel_timer:
      break;
  }
  if (x.kind == ActionKind::reject && x.at.ns != 0) {
    add(out, " retry after {} s", seconds_text(x.at.ns));
  }
  if (x.kind == ActionKind::end_request && x.why != Why::none) add(out, " ({})", name_of(x.why));
  if (x.kind == ActionKind::end_request && x.handle.valid()) add(out, " {}", text(x.handle));
  return out;
}

void TextWriter::write_enqueue(std::string& out, const ActionBuffer& buffer,
                               const Action& action) const {
  add(out, " {} on {} order {} steps {}-{}", named(stages_, action.node, "stage"),
      text(action.instance), seconds_text(action.order), action.first_step, action.last_step);
  if (action.output_transfers == kTold) {
    out += " slot freed by word";
  } else if (action.output_transfers != 0) {
    add(out, " slot freed by {} transfers", action.output_transfers);
  }
  write_members(out, buffer, action);
}

void TextWriter::write_members(std::string& out, const ActionBuffer& buffer,
                               const Action& action) const {
  const char* separator = ": ";
  for (const BatchMember& member : buffer.members_of(action)) {
    add(out, "{}{}", separator, text(member.request));
    separator = "; ";
    for (const BatchInput& input : buffer.inputs_of(member)) {
      add(out, " {} {}", input.transferred ? "awaits" : "has", text(input.handle));
    }
    if (member.state.valid()) add(out, " resumes {}", text(member.state));
    if (member.output.valid()) add(out, " -> {}", text(member.output));
  }
}

void TextWriter::write_preempt(std::string& out, const ActionBuffer& buffer,
                               const Action& action) const {
  add(out, " {}", described(action.target));
  const char* separator = ": ";
  for (const BatchMember& member : buffer.members_of(action)) {
    add(out, "{}{} ", separator, text(member.request));
    separator = "; ";
    out += member.state.valid() ? "-> " + text(member.state) : "dropped";
  }
}

std::string TextWriter::block(TimePoint now, const Event& subject, const ActionBuffer& buffer) {
  std::string out = event(now, subject) + "\n";
  remember(buffer);
  for (const Action& each : buffer.actions) add(out, "  {}\n", action(buffer, each));
  return out;
}

}  // namespace disagfusion::scheduler
