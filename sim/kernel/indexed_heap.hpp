// A 4-ary heap of (time, sequence) over dense identifiers, with change and removal of any:
// deadlines of clients, flows of the network, messages under way. Only its minimum stands in the
// event list.
#pragma once

#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/time.hpp"

namespace disagfusion::sim {

class IndexedHeap {
 public:
  struct Item {
    TimePoint time;
    std::uint64_t sequence = 0;
    std::uint32_t id = 0;
    [[nodiscard]] bool before(const Item& other) const {
      return time != other.time ? time < other.time : sequence < other.sequence;
    }
  };

  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] const Item& top() const { return items_.front(); }
  [[nodiscard]] bool contains(std::uint32_t id) const {
    return id < place_.size() && place_[id] != kAbsent;
  }

  /// Puts `id` in, or moves it.
  void set(std::uint32_t id, TimePoint time, std::uint64_t sequence) {
    if (id >= place_.size()) place_.resize(id + 1, kAbsent);
    std::uint32_t at = place_[id];
    if (at == kAbsent) {
      at = static_cast<std::uint32_t>(items_.size());
      items_.emplace_back();
    }
    settle(at, {time, sequence, id});
  }
  /// Takes `id` out; nothing happens where it is not in.
  void erase(std::uint32_t id) {
    if (!contains(id)) return;
    const std::uint32_t at = place_[id];
    place_[id] = kAbsent;
    const Item last = items_.back();
    items_.pop_back();
    if (at < items_.size()) settle(at, last);
  }
  void pop() { erase(items_.front().id); }

 private:
  static constexpr std::uint32_t kAbsent = 0xffffffffU;

  void place(std::uint32_t at, const Item& item) {
    items_[at] = item;
    place_[item.id] = at;
  }
  void settle(std::uint32_t at, const Item item) {
    while (at > 0) {
      const std::uint32_t parent = (at - 1) / 4;
      if (!item.before(items_[parent])) break;
      place(at, items_[parent]);
      at = parent;
    }
    const auto size = static_cast<std::uint32_t>(items_.size());
    for (std::uint32_t child = 4 * at + 1; child < size; child = 4 * at + 1) {
      std::uint32_t least = child;
      const std::uint32_t end = child + 4 < size ? child + 4 : size;
      for (std::uint32_t c = child + 1; c < end; ++c) {
        if (items_[c].before(items_[least])) least = c;
      }
      if (!items_[least].before(item)) break;
      place(at, items_[least]);
      at = least;
    }
    place(at, item);
  }

  std::vector<Item> items_;
  std::vector<std::uint32_t> place_;  ///< by id: position in items_
};

}  // namespace disagfusion::sim
