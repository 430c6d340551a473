#include "scheduler/log/codec.hpp"

#include <cmath>

#include "base/check.hpp"
#include "scheduler/decision_hash.hpp"

namespace disagfusion::scheduler::log {
namespace {

// Which fields a record has. Their order is that of the bits; the ordinary ones need one byte.
enum Field : std::uint64_t {
  kInstance = 1U << 0U,
  kCommand = 1U << 1U,
  kStarted = 1U << 2U,
  kMembers = 1U << 3U,
  kCompute = 1U << 4U,
  kActions = 1U << 5U,
  kReason = 1U << 6U,
  kRequest = 1U << 7U,
  kNumber = 1U << 8U,
  kHandle = 1U << 9U,
  kStepsDone = 1U << 10U,
  kWhen = 1U << 11U,
  kMachine = 1U << 12U,
  kGpu = 1U << 13U,
  kStages = 1U << 14U,
  kBody = 1U << 15U,
  kInventory = 1U << 16U,
  kText = 1U << 17U,
  kOrder = 1U << 18U,
};
constexpr std::uint64_t kAllFields = (1U << 19U) - 1;
constexpr std::uint64_t kRareFields = kAllFields & ~std::uint64_t{0x7f};

enum BodyField : std::uint64_t {
  kGuidance = 1U << 0U,
  kPriority = 1U << 1U,
  kDeadline = 1U << 2U,
  kTimeout = 1U << 3U,
  kInputBytes = 1U << 4U,
  kPromptTokens = 1U << 5U,
  kNoiseSeed = 1U << 6U,
  kId = 1U << 7U,
  kTenant = 1U << 8U,
  kPrompt = 1U << 9U,
  kPromptHash = 1U << 10U,
};
constexpr std::uint64_t kAllBodyFields = (1U << 11U) - 1;

// Of one member: what it became, which fields follow, why it failed.
constexpr unsigned kMemberKind = 3, kMemberHandle = 4, kMemberBytes = 8, kMemberReasonShift = 4;

constexpr std::uint8_t kReasons = static_cast<std::uint8_t>(Reason::bad_input) + 1;
constexpr std::uint8_t kOrders = static_cast<std::uint8_t>(Order::set_policy) + 1;
static_assert(kReasons <= 16, "a member's reason has four bits");

std::uint64_t when(bool present, std::uint64_t field) { return present ? field : 0; }

std::uint64_t fields_of(const Event& event, std::uint64_t actions_hash) {
  std::uint64_t present =
      when(event.instance != InstanceKey{}, kInstance) |
      when(event.command != CommandKey{}, kCommand) |
      when(event.started != CommandKey{}, kStarted) | when(!event.members.empty(), kMembers) |
      when(event.compute.ns != 0, kCompute) | when(actions_hash != kNoActionsHash, kActions) |
      when(event.reason != Reason::none, kReason);
  present |= when(event.request != RequestKey{}, kRequest) | when(event.number != 0, kNumber) |
             when(event.handle != HandleKey{}, kHandle) | when(event.steps_done != 0, kStepsDone) |
             when(event.when.ns != 0, kWhen) | when(event.machine.valid(), kMachine) |
             when(event.gpu.valid(), kGpu) | when(!event.stages.empty(), kStages) |
             when(event.body != nullptr, kBody) | when(event.inventory != nullptr, kInventory) |
             when(!event.text.empty(), kText) | when(event.order != Order::drain, kOrder);
  return present;
}

std::uint64_t fields_of(const RequestBody& body) {
  return when(body.guidance != 0 || std::signbit(body.guidance), kGuidance) |
         when(body.priority != 0, kPriority) | when(body.deadline.has_value(), kDeadline) |
         when(body.timeout.has_value(), kTimeout) | when(body.input_bytes != 0, kInputBytes) |
         when(body.prompt_tokens != 0, kPromptTokens) | when(body.noise_seed != 0, kNoiseSeed) |
         when(!body.id.empty(), kId) | when(!body.tenant.empty(), kTenant) |
         when(!body.prompt.empty(), kPrompt) | when(!body.prompt_hash.empty(), kPromptHash);
}

std::uint64_t signed_bits(std::int64_t value) { return zigzag(static_cast<std::uint64_t>(value)); }
std::int64_t signed_of(std::uint64_t bits) { return static_cast<std::int64_t>(unzigzag(bits)); }
// The difference of 32-bit numbers that may wrap around, as a small number.
std::uint32_t zigzag32(std::uint32_t difference) {
  return difference << 1U ^ (0U - (difference >> 31U));
}
std::uint32_t unzigzag32(std::uint32_t value) { return value >> 1U ^ (0U - (value & 1U)); }

char* write_body(const RequestBody& body, char* at) {
  const std::uint64_t present = fields_of(body);
  at = write_varint(present, at);
  at = write_varint(body.model.value, at);
  for (const std::uint32_t value : {body.shape.width, body.shape.height, body.shape.frames,
                                    body.shape.steps, body.shape.images}) {
    at = write_varint(value, at);
  }
  if ((present & kGuidance) != 0) at = write_double(body.guidance, at);
  if ((present & kPriority) != 0) at = write_varint(signed_bits(body.priority), at);
  if ((present & kDeadline) != 0) at = write_varint(signed_bits(body.deadline->ns), at);
  if ((present & kTimeout) != 0) at = write_varint(signed_bits(body.timeout->ns), at);
  if ((present & kInputBytes) != 0) at = write_varint(body.input_bytes, at);
  if ((present & kPromptTokens) != 0) at = write_varint(body.prompt_tokens, at);
  if ((present & kNoiseSeed) != 0) at = write_fixed64(body.noise_seed, at);
  if ((present & kId) != 0) at = write_text(body.id, at);
  if ((present & kTenant) != 0) at = write_text(body.tenant, at);
  if ((present & kPrompt) != 0) at = write_text(body.prompt, at);
  if ((present & kPromptHash) != 0) at = write_text(body.prompt_hash, at);
  return at;
}

void read_body(ByteReader& in, RequestBody& body) {
  body = RequestBody{};
  const std::uint64_t present = in.varint();
  if (present > kAllBodyFields) return in.fail("a request's body has unknown fields");
  body.model = ModelId{static_cast<std::uint16_t>(in.varint_up_to(0xffffU))};
  Shape& shape = body.shape;
  for (std::uint32_t* value :
       {&shape.width, &shape.height, &shape.frames, &shape.steps, &shape.images}) {
    *value = in.varint32();
  }
  if ((present & kGuidance) != 0) body.guidance = in.real();
  if ((present & kPriority) != 0) {
    body.priority = static_cast<std::int32_t>(unzigzag32(in.varint32()));
  }
  if ((present & kDeadline) != 0) body.deadline = Duration{signed_of(in.varint())};
  if ((present & kTimeout) != 0) body.timeout = Duration{signed_of(in.varint())};
  if ((present & kInputBytes) != 0) body.input_bytes = in.varint();
  if ((present & kPromptTokens) != 0) body.prompt_tokens = in.varint32();
  if ((present & kNoiseSeed) != 0) body.noise_seed = in.fixed64();
  if ((present & kId) != 0) body.id = in.text();
  if ((present & kTenant) != 0) body.tenant = in.text();
  if ((present & kPrompt) != 0) body.prompt = in.text();
  if ((present & kPromptHash) != 0) body.prompt_hash = in.text();
}

InstanceKey read_instance(ByteReader& in) {
  const InstanceId id{in.varint32()};
  return {id, in.varint32()};
}

}  // namespace

// ---- encoding ----------------------------------------------------------------------------------

std::size_t Encoder::bound(const Event& event) {
  constexpr std::size_t kFixed = 24 * kVarintBytes;
  std::size_t bytes = kFixed + event.members.size() * 6 * kVarintBytes +
                      event.stages.size() * kVarintBytes + event.text.size();
  if (event.body != nullptr) {
    const RequestBody& body = *event.body;
    bytes += 24 * kVarintBytes + body.id.size() + body.tenant.size() + body.prompt.size() +
             body.prompt_hash.size();
  }
  if (event.inventory != nullptr) {
    const Inventory& inventory = *event.inventory;
    bytes += 2 * kVarintBytes *
             (4 + inventory.weights.size() + inventory.run_queue.size() +
              inventory.transfers.size() + inventory.handles.size());
  }
  return bytes;
}

char* Encoder::append(TimePoint now, const Event& event, std::uint64_t actions_hash, char* at) {
  if (event.kind == EventKind::controller_restarted) {
    last_ = {};
    started_ = true;
  }
  DF_CHECK(started_, "the first record of a log is {}", name_of(event.kind));
  const std::uint64_t present = fields_of(event, actions_hash);
  *at++ = static_cast<char>(event.kind);
  at = write_varint(present, at);
  at = write_varint(static_cast<std::uint64_t>(now.ns) - static_cast<std::uint64_t>(last_.now), at);
  last_.now = now.ns;
  if ((present & kInstance) != 0) {
    at = write_varint(event.instance.id.value, at);
    at = write_varint(event.instance.incarnation, at);
  }
  if ((present & kCommand) != 0) at = write_command(event.command, at);
  if ((present & kStarted) != 0) at = write_command(event.started, at);
  if ((present & kMembers) != 0) at = write_members(event, at);
  if ((present & kCompute) != 0) at = write_varint(signed_bits(event.compute.ns), at);
  if ((present & kActions) != 0) at = write_fixed64(actions_hash, at);
  if ((present & kReason) != 0) *at++ = static_cast<char>(event.reason);
  if ((present & kRareFields) != 0) at = write_rare(event, present, at);
  return at;
}

char* Encoder::write_rare(const Event& event, std::uint64_t present, char* at) {
  if ((present & kRequest) != 0) at = write_request(event.request, at);
  if ((present & kNumber) != 0) {
    at = write_varint(zigzag(event.number - last_.number), at);
    last_.number = event.number;
  }
  if ((present & kHandle) != 0) at = write_handle(event.handle, at);
  if ((present & kStepsDone) != 0) at = write_varint(event.steps_done, at);
  if ((present & kWhen) != 0) at = write_varint(signed_bits(event.when.ns), at);
  if ((present & kMachine) != 0) at = write_varint(event.machine.value, at);
  if ((present & kGpu) != 0) at = write_varint(event.gpu.value, at);
  if ((present & kStages) != 0) {
    at = write_varint(event.stages.size(), at);
    for (const WeightsId weights : event.stages) at = write_varint(weights.value, at);
  }
  if ((present & kBody) != 0) at = write_body(*event.body, at);
  if ((present & kInventory) != 0) at = write_inventory(*event.inventory, at);
  if ((present & kText) != 0) at = write_text(event.text, at);
  if ((present & kOrder) != 0) *at++ = static_cast<char>(event.order);
  return at;
}

char* Encoder::write_command(CommandKey key, char* at) {
  at = write_varint(zigzag(key.id - last_.command), at);
  last_.command = key.id;
  return write_varint(key.slot, at);
}

char* Encoder::write_request(RequestKey key, char* at) {
  at = write_varint(zigzag32(key.generation - last_.request), at);
  last_.request = key.generation;
  return write_varint(key.slot, at);
}

char* Encoder::write_handle(HandleKey key, char* at) {
  at = write_varint(zigzag32(key.generation - last_.handle), at);
  last_.handle = key.generation;
  return write_varint(key.slot, at);
}

char* Encoder::write_members(const Event& event, char* at) {
  at = write_varint(event.members.size(), at);
  for (const MemberOutcome& member : event.members) {
    const auto reason = static_cast<unsigned>(member.reason);
    const bool handle = member.handle != HandleKey{};
    at = write_varint(static_cast<unsigned>(member.kind) | (handle ? kMemberHandle : 0U) |
                          (member.bytes != 0 ? kMemberBytes : 0U) | reason << kMemberReasonShift,
                      at);
    at = write_request(member.request, at);
    if (handle) at = write_handle(member.handle, at);
    if (member.bytes != 0) at = write_varint(member.bytes, at);
  }
  return at;
}

char* Encoder::write_inventory(const Inventory& inventory, char* at) {
  *at++ = static_cast<char>(inventory.first_is_running);
  at = write_varint(inventory.weights.size(), at);
  for (const WeightsId weights : inventory.weights) at = write_varint(weights.value, at);
  at = write_varint(inventory.run_queue.size(), at);
  for (const CommandKey key : inventory.run_queue) at = write_command(key, at);
  at = write_varint(inventory.transfers.size(), at);
  for (const CommandKey key : inventory.transfers) at = write_command(key, at);
  at = write_varint(inventory.handles.size(), at);
  for (const HandleKey key : inventory.handles) at = write_handle(key, at);
  return at;
}

// ---- decoding ----------------------------------------------------------------------------------

const char* Decoder::decode(std::string_view record, Record& out) {
  ByteReader in(record);
  Event& event = out.event;
  event = Event{};
  const std::uint64_t kind = in.varint();
  if (kind >= kEventKinds) return "an event of an unknown kind";
  event.kind = static_cast<EventKind>(kind);
  if (event.kind == EventKind::controller_restarted) {
    last_ = {};
    started_ = true;
  }
  if (!started_) return "the first event is not controller_restarted";
  const std::uint64_t present = in.varint();
  if ((present & ~kAllFields) != 0) return "an event has unknown fields";
  last_.now = static_cast<std::int64_t>(static_cast<std::uint64_t>(last_.now) + in.varint());
  out.now = TimePoint{last_.now};
  if ((present & kInstance) != 0) event.instance = read_instance(in);
  if ((present & kCommand) != 0) read_command(in, event.command);
  if ((present & kStarted) != 0) read_command(in, event.started);
  if ((present & kMembers) != 0) read_members(in, out);
  if ((present & kCompute) != 0) event.compute = Duration{signed_of(in.varint())};
  out.actions_hash = (present & kActions) != 0 ? in.fixed64() : kNoActionsHash;
  if ((present & kReason) != 0) {
    event.reason = static_cast<Reason>(in.varint_up_to(kReasons - 1U));
  }
  if ((present & kRareFields) != 0) read_rare(in, present, out);
  if (in.wrong() == nullptr && in.left() != 0) in.fail("bytes are left over");
  return in.wrong();
}

void Decoder::read_rare(ByteReader& in, std::uint64_t present, Record& out) {
  Event& event = out.event;
  if ((present & kRequest) != 0) read_request(in, event.request);
  if ((present & kNumber) != 0) event.number = last_.number += unzigzag(in.varint());
  if ((present & kHandle) != 0) read_handle(in, event.handle);
  if ((present & kStepsDone) != 0) event.steps_done = in.varint32();
  if ((present & kWhen) != 0) event.when = TimePoint{signed_of(in.varint())};
  if ((present & kMachine) != 0) event.machine = MachineId{in.varint32()};
  if ((present & kGpu) != 0) {
    event.gpu = GpuTypeId{static_cast<std::uint16_t>(in.varint_up_to(0xffffU))};
  }
  if ((present & kStages) != 0) {
    out.stages.resize(in.count(1));
    for (WeightsId& weights : out.stages) {
      weights = WeightsId{static_cast<std::uint16_t>(in.varint_up_to(0xffffU))};
    }
    event.stages = out.stages;
  }
  if ((present & kBody) != 0) {
    read_body(in, out.body);
    event.body = &out.body;
  }
  if ((present & kInventory) != 0) {
    read_inventory(in, out);
    event.inventory = &out.inventory;
  }
  if ((present & kText) != 0) {
    out.text = in.text();
    event.text = out.text;
  }
  if ((present & kOrder) != 0) event.order = static_cast<Order>(in.varint_up_to(kOrders - 1U));
}

void Decoder::read_command(ByteReader& in, CommandKey& key) {
  key.id = last_.command += unzigzag(in.varint());
  key.slot = in.varint32();
}

void Decoder::read_request(ByteReader& in, RequestKey& key) {
  key.generation = last_.request += unzigzag32(in.varint32());
  key.slot = in.varint32();
}

void Decoder::read_handle(ByteReader& in, HandleKey& key) {
  key.generation = last_.handle += unzigzag32(in.varint32());
  key.slot = in.varint32();
}

void Decoder::read_members(ByteReader& in, Record& out) {
  out.members.resize(in.count(3));
  for (MemberOutcome& member : out.members) {
    member = MemberOutcome{};
    const auto flags = static_cast<unsigned>(in.varint_up_to(0xffU));
    const unsigned reason = flags >> kMemberReasonShift;
    if (reason >= kReasons) return in.fail("a member failed for an unknown reason");
    member.kind = static_cast<MemberOutcome::Kind>(flags & kMemberKind);
    member.reason = static_cast<Reason>(reason);
    read_request(in, member.request);
    if ((flags & kMemberHandle) != 0) read_handle(in, member.handle);
    if ((flags & kMemberBytes) != 0) member.bytes = in.varint();
  }
  out.event.members = out.members;
}

void Decoder::read_inventory(ByteReader& in, Record& out) {
  out.inventory.first_is_running = in.varint_up_to(1) != 0;
  out.weights.resize(in.count(1));
  for (WeightsId& weights : out.weights) {
    weights = WeightsId{static_cast<std::uint16_t>(in.varint_up_to(0xffffU))};
  }
  out.run_queue.resize(in.count(2));
  for (CommandKey& key : out.run_queue) read_command(in, key);
  out.transfers.resize(in.count(2));
  for (CommandKey& key : out.transfers) read_command(in, key);
  out.handles.resize(in.count(2));
  for (HandleKey& key : out.handles) read_handle(in, key);
  out.inventory.weights = out.weights;
  out.inventory.run_queue = out.run_queue;
  out.inventory.transfers = out.transfers;
  out.inventory.handles = out.handles;
}

}  // namespace disagfusion::scheduler::log
