// Records by dense slot: a vector that keeps its size as a number. The end of a vector minus its
// begin, over the size of a record, is several instructions; whether a slot is there is asked at
// every look-up of an event.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace disagfusion {

template <class Record>
class SlotArray {
 public:
  SlotArray() = default;
  explicit SlotArray(std::size_t size) : records_(size), size_(size) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  Record& operator[](std::size_t slot) { return records_[slot]; }
  const Record& operator[](std::size_t slot) const { return records_[slot]; }
  /// The record of that slot, which need not have been there.
  Record& at_slot(std::size_t slot) {
    if (slot >= size_) [[unlikely]]
      resize(slot + 1);
    return records_[slot];
  }
  [[gnu::noinline]] void resize(std::size_t size) {
    records_.resize(size);
    size_ = size;
  }
  Record& emplace_back() {
    ++size_;
    return records_.emplace_back();
  }
  Record* begin() { return records_.data(); }
  Record* end() { return records_.data() + size_; }
  const Record* begin() const { return records_.data(); }
  const Record* end() const { return records_.data() + size_; }

 private:
  std::vector<Record> records_;
  std::size_t size_ = 0;
};

}  // namespace disagfusion
