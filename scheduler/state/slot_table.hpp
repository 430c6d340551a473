// Dense records with a free list: slots are reused, memory is kept, nothing is allocated when warm.
#pragma once

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
    if (free_.empty()) {
      records_.emplace_back();
      live_.push_back(1);
      return static_cast<std::uint32_t>(records_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    live_[slot] = 1;
    return slot;
  }
  void release(std::uint32_t slot) {
    DF_CHECK(live_[slot] != 0, "slot {} released twice", slot);
    live_[slot] = 0;
    free_.push_back(slot);
  }
  [[nodiscard]] bool live(std::uint32_t slot) const {
    return slot < records_.size() && live_[slot] != 0;
  }
  Record& operator[](std::uint32_t slot) { return records_[slot]; }
  const Record& operator[](std::uint32_t slot) const { return records_[slot]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(records_.size()); }
  [[nodiscard]] std::size_t live_count() const { return records_.size() - free_.size(); }

 private:
  SlotArray<Record> records_;
  std::vector<std::uint8_t> live_;
  std::vector<std::uint32_t> free_;
};

}  // namespace disagfusion::scheduler
