// Timers of the scheduler: one indexed heap over dense timer ids, smallest (instant, id) first.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.hpp"

namespace disagfusion::scheduler {

class TimerHeap {
 public:
  /// Arms timer `id`, or moves it.
  void set(std::uint32_t id, TimePoint at);
  /// Nothing happens when it is not armed.
  void cancel(std::uint32_t id) {
    if (id < positions_.size() && positions_[id] != kAbsent) remove_at(positions_[id]);
  }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] TimePoint next() const { return heap_.empty() ? TimePoint::never() : heap_[0].at; }
  /// Takes the earliest timer; the heap must not be empty.
  std::uint32_t pop();

 private:
  struct Entry {
    TimePoint at;
    std::uint32_t id;
    [[nodiscard]] bool before(const Entry& other) const {
      return at != other.at ? at < other.at : id < other.id;
    }
  };
  static constexpr std::uint32_t kAbsent = 0xffffffffU;

  void place(std::uint32_t position, Entry entry);
  void sift_up(std::uint32_t position, Entry entry);
  void sift_down(std::uint32_t position, Entry entry);
  void remove_at(std::uint32_t position);

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> positions_;  // by id
};

}  // namespace disagfusion::scheduler
