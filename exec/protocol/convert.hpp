// Between the structures of the scheduler and the frames of control.proto. What comes from outside
// is checked: a message that is not well formed becomes nothing.
#pragma once

#include <optional>

#include "exec/protocol/control.pb.h"
#include "exec/protocol/messages.hpp"

namespace disagfusion::exec {

void to_wire(const Command& command, wire::Command& out);
/// Nothing where a kind, a number or a member is out of range.
std::optional<Command> from_wire(const wire::Command& in, scheduler::InstanceKey addressee);

void to_wire(const OwnedEvent& event, std::uint64_t number, wire::WorkerEvent& out);
/// Nothing where the kind is not one that an instance may tell, or a number is out of range.
std::optional<OwnedEvent> from_wire(const wire::WorkerEvent& in, scheduler::InstanceKey sender);

void to_wire(const OwnedInventory& inventory, wire::Inventory& out);
OwnedInventory from_wire(const wire::Inventory& in);

void to_wire(scheduler::InstanceKey key, wire::Instance& out);
scheduler::InstanceKey from_wire(const wire::Instance& in);
void to_wire(scheduler::HandleKey key, wire::Handle& out);
scheduler::HandleKey from_wire(const wire::Handle& in);
void to_wire(scheduler::CommandKey key, wire::CommandId& out);
scheduler::CommandKey from_wire(const wire::CommandId& in);

}  // namespace disagfusion::exec
