// Events of every kind that own what they show, made from numbers: for codec, container and text
// tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "scheduler/event.hpp"

namespace disagfusion::scheduler::log {

/// Gives a number up to `most`; small numbers are likely.
using Draw = std::function<std::uint64_t(std::uint64_t most)>;

struct SampleEvent {
  Event event;
  std::vector<MemberOutcome> members;
  std::vector<WeightsId> stages, weights;
  std::vector<CommandKey> run_queue, transfers;
  std::vector<HandleKey> handles;
  std::string text;
  RequestBody body;
  Inventory inventory;
};

inline std::uint32_t draw32(const Draw& draw) {
  return static_cast<std::uint32_t>(draw(0xffffffffU));
}
inline std::string draw_text(const Draw& draw) {
  std::string text(draw(40), ' ');
  for (char& c : text) c = static_cast<char>(draw(255));
  return text;
}
inline CommandKey draw_command(const Draw& draw) {
  const std::uint64_t id = draw(~std::uint64_t{0});
  return {id, draw32(draw)};
}
inline RequestKey draw_request(const Draw& draw) {
  const std::uint32_t slot = draw32(draw);
  return {slot, draw32(draw)};
}
inline HandleKey draw_handle(const Draw& draw) {
  const std::uint32_t slot = draw32(draw);
  return {slot, draw32(draw)};
}
inline std::int64_t draw_signed(const Draw& draw) {
  return static_cast<std::int64_t>(draw(~std::uint64_t{0}));
}

inline void fill_members(SampleEvent& s, const Draw& draw) {
  for (std::uint64_t i = draw(3); i > 0; --i) {
    MemberOutcome member;
    member.request = draw_request(draw);
    member.kind = static_cast<MemberOutcome::Kind>(draw(3));
    member.reason = static_cast<Reason>(draw(static_cast<std::uint64_t>(Reason::bad_input)));
    member.handle = draw_handle(draw);
    member.bytes = draw(~std::uint64_t{0});
    s.members.push_back(member);
  }
  s.event.members = s.members;
}

inline void fill_body(SampleEvent& s, const Draw& draw) {
  RequestBody& body = s.body;
  body.id = draw_text(draw);
  body.model = ModelId{static_cast<std::uint16_t>(draw(0xffff))};
  body.shape = {draw32(draw), draw32(draw), draw32(draw), draw32(draw), draw32(draw)};
  body.guidance = static_cast<double>(draw(1000)) / 8;
  body.priority = static_cast<std::int32_t>(draw32(draw));
  if (draw(1) != 0) body.deadline = Duration{draw_signed(draw)};
  if (draw(1) != 0) body.timeout = Duration{draw_signed(draw)};
  body.tenant = draw_text(draw);
  body.prompt = draw_text(draw);
  body.prompt_hash = draw_text(draw);
  body.input_bytes = draw(~std::uint64_t{0});
  body.prompt_tokens = draw32(draw);
  body.noise_seed = draw(~std::uint64_t{0});
  s.event.body = &body;
}

inline void fill_inventory(SampleEvent& s, const Draw& draw) {
  for (std::uint64_t i = draw(3); i > 0; --i) {
    s.weights.emplace_back(static_cast<std::uint16_t>(draw(0xffff)));
    s.run_queue.push_back(draw_command(draw));
    s.handles.push_back(draw_handle(draw));
  }
  for (std::uint64_t i = draw(3); i > 0; --i) s.transfers.push_back(draw_command(draw));
  s.inventory = {s.weights, s.run_queue, draw(1) != 0, s.transfers, s.handles};
  s.event.inventory = &s.inventory;
}

/// Every field may be set, whatever the kind: the encoding does not mind.
inline std::unique_ptr<SampleEvent> sample_event(EventKind kind, const Draw& draw) {
  auto sample = std::make_unique<SampleEvent>();
  SampleEvent& s = *sample;
  Event& e = s.event;
  e.kind = kind;
  e.reason = static_cast<Reason>(draw(static_cast<std::uint64_t>(Reason::bad_input)));
  e.order = static_cast<Order>(draw(static_cast<std::uint64_t>(Order::set_policy)));
  if (draw(3) != 0) e.instance = {InstanceId{draw32(draw)}, draw32(draw)};
  if (draw(3) != 0) e.command = draw_command(draw);
  if (draw(1) != 0) e.started = draw_command(draw);
  if (draw(1) != 0) e.request = draw_request(draw);
  if (draw(1) != 0) e.number = draw(~std::uint64_t{0});
  if (draw(1) != 0) e.handle = draw_handle(draw);
  e.compute = Duration{draw_signed(draw)};
  if (draw(1) != 0) e.when = TimePoint{draw_signed(draw)};
  if (draw(1) != 0) e.steps_done = draw32(draw);
  if (draw(1) != 0) e.machine = MachineId{draw32(draw)};
  if (draw(1) != 0) e.gpu = GpuTypeId{static_cast<std::uint16_t>(draw(0xffff))};
  fill_members(s, draw);
  for (std::uint64_t i = draw(2); i > 0; --i) {
    s.stages.emplace_back(static_cast<std::uint16_t>(draw(0xffff)));
  }
  e.stages = s.stages;
  if (draw(2) == 0) fill_body(s, draw);
  if (draw(3) == 0) fill_inventory(s, draw);
  s.text = draw_text(draw);
  e.text = s.text;
  return sample;
}

template <class Span>
auto listed(const Span& span) {
  return std::vector(span.begin(), span.end());
}

inline bool same(const MemberOutcome& a, const MemberOutcome& b) {
  return std::tie(a.request, a.kind, a.reason, a.handle, a.bytes) ==
         std::tie(b.request, b.kind, b.reason, b.handle, b.bytes);
}

inline bool same(const RequestBody& a, const RequestBody& b) {
  return std::tie(a.id, a.model, a.shape, a.guidance, a.priority, a.deadline, a.timeout, a.tenant,
                  a.prompt, a.prompt_hash, a.input_bytes, a.prompt_tokens, a.noise_seed) ==
         std::tie(b.id, b.model, b.shape, b.guidance, b.priority, b.deadline, b.timeout, b.tenant,
                  b.prompt, b.prompt_hash, b.input_bytes, b.prompt_tokens, b.noise_seed);
}

inline bool same(const Inventory& a, const Inventory& b) {
  return listed(a.weights) == listed(b.weights) && listed(a.run_queue) == listed(b.run_queue) &&
         a.first_is_running == b.first_is_running && listed(a.transfers) == listed(b.transfers) &&
         listed(a.handles) == listed(b.handles);
}

template <class T>
bool same_behind(const T* a, const T* b) {
  return (a == nullptr) == (b == nullptr) && (a == nullptr || same(*a, *b));
}

inline bool same(const Event& a, const Event& b) {
  if (a.members.size() != b.members.size()) return false;
  for (std::size_t i = 0; i < a.members.size(); ++i) {
    if (!same(a.members[i], b.members[i])) return false;
  }
  return std::tie(a.kind, a.reason, a.order, a.instance, a.command, a.started, a.request, a.number,
                  a.handle, a.compute, a.when, a.steps_done, a.machine, a.gpu,
                  a.text) == std::tie(b.kind, b.reason, b.order, b.instance, b.command, b.started,
                                      b.request, b.number, b.handle, b.compute, b.when,
                                      b.steps_done, b.machine, b.gpu, b.text) &&
         listed(a.stages) == listed(b.stages) && same_behind(a.body, b.body) &&
         same_behind(a.inventory, b.inventory);
}

/// Draws of a linear congruential generator: small in half of the cases.
inline Draw draws_from(std::uint64_t seed) {
  return [state = seed * 2 + 1](std::uint64_t most) mutable {
    const auto next = [&] {
      state = state * 6364136223846793005U + 1442695040888963407U;
      return state ^ state >> 29U;
    };
    std::uint64_t value = next();
    if (next() % 2 == 0) value %= 100;
    return most == ~std::uint64_t{0} ? value : value % (most + 1);
  };
}

}  // namespace disagfusion::scheduler::log
