// The controller's accounts of requests: who they are by their external id, how they stand, who
// waits for them. Made from events and actions alone, so a replay of the log restores it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.hpp"
#include "exec/controller/request_slots.hpp"
#include "exec/protocol/messages.hpp"
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "traces/requests_csv.hpp"

namespace disagfusion::exec {

/// One request for as long as the state folder lives.
struct Account {
  enum class State : std::uint8_t { arrived, admitted, ended };
  std::uint64_t number = 0;  ///< 1, 2, ...
  scheduler::RequestKey key;
  SharedBody body;
  State state = State::arrived;                              ///< what is durable and may be told
  scheduler::EndState end = scheduler::EndState::completed;  ///< when ended
  scheduler::Why why = scheduler::Why::none;
  Duration retry_after;  ///< rejected
  TimePoint arrived, ended_at;
  traces::RequestRow row;                      ///< ended: when it was where
  std::vector<std::function<void()>> waiting;  ///< called once, when it has ended
};

class Ledger {
 public:
  /// Books an event with its actions. Replaying: ends are told at once.
  void decided(TimePoint now, const scheduler::Event& event, const scheduler::ActionBuffer& actions,
               bool replaying);
  /// When and where the stages of a request that has just ended were.
  void note_row(scheduler::RequestKey key, const traces::RequestRow& row);
  /// Admission or end is durable: from here on it may be told.
  void publish(const scheduler::Action& action);

  [[nodiscard]] const Account* find(const std::string& id) const;
  [[nodiscard]] Account* find(scheduler::RequestKey key);
  Account* by_number(std::uint64_t number);
  /// `done` runs when the request has ended: at once where it has.
  void wait(std::uint64_t number, std::function<void()> done);

  /// For the next request_arrived event. Call feed() with it before asking again.
  scheduler::RequestKey next_key();
  [[nodiscard]] std::uint64_t last_number() const { return accounts_.size(); }
  [[nodiscard]] const std::deque<Account>& accounts() const { return accounts_; }

 private:
  void arrive(TimePoint now, const scheduler::Event& event, bool replaying);
  void note_end(TimePoint now, const scheduler::Action& action);

  std::deque<Account> accounts_;                            ///< by number - 1
  std::unordered_map<std::string, std::uint64_t> numbers_;  ///< by external id
  RequestSlots slots_;
  std::uint64_t given_ = 0;  ///< numbers given by next_key()
};

}  // namespace disagfusion::exec
