#include "exec/protocol/messages.hpp"

namespace disagfusion::exec {

Command cut(const scheduler::Action& action, const scheduler::ActionBuffer& buffer) {
  Command command;
  command.action = action;
  command.members.reserve(action.members);
  for (const scheduler::BatchMember& member : buffer.members_of(action)) {
    const auto inputs = buffer.inputs_of(member);
    command.members.push_back({member, {inputs.begin(), inputs.end()}, nullptr});
  }
  return command;
}

OwnedEvent OwnedEvent::copy_of(const scheduler::Event& seen) {
  OwnedEvent owned;
  owned.event = seen;
  owned.members.assign(seen.members.begin(), seen.members.end());
  owned.stages.assign(seen.stages.begin(), seen.stages.end());
  owned.text = std::string(seen.text);
  if (seen.body != nullptr) owned.body = std::make_shared<scheduler::RequestBody>(*seen.body);
  if (seen.inventory != nullptr) {
    const scheduler::Inventory& from = *seen.inventory;
    OwnedInventory& to = owned.inventory.emplace();
    to.weights.assign(from.weights.begin(), from.weights.end());
    to.run_queue.assign(from.run_queue.begin(), from.run_queue.end());
    to.first_is_running = from.first_is_running;
    to.transfers.assign(from.transfers.begin(), from.transfers.end());
    to.handles.assign(from.handles.begin(), from.handles.end());
  }
  return owned;
}

scheduler::Event OwnedEvent::view() const {
  scheduler::Event seen = event;
  seen.members = members;
  seen.stages = stages;
  seen.body = body.get();
  seen.text = text;
  seen.inventory = nullptr;
  if (inventory) {
    inventory_view_ = {inventory->weights, inventory->run_queue, inventory->first_is_running,
                       inventory->transfers, inventory->handles};
    seen.inventory = &inventory_view_;
  }
  return seen;
}

}  // namespace disagfusion::exec
