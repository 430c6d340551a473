#include "scheduler/state/ordered_queue.hpp"

#include <algorithm>

namespace disagfusion::scheduler {

std::unique_ptr<OrderedQueue::Chunk> OrderedQueue::new_chunk() {
  if (spare_.empty()) return std::make_unique<Chunk>();
  std::unique_ptr<Chunk> chunk = std::move(spare_.back());
  spare_.pop_back();
  chunk->begin = chunk->end = 0;
  return chunk;
}

void OrderedQueue::drop_chunk(std::size_t position) {
  if (size_ == 0) {  // the last one stays
    chunks_[position]->begin = chunks_[position]->end = 0;
    return;
  }
  constexpr std::size_t kSpareChunks = 64;  // a long queue gives its memory back as it drains
  if (spare_.size() < kSpareChunks) spare_.push_back(std::move(chunks_[position]));
  chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(position));
}

std::size_t OrderedQueue::chunk_for(const QueueEntry& entry) const {
  const auto found = std::partition_point(chunks_.begin(), chunks_.end(), [&](const auto& chunk) {
    return chunk->entries[chunk->end - 1].before(entry);
  });
  return static_cast<std::size_t>(found - chunks_.begin());
}

void OrderedQueue::split(std::size_t position) {
  std::unique_ptr<Chunk> upper = new_chunk();
  Chunk& lower = *chunks_[position];
  const std::uint32_t middle = lower.begin + (lower.end - lower.begin) / 2;
  upper->end = lower.end - middle;
  std::copy(lower.entries + middle, lower.entries + lower.end, upper->entries);
  lower.end = middle;
  chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(position) + 1, std::move(upper));
}

void OrderedQueue::insert(const QueueEntry& entry) {
  const bool first = size_++ == 0;
  if (first || chunks_.back()->entries[chunks_.back()->end - 1].before(entry)) {
    if (chunks_.empty() || chunks_.back()->end == kChunk) chunks_.push_back(new_chunk());
    Chunk& last = *chunks_.back();
    last.entries[last.end++] = entry;
    return;
  }
  std::size_t position = chunk_for(entry);
  if (chunks_[position]->begin == 0 && chunks_[position]->end == kChunk) {
    split(position);
    position = chunk_for(entry);
  }
  Chunk& chunk = *chunks_[position];
  QueueEntry* const place =
      std::partition_point(chunk.entries + chunk.begin, chunk.entries + chunk.end,
                           [&](const QueueEntry& other) { return other.before(entry); });
  if (chunk.end < kChunk) {
    std::move_backward(place, chunk.entries + chunk.end, chunk.entries + chunk.end + 1);
    *place = entry;
    ++chunk.end;
  } else {
    std::move(chunk.entries + chunk.begin, place, chunk.entries + chunk.begin - 1);
    *(place - 1) = entry;
    --chunk.begin;
  }
}

bool OrderedQueue::erase(const QueueEntry& entry) {
  if (empty()) return false;
  const std::size_t position = chunk_for(entry);
  if (position == chunks_.size()) return false;
  Chunk& chunk = *chunks_[position];
  QueueEntry* const place =
      std::partition_point(chunk.entries + chunk.begin, chunk.entries + chunk.end,
                           [&](const QueueEntry& other) { return other.before(entry); });
  if (place == chunk.entries + chunk.end || entry.before(*place)) return false;
  std::move(place + 1, chunk.entries + chunk.end, place);
  --chunk.end;
  --size_;
  if (chunk.begin == chunk.end) drop_chunk(position);
  return true;
}

}  // namespace disagfusion::scheduler
