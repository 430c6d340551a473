// Hand-written events and actions about a small fleet, for tests of monitor and text.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::scheduler {

/// One model, encoder -> dit -> decoder. Instances: 1 encoder, 2 and 3 dit (batches of two), 4
/// decoder.
inline Setup small_setup() {
  Setup setup;
  StageGraph& graph = setup.graph;
  graph.model_names = {"toy"};
  graph.weights = {"toy/encoder", "toy/dit", "toy/decoder"};
  graph.node_names = {"encoder", "dit", "decoder"};
  graph.first_node = {NodeId{0}, NodeId{3}};
  for (std::uint16_t i = 0; i < 3; ++i) {
    StageNode node;
    node.model = ModelId{0};
    node.stage = i;
    node.weights = WeightsId{i};
    if (i > 0) node.after = {NodeId{static_cast<std::uint16_t>(i - 1)}};
    if (i < 2) node.before = {NodeId{static_cast<std::uint16_t>(i + 1)}};
    node.path_length = i;
    graph.nodes.push_back(node);
    Role role;
    role.stages = {node.weights};
    role.name = graph.node_names[i];
    role.gpu = GpuTypeId{0};
    role.max_batch = i == 1 ? 2 : 1;
    setup.roles.push_back(role);
  }
  setup.gpu_types = {"A10"};
  constexpr std::uint16_t kRoles[] = {0, 1, 1, 2};
  for (const std::uint16_t role : kRoles) {
    const MachineId machine{static_cast<std::uint32_t>(setup.machines.size())};
    setup.machines.push_back({"node" + std::to_string(machine.value + 1), 0, {1}, Duration{}});
    setup.instances.push_back({PoolId{role}, machine});
  }
  setup.transfers = true;
  return setup;
}

inline constexpr NodeId kEncoder{0}, kDit{1}, kDecoder{2};

inline InstanceKey instance(std::uint32_t id, std::uint32_t incarnation = 1) {
  return {InstanceId{id}, incarnation};
}
/// Commands, requests and handles stand in the slot of their number.
inline CommandKey command(std::uint64_t sequence, std::uint32_t slot, std::uint64_t epoch = 1) {
  return {epoch << 40U | sequence, slot};
}
inline CommandKey command(std::uint32_t sequence) { return command(sequence, sequence); }
inline RequestKey request(std::uint32_t number) { return {number, number}; }
inline HandleKey handle(std::uint32_t number) { return {number, 1}; }

inline Event event(EventKind kind) {
  Event made;
  made.kind = kind;
  return made;
}
inline Event event(EventKind kind, InstanceKey who, CommandKey answers = {}) {
  Event made = event(kind);
  made.instance = who;
  made.command = answers;
  return made;
}
inline Event restarted(std::uint32_t epoch) {
  Event made = event(EventKind::controller_restarted);
  made.steps_done = epoch;
  return made;
}

/// Keeps what events point at.
class Keeper {
 public:
  Event arrived(std::uint32_t number) {
    Event made = event(EventKind::request_arrived);
    made.request = request(number);
    made.number = number;
    bodies_.emplace_back();
    bodies_.back().model = ModelId{0};
    bodies_.back().shape = {832, 480, 81, 4, 1};
    made.body = &bodies_.back();
    return made;
  }
  Event with_members(Event made, std::vector<MemberOutcome> members) {
    members_.push_back(std::move(members));
    made.members = members_.back();
    return made;
  }
  Event finished(InstanceKey who, CommandKey batch, std::uint32_t number, HandleKey output,
                 std::uint64_t bytes = 4'200'000) {
    return with_members(
        event(EventKind::batch_finished, who, batch),
        {{request(number), MemberOutcome::Kind::output, Reason::none, output, bytes}});
  }
  RequestBody& last_body() { return bodies_.back(); }

 private:
  std::list<RequestBody> bodies_;
  std::list<std::vector<MemberOutcome>> members_;
};

/// Builds a buffer of actions.
class Actions {
 public:
  Action& add(ActionKind kind) {
    buffer_.actions.emplace_back();
    buffer_.actions.back().kind = kind;
    return buffer_.actions.back();
  }
  Action& add(ActionKind kind, CommandKey key, InstanceKey who = {}) {
    Action& action = add(kind);
    action.command = key;
    action.instance = who;
    return action;
  }
  Actions& admit(std::uint32_t number) {
    add(ActionKind::admit).request = request(number);
    return *this;
  }
  Actions& end(std::uint32_t number, EndState state = EndState::completed, Why why = Why::none) {
    Action& action = add(ActionKind::end_request);
    action.request = request(number);
    action.state = state;
    action.why = why;
    return *this;
  }
  /// Puts the request into the last action's batch.
  Actions& member(std::uint32_t number, HandleKey output, std::vector<BatchInput> inputs = {},
                  HandleKey state = {}) {
    Action& action = buffer_.actions.back();
    if (action.members == 0) {
      action.first_member = static_cast<std::uint32_t>(buffer_.members.size());
    }
    ++action.members;
    BatchMember made;
    made.request = request(number);
    made.output = output;
    made.state = state;
    made.first_input = static_cast<std::uint32_t>(buffer_.inputs.size());
    made.inputs = static_cast<std::uint32_t>(inputs.size());
    buffer_.inputs.insert(buffer_.inputs.end(), inputs.begin(), inputs.end());
    buffer_.members.push_back(made);
    return *this;
  }
  Actions& enqueue(CommandKey key, InstanceKey who, NodeId node) {
    Action& action = add(ActionKind::enqueue, key, who);
    action.node = node;
    action.weights = WeightsId{node.value};
    action.last_step = node == kDit ? 4 : 1;
    return *this;
  }
  Actions& extend(CommandKey key, CommandKey target) {
    add(ActionKind::extend, key).target = target;
    return *this;
  }
  Actions& revoke(CommandKey key, CommandKey target, RequestKey one = {}) {
    Action& action = add(ActionKind::revoke, key);
    action.target = target;
    action.request = one;
    return *this;
  }
  Actions& preempt(CommandKey key, CommandKey target) {
    add(ActionKind::preempt, key).target = target;
    return *this;
  }
  Actions& transfer(CommandKey key, HandleKey what, InstanceKey from, InstanceKey to,
                    CommandKey fed = {}) {
    Action& action = add(ActionKind::transfer, key, to);
    action.handle = what;
    action.from = from;
    action.target = fed;
    action.bytes = 4'200'000;
    return *this;
  }
  Actions& cancel_transfer(CommandKey key, CommandKey target) {
    add(ActionKind::cancel_transfer, key).target = target;
    return *this;
  }
  Actions& release(CommandKey key, HandleKey what, InstanceKey holder) {
    add(ActionKind::release, key, holder).handle = what;
    return *this;
  }
  Actions& life(ActionKind kind, CommandKey key, InstanceKey who, PoolId role = {}) {
    add(kind, key, who).pool = role;
    return *this;
  }
  [[nodiscard]] const ActionBuffer& buffer() const { return buffer_; }

 private:
  ActionBuffer buffer_;
};

}  // namespace disagfusion::scheduler
