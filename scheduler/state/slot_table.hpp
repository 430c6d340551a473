// Dense records with a list of free slots: slots are reused, memory is kept, nothing is allocated
// when warm.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/slot_array.hpp"

namespace disagfusion::scheduler {

inline constexpr std::uint32_t kNoSlot = 0xffffffffU;

template <class Record>
class SlotTable {
 public:
  /// A slot whose record is as its last user left it (vectors inside keep their memory).
  std::uint32_t allocate() {
    if (free_ == kNoSlot) [[unlikely]]
      grow();
    const std::uint32_t slot = free_;
    free_ = next_free_[slot];
    next_free_[slot] = kLive;
    return slot;
  }
  void release(std::uint32_t slot) {
    DF_CHECK(next_free_[slot] == kLive, "slot {} released twice", slot);
    next_free_[slot] = free_;
    free_ = slot;
  }
  [[nodiscard]] bool live(std::uint32_t slot) const {
    return slot < records_.size() && next_free_[slot] == kLive;
  }
  Record& operator[](std::uint32_t slot) { return records_[slot]; }
  const Record& operator[](std::uint32_t slot) const { return records_[slot]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(records_.size()); }
  [[nodiscard]] std::size_t live_count() const {
    return static_cast<std::size_t>(std::count(next_free_.begin(), next_free_.end(), kLive));
  }

 private:
  static constexpr std::uint32_t kLive = kNoSlot - 1;

  [[gnu::noinline]] void grow() {
    free_ = size();
    records_.emplace_back();
    next_free_.push_back(kNoSlot);
  }

  SlotArray<Record> records_;
  std::vector<std::uint32_t> next_free_;  ///< by slot: kLive, or the slot that is free after it
  std::uint32_t free_ = kNoSlot;          ///< the one released last
};

}  // namespace disagfusion::scheduler
