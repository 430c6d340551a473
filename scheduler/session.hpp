// The one way in which a world talks to a scheduler: protocol monitor in front, decision hash and
// event log behind. Simulator, executor, verify and tests all use it, so all are checked alike.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.hpp"
#include "scheduler/action.hpp"
#include "scheduler/decision_hash.hpp"
#include "scheduler/event.hpp"
#include "scheduler/monitor.hpp"
#include "scheduler/scheduler.hpp"
#include "scheduler/text.hpp"

namespace disagfusion::scheduler {

/// Receives every event with the hash of its actions, before the actions leave (design 6).
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void record(TimePoint now, const Event& event, std::uint64_t actions_hash) = 0;
};

class Session {
 public:
  static Result<std::unique_ptr<Session>> make(const Setup& setup,
                                               std::shared_ptr<const predictor::CostModel> belief);

  /// Feeds one event. `actions` is cleared first. An event that the protocol does not explain ends
  /// the program (it is our bug, or a hostile worker: exec checks frames before).
  void on_event(TimePoint now, const Event& event, ActionBuffer& actions);
  void set_sink(EventSink* sink) { sink_ = sink; }

  [[nodiscard]] const Scheduler& scheduler() const { return *scheduler_; }
  [[nodiscard]] const ProtocolMonitor& monitor() const { return monitor_; }
  /// Hash of the whole decision stream so far.
  [[nodiscard]] std::uint64_t decision_hash() const { return hash_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }

 private:
  explicit Session(const Setup& setup, std::unique_ptr<Scheduler> scheduler);
  [[gnu::cold]] void world_broke_protocol(const char* wrong, TimePoint now, const Event& event);
  [[gnu::cold]] void scheduler_broke_protocol(const char* wrong, TimePoint now, const Event& event,
                                              const ActionBuffer& actions);
  std::unique_ptr<Scheduler> scheduler_;
  ProtocolMonitor monitor_;
  TextWriter text_;  // of failures
  EventSink* sink_ = nullptr;
  std::uint64_t hash_ = 0, events_ = 0;
};

}  // namespace disagfusion::scheduler
