// Commands and events on their way between scheduler and instances, owning all that they name.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/action.hpp"
#include "scheduler/event.hpp"

namespace disagfusion::exec {

using SharedBody = std::shared_ptr<const scheduler::RequestBody>;

struct CommandMember {
  scheduler::BatchMember keys;  ///< its first_input and inputs mean nothing here
  std::vector<scheduler::BatchInput> inputs;
  SharedBody body;  ///< enqueue, extend
};

/// One action, cut out of the scheduler's buffer.
struct Command {
  scheduler::Action action;  ///< its first_member and members mean nothing here
  std::vector<CommandMember> members;
  std::uint16_t source_port = 0;  ///< transfer: where `from` serves pulls, on loopback
};

/// Without bodies: whoever sends them looks them up.
Command cut(const scheduler::Action& action, const scheduler::ActionBuffer& buffer);

struct OwnedInventory {
  std::vector<WeightsId> weights;
  std::vector<scheduler::CommandKey> run_queue;
  bool first_is_running = false;
  std::vector<scheduler::CommandKey> transfers;
  std::vector<scheduler::HandleKey> handles;
};

/// An event that owns its members, stages, body, inventory and text. Movable; the scheduler reads
/// it through view().
class OwnedEvent {
 public:
  OwnedEvent() = default;
  explicit OwnedEvent(scheduler::EventKind kind) { event.kind = kind; }
  /// Copies everything that `seen` points at.
  static OwnedEvent copy_of(const scheduler::Event& seen);

  /// Valid as long as this is neither changed nor moved.
  [[nodiscard]] scheduler::Event view() const;

  scheduler::Event event;  ///< its spans and pointers are filled by view()
  std::vector<scheduler::MemberOutcome> members;
  std::vector<WeightsId> stages;
  SharedBody body;
  std::optional<OwnedInventory> inventory;
  std::string text;
  std::string note;  ///< for people; the scheduler does not see it

 private:
  mutable scheduler::Inventory inventory_view_;
};

}  // namespace disagfusion::exec
