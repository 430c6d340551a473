// Dense slots for unfinished requests, chosen by the driver of a scheduler.
#pragma once

#include <cstdint>
#include <vector>

namespace disagfusion::exec {

class RequestSlots {
 public:
  /// The slot given back last, or a new one.
  std::uint32_t take() {
    if (free_.empty()) {
      used_.push_back(true);
      return static_cast<std::uint32_t>(used_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    used_[slot] = true;
    return slot;
  }
  /// Replay: an earlier run took this one.
  void retake(std::uint32_t slot) {
    while (used_.size() <= slot) {
      free_.push_back(static_cast<std::uint32_t>(used_.size()));
      used_.push_back(false);
    }
    std::erase(free_, slot);
    used_[slot] = true;
  }
  void give_back(std::uint32_t slot) {
    used_[slot] = false;
    free_.push_back(slot);
  }

 private:
  std::vector<bool> used_;
  std::vector<std::uint32_t> free_;
};

}  // namespace disagfusion::exec
