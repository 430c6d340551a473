// Feeds the scheduler and sends its actions on their way, in one place for every executor: events
// in one after the other, durable before any action that they caused leaves.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "exec/clock.hpp"
#include "exec/controller/journal.hpp"
#include "exec/protocol/messages.hpp"
#include "scheduler/session.hpp"

namespace disagfusion::exec {

/// What stands around the scheduler. Called on the conductor's thread.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  /// Right after the scheduler has taken an event: for accounts. Nothing may leave the process yet.
  virtual void decided(TimePoint now, const scheduler::Event& event,
                       const scheduler::ActionBuffer& actions) = 0;
  /// An action whose event is durable (timers and accounts excepted). May feed events.
  virtual void carry_out(Command command) = 0;
  /// Events up to this one (counted by feed(), from 1) are durable and their actions carried out.
  virtual void settled(std::uint64_t through) { (void)through; }
};

/// One thread, that of `context`. Everything it is given must outlive it.
class Conductor {
 public:
  /// `journal` null: nothing is kept, actions leave at once.
  Conductor(boost::asio::io_context& context, scheduler::Session& session, const Clock& clock,
            Surroundings& surroundings, Journal* journal);
  ~Conductor();

  /// Takes an event, at once or after those before it; `now` is read when it is taken. Returns its
  /// count. May be called from within the Surroundings.
  std::uint64_t feed(OwnedEvent event);

  /// Records go here as well where there is no journal (`--log`); kept by the caller.
  void set_log(scheduler::EventSink* log) { log_ = log; }

  /// Takes an event of the log again: the scheduler and decided() see it, nothing is carried out.
  /// Returns the hash of its actions.
  std::uint64_t replay(TimePoint now, const scheduler::Event& event);

  [[nodiscard]] const scheduler::Session& session() const { return session_; }
  [[nodiscard]] TimePoint last_now() const { return last_; }

 private:
  void take_pending();
  void take(const OwnedEvent& event);
  void note_timer(const scheduler::Action& action);
  void arm(TimePoint at);
  void timer_due(TimePoint at);
  void commit_soon();
  void commit();
  void release(std::vector<Command> commands, std::uint64_t through);

  boost::asio::io_context& context_;
  scheduler::Session& session_;
  const Clock& clock_;
  Surroundings& surroundings_;
  Journal* journal_;
  scheduler::EventSink* log_ = nullptr;
  scheduler::ActionBuffer actions_;
  std::deque<OwnedEvent> pending_;
  std::vector<Command> held_back_;  ///< until the journal has their events
  std::uint64_t fed_ = 0, taken_ = 0;
  TimePoint last_;
  boost::asio::steady_timer timer_;
  TimePoint armed_ = TimePoint::never();
  std::uint64_t arming_ = 0;  ///< counts arm(): an older expiry does nothing
  bool taking_ = false, committing_ = false, commit_posted_ = false;
};

}  // namespace disagfusion::exec
