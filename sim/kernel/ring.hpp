// A first-in first-out queue in one growing block of memory: nothing is allocated once warm.
#pragma once

#include <cstddef>
#include <vector>

namespace disagfusion::sim {

template <class T>
class Ring {
 public:
  [[nodiscard]] bool empty() const { return head_ == tail_; }
  [[nodiscard]] std::size_t size() const { return tail_ - head_; }
  [[nodiscard]] T& front() { return items_[head_ & (items_.size() - 1)]; }
  [[nodiscard]] const T& front() const { return items_[head_ & (items_.size() - 1)]; }
  [[nodiscard]] const T& back() const { return items_[(tail_ - 1) & (items_.size() - 1)]; }
  /// A place at the end, as its last user left it, to be filled there.
  T& push() {
    if (size() == items_.size()) grow();
    return items_[tail_++ & (items_.size() - 1)];
  }
  void pop() { ++head_; }

 private:
  void grow() {
    std::vector<T> larger(items_.empty() ? 16 : 2 * items_.size());
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) larger[i] = items_[(head_ + i) & (items_.size() - 1)];
    items_.swap(larger);
    head_ = 0;
    tail_ = count;
  }
  std::vector<T> items_;  ///< a power of two of them
  std::size_t head_ = 0, tail_ = 0;
};

}  // namespace disagfusion::sim
