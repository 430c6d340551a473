#include "scheduler/decision_hash.hpp"

#include <cstddef>

#include "base/inline.hpp"

namespace disagfusion::scheduler {
namespace {

using namespace decision_hash;

std::uint64_t pair(std::uint64_t high, std::uint64_t low) { return high << 32U | low; }
std::uint64_t pair16(WeightsId weights, NodeId node) {
  return std::uint64_t{weights.value} << 16U | node.value;
}
std::uint64_t word(RequestKey key) { return pair(key.slot, key.generation); }
std::uint64_t word(HandleKey key) { return pair(key.slot, key.generation); }
std::uint64_t word(InstanceKey key) { return pair(key.id.value, key.incarnation); }

// Eight words about one action. The four products are independent of one another, so that the chain
// from action to action is a single product long.
struct Words {
  std::uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  [[nodiscard]] std::uint64_t folded_into(std::uint64_t hash) const {
    const std::uint64_t first = mix(a ^ kPi, b ^ kE) ^ mix(c ^ kPi2, d ^ kE2);
    const std::uint64_t second = mix(e ^ kPi3, f ^ kPi) ^ mix(g ^ kE, h ^ kPi2);
    return mix(hash ^ first, second ^ kE2);
  }
};

std::uint64_t fold_members(const ActionBuffer& buffer, const Action& action, std::uint64_t hash) {
  for (const BatchMember& member : buffer.members_of(action)) {
    hash = mix(hash ^ mix(word(member.request) ^ kPi, word(member.output) ^ kE),
               mix(word(member.state) ^ kPi2, member.inputs ^ kE2) ^ kPi3);
    for (const BatchInput& input : buffer.inputs_of(member)) {
      hash = mix(hash ^ word(input.handle), kE ^ static_cast<std::uint64_t>(input.transferred));
    }
  }
  return hash;
}

// Which fields count, by kind: the comments in action.hpp. `a` holds the kind, `b` the command.
// Each kind folds its own words, so that products of absent ones are constants.
DF_INLINE std::uint64_t fold(const Action& x, std::uint64_t hash) {
  const auto kind = static_cast<std::uint64_t>(x.kind);
  const std::uint64_t small = kind | std::uint64_t{x.command.slot} << 32U;
  switch (x.kind) {
    case ActionKind::admit:
      return Words{kind, word(x.request)}.folded_into(hash);
    case ActionKind::reject:
      return Words{kind, word(x.request), static_cast<std::uint64_t>(x.why),
                   static_cast<std::uint64_t>(x.at.ns)}
          .folded_into(hash);
    case ActionKind::end_request:
      return Words{kind, word(x.request),
                   pair(static_cast<std::uint64_t>(x.state), static_cast<std::uint64_t>(x.why)),
                   word(x.handle)}
          .folded_into(hash);
    case ActionKind::enqueue:
      return Words{small,
                   x.command.id,
                   word(x.instance),
                   pair(x.first_step, x.last_step),
                   static_cast<std::uint64_t>(x.order),
                   pair(x.members, pair16(x.weights, x.node)),
                   x.output_transfers}
          .folded_into(hash);
    case ActionKind::extend:
      return Words{small, x.command.id, x.target.id, pair(x.target.slot, x.members)}.folded_into(
          hash);
    case ActionKind::revoke:
      return Words{small, x.command.id, x.target.id, x.target.slot, word(x.request)}.folded_into(
          hash);
    case ActionKind::preempt:
      return Words{small, x.command.id, x.target.id, pair(x.target.slot, x.members)}.folded_into(
          hash);
    case ActionKind::transfer:
      return Words{small,          x.command.id, word(x.instance), word(x.from),
                   word(x.handle), x.bytes,      x.target.id,      x.target.slot}
          .folded_into(hash);
    case ActionKind::cancel_transfer:
      return Words{small, x.command.id, x.target.id, x.target.slot}.folded_into(hash);
    case ActionKind::release:
      return Words{small, x.command.id, word(x.instance), word(x.handle)}.folded_into(hash);
    case ActionKind::provision:
      return Words{small, x.command.id, word(x.instance), pair(x.pool.value, x.machine.value)}
          .folded_into(hash);
    case ActionKind::load:
      return Words{small, x.command.id, word(x.instance), x.pool.value}.folded_into(hash);
    case ActionKind::unload:
    case ActionKind::drain:
    case ActionKind::stop:
      return Words{small, x.command.id, word(x.instance)}.folded_into(hash);
    case ActionKind::output_sent:
      return Words{kind, x.target.id, x.target.slot}.folded_into(hash);
    case ActionKind::undrain:
      return Words{kind, word(x.instance)}.folded_into(hash);
    case ActionKind::arm_timer:
      return Words{kind, static_cast<std::uint64_t>(x.at.ns)}.folded_into(hash);
    case ActionKind::cancel_timer:
      return Words{kind}.folded_into(hash);
  }
  return Words{}.folded_into(hash);
}

}  // namespace

std::uint64_t hash_of(const ActionBuffer& actions) {
  std::uint64_t hash = kNoActionsHash;
  for (const Action& action : actions.actions) {
    hash = fold(action, hash);
    if (action.members != 0) hash = fold_members(actions, action, hash);
  }
  return hash;
}

}  // namespace disagfusion::scheduler
