#include "exec/controller/conductor.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/check.hpp"
#include "scheduler/decision_hash.hpp"

namespace disagfusion::exec {

using scheduler::ActionKind;
using scheduler::EventKind;

namespace {

bool leaves(ActionKind kind) {
  return kind != ActionKind::arm_timer && kind != ActionKind::cancel_timer;
}

}  // namespace

Conductor::Conductor(boost::asio::io_context& context, scheduler::Session& session,
                     const Clock& clock, Surroundings& surroundings, Journal* journal)
    : context_(context),
      session_(session),
      clock_(clock),
      surroundings_(surroundings),
      journal_(journal),
      last_(clock.now()),
      timer_(context) {}

Conductor::~Conductor() { session_.set_sink(nullptr); }

std::uint64_t Conductor::feed(OwnedEvent event) {
  pending_.push_back(std::move(event));
  const std::uint64_t count = ++fed_;
  if (!taking_) take_pending();
  return count;
}

void Conductor::take_pending() {
  taking_ = true;
  while (!pending_.empty()) {
    const OwnedEvent event = std::move(pending_.front());
    pending_.pop_front();
    take(event);
    if (journal_ == nullptr) release(std::exchange(held_back_, {}), taken_);
  }
  taking_ = false;
  if (journal_ != nullptr) commit_soon();
}

void Conductor::take(const OwnedEvent& event) {
  last_ = std::max(last_, clock_.now());
  if (event.event.kind == EventKind::timer) last_ = std::max(last_, event.event.when);
  session_.set_sink(journal_ != nullptr ? journal_ : log_);
  const scheduler::Event seen = event.view();
  session_.on_event(last_, seen, actions_);
  ++taken_;
  surroundings_.decided(last_, seen, actions_);
  for (const scheduler::Action& action : actions_.actions) {
    if (leaves(action.kind)) {
      held_back_.push_back(cut(action, actions_));
    } else {
      note_timer(action);
    }
  }
}

std::uint64_t Conductor::replay(TimePoint now, const scheduler::Event& event) {
  session_.set_sink(nullptr);
  last_ = now;
  session_.on_event(now, event, actions_);
  surroundings_.decided(now, event, actions_);
  return scheduler::hash_of(actions_);
}

// ---- timers ------------------------------------------------------------------------------------

void Conductor::note_timer(const scheduler::Action& action) {
  if (action.kind == ActionKind::arm_timer) {
    arm(action.at);
  } else {
    ++arming_;
    timer_.cancel();
  }
}

void Conductor::arm(TimePoint at) {
  armed_ = at;
  timer_.expires_at(clock_.at(at));
  timer_.async_wait([this, at, mine = ++arming_](boost::system::error_code error) {
    if (!error && mine == arming_) timer_due(at);
  });
}

void Conductor::timer_due(TimePoint at) {
  OwnedEvent due(EventKind::timer);
  due.event.when = at;
  feed(std::move(due));
}

// ---- group commit ------------------------------------------------------------------------------

/// After everything that is ready to run now: those events share the commit.
void Conductor::commit_soon() {
  if (committing_ || commit_posted_ || journal_->empty()) return;
  commit_posted_ = true;
  boost::asio::post(context_, [this] {
    commit_posted_ = false;
    commit();
  });
}

void Conductor::commit() {
  if (committing_ || journal_->empty()) return;
  committing_ = true;
  auto group = std::make_shared<std::vector<Command>>(std::exchange(held_back_, {}));
  journal_->commit([this, group, through = taken_](bool kept) {
    DF_CHECK(kept, "the event log could not be written: nothing may leave without it");
    boost::asio::post(context_, [this, group, through] {
      committing_ = false;
      commit_soon();
      release(std::move(*group), through);
    });
  });
}

void Conductor::release(std::vector<Command> commands, std::uint64_t through) {
  for (Command& command : commands) surroundings_.carry_out(std::move(command));
  surroundings_.settled(through);
}

}  // namespace disagfusion::exec
