// What an instance holds for others: outputs, states and, at the controller, inputs.
#pragma once

#include <map>
#include <vector>

#include "exec/stage/buffer.hpp"
#include "scheduler/keys.hpp"

namespace disagfusion::exec {

/// Not thread safe: one thread puts, finds and erases; buffers may be read by others meanwhile.
class HandleStore {
 public:
  struct Held {
    Buffer bytes;
    scheduler::CommandKey enqueue;  ///< whose output slot it occupies, or none
  };

  void put(scheduler::HandleKey key, Buffer bytes, scheduler::CommandKey enqueue = {}) {
    held_.insert_or_assign(key, Held{std::move(bytes), enqueue});
  }
  /// Null where it is not held.
  [[nodiscard]] const Held* find(scheduler::HandleKey key) const {
    const auto found = held_.find(key);
    return found == held_.end() ? nullptr : &found->second;
  }
  bool erase(scheduler::HandleKey key) { return held_.erase(key) > 0; }
  [[nodiscard]] std::vector<scheduler::HandleKey> keys() const {
    std::vector<scheduler::HandleKey> keys;
    keys.reserve(held_.size());
    for (const auto& [key, held] : held_) keys.push_back(key);
    return keys;
  }

 private:
  std::map<scheduler::HandleKey, Held> held_;
};

}  // namespace disagfusion::exec
