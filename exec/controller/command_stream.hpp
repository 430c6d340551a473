// What was sent to one incarnation of an instance, counted, so that a connection that broke goes on
// where it ended: each command arrives exactly once.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "exec/protocol/messages.hpp"

namespace disagfusion::exec {

class CommandStream {
 public:
  /// More than a worker can be behind.
  static constexpr std::size_t kKept = 8192;

  void push(Command command) {
    commands_.push_back(std::move(command));
    if (commands_.size() > kKept) {
      commands_.pop_front();
      ++first_;
    }
  }
  /// The worker has the first `received` commands.
  void trim(std::uint64_t received) {
    while (first_ < received && !commands_.empty()) {
      commands_.pop_front();
      ++first_;
    }
  }
  /// False: a worker that has `received` commands lacks some that are no longer kept, or has more
  /// than there are.
  [[nodiscard]] bool reaches(std::uint64_t received) const {
    return received >= first_ && received <= first_ + commands_.size();
  }
  /// Calls with every command after the first `received`.
  template <class Call>
  void each_after(std::uint64_t received, Call call) const {
    for (std::size_t i = received - first_; i < commands_.size(); ++i) call(commands_[i]);
  }
  void clear() {
    commands_.clear();
    first_ = 0;
  }

 private:
  std::deque<Command> commands_;
  std::uint64_t first_ = 0;  ///< so many came before commands_.front()
};

}  // namespace disagfusion::exec
