// The event list: a winner tree (tournament tree) with one slot for each source of events. A source
// has at most one next event; the tree holds the whole keys, so that finding the winner again after
// a change is one load, one compare and one store a level, without branches.
//
// Source of the structure: D. E. Knuth, The Art of Computer Programming, vol. 3, 5.4.1 (selection
// trees). docs/models/event-kernel.md has limits and figures.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/time.hpp"

namespace disagfusion::sim {

__extension__ using EventKey = unsigned __int128;

/// Keys order by (time, sequence); the slot rides in the low bits. 63 bits of nanoseconds, 44 bits
/// of sequence, 20 bits of slot.
inline constexpr unsigned kSlotBits = 20;
inline constexpr EventKey kNoEvent = ~EventKey{0};

constexpr EventKey make_key(TimePoint time, std::uint64_t sequence, std::uint32_t slot) {
  return EventKey{static_cast<std::uint64_t>(time.ns)} << 64U | (sequence << kSlotBits | slot);
}
constexpr TimePoint time_of(EventKey key) {
  return {static_cast<std::int64_t>(static_cast<std::uint64_t>(key >> 64U))};
}
constexpr std::uint32_t slot_of(EventKey key) {
  return static_cast<std::uint32_t>(key) & ((1U << kSlotBits) - 1);
}

class WinnerTree {
 public:
  /// Slots 0 ... slots - 1, all without an event. At most 2^20.
  explicit WinnerTree(std::uint32_t slots) { grow(slots); }

  /// The next event of `slot`, in place of the one it had. Time is not negative.
  void set(std::uint32_t slot, TimePoint time, std::uint64_t sequence) {
    if (slot == taken_) taken_ = kNobody;
    put(slot, make_key(time, sequence, slot));
  }
  /// `slot` has no event.
  void clear(std::uint32_t slot) {
    if (slot == taken_) taken_ = kNobody;
    put(slot, kNoEvent);
  }
  /// The event of `slot` has happened; whether it gets another is known by settle(), before which
  /// top() means nothing. Most do: then one walk up the tree does for both.
  void take(std::uint32_t slot) {
    settle();
    taken_ = slot;
  }
  void settle() {
    if (taken_ != kNobody) clear(taken_);
  }
  /// The earliest event of all, or kNoEvent.
  [[nodiscard]] EventKey top() const { return nodes_[1]; }
  /// The event of one slot, or kNoEvent.
  [[nodiscard]] EventKey of(std::uint32_t slot) const { return nodes_[leaves_ + slot]; }
  [[nodiscard]] std::uint32_t slots() const { return slots_; }

  /// More slots; those there keep their events.
  void grow(std::uint32_t slots) {
    DF_CHECK_LE(slots, 1U << kSlotBits);
    if (slots <= slots_) return;
    const std::vector<EventKey> old(nodes_.begin() + static_cast<std::ptrdiff_t>(leaves_),
                                    nodes_.end());
    slots_ = slots;
    leaves_ = std::bit_ceil(slots < 2 ? 2U : slots);
    nodes_.assign(2UL * leaves_, kNoEvent);
    for (std::uint32_t i = 0; i < old.size(); ++i) put(i, old[i]);
  }

 private:
  void put(std::uint32_t slot, EventKey key) {
    std::size_t i = leaves_ + slot;
    EventKey* const nodes = nodes_.data();
    nodes[i] = key;
    while (i > 1) {
      const EventKey sibling = nodes[i ^ 1U];
      key = sibling < key ? sibling : key;
      i >>= 1U;
      nodes[i] = key;
    }
  }

  std::vector<EventKey> nodes_;  ///< nodes_[1] is the root, nodes_[leaves_ + s] the leaf of slot s
  static constexpr std::uint32_t kNobody = 0xffffffffU;
  std::uint32_t slots_ = 0, leaves_ = 0;
  std::uint32_t taken_ = kNobody;
};

}  // namespace disagfusion::sim
