// The queue of one stage: entries in the order (key, number), where the queue policy gives the key.
// A list of sorted chunks, none of them empty but the last one of an empty queue: O(1) at both
// ends, O(chunk) in the middle, no allocation when warm.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.hpp"

namespace disagfusion::scheduler {

struct QueueEntry {
  std::int64_t key = 0;       ///< smaller is served earlier
  std::uint64_t number = 0;   ///< of the request: breaks ties
  std::uint32_t request = 0;  ///< slot
  NodeId node;
  [[nodiscard]] bool before(const QueueEntry& other) const {
    if (key != other.key) return key < other.key;
    if (number != other.number) return number < other.number;
    return node < other.node;
  }
};

class OrderedQueue {
 public:
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const QueueEntry& front() const {
    const Chunk& chunk = *chunks_.front();
    return chunk.entries[chunk.begin];
  }
  void insert(const QueueEntry& entry);
  void pop_front() {
    Chunk& chunk = *chunks_.front();
    --size_;
    if (++chunk.begin == chunk.end) drop_chunk(0);
  }
  /// False when the entry is not there.
  bool erase(const QueueEntry& entry);

  /// Calls visit(entry) in order until it returns false. The queue must not change meanwhile.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& chunk : chunks_) {
      for (std::uint32_t i = chunk->begin; i < chunk->end; ++i) {
        if (!visit(chunk->entries[i])) return;
      }
    }
  }

 private:
  static constexpr std::uint32_t kChunk = 256;
  struct Chunk {
    std::uint32_t begin = 0, end = 0;
    QueueEntry entries[kChunk];
  };

  std::unique_ptr<Chunk> new_chunk();
  void drop_chunk(std::size_t position);
  void split(std::size_t position);
  /// First chunk whose last entry is not before `entry`.
  [[nodiscard]] std::size_t chunk_for(const QueueEntry& entry) const;

  std::vector<std::unique_ptr<Chunk>> chunks_, spare_;
  std::size_t size_ = 0;
};

}  // namespace disagfusion::scheduler
