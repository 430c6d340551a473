#include "scheduler/state/timer_heap.hpp"

namespace disagfusion::scheduler {

void TimerHeap::place(std::uint32_t position, Entry entry) {
  heap_[position] = entry;
  positions_[entry.id] = position;
}

void TimerHeap::sift_up(std::uint32_t position, Entry entry) {
  while (position > 0) {
    const std::uint32_t parent = (position - 1) / 2;
    if (!entry.before(heap_[parent])) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, entry);
}

void TimerHeap::sift_down(std::uint32_t position, Entry entry) {
  const auto size = static_cast<std::uint32_t>(heap_.size());
  for (;;) {
    std::uint32_t child = 2 * position + 1;
    if (child >= size) break;
    if (child + 1 < size && heap_[child + 1].before(heap_[child])) ++child;
    if (!heap_[child].before(entry)) break;
    place(position, heap_[child]);
    position = child;
  }
  place(position, entry);
}

void TimerHeap::remove_at(std::uint32_t position) {
  positions_[heap_[position].id] = kAbsent;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return;
  if (position > 0 && last.before(heap_[(position - 1) / 2])) {
    sift_up(position, last);
  } else {
    sift_down(position, last);
  }
}

void TimerHeap::set(std::uint32_t id, TimePoint at) {
  if (id >= positions_.size()) positions_.resize(id + 1, kAbsent);
  const Entry entry{at, id};
  const std::uint32_t position = positions_[id];
  if (position == kAbsent) {
    heap_.push_back(entry);
    sift_up(static_cast<std::uint32_t>(heap_.size() - 1), entry);
  } else if (entry.before(heap_[position])) {
    sift_up(position, entry);
  } else {
    sift_down(position, entry);
  }
}

std::uint32_t TimerHeap::pop() {
  const std::uint32_t id = heap_[0].id;
  remove_at(0);
  return id;
}

}  // namespace disagfusion::scheduler
