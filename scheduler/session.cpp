#include "scheduler/session.hpp"

#include <utility>

#include "base/check.hpp"

namespace disagfusion::scheduler {

Session::Session(const Setup& setup, std::unique_ptr<Scheduler> scheduler)
    : scheduler_(std::move(scheduler)), monitor_(setup), text_(setup) {}

Result<std::unique_ptr<Session>> Session::make(const Setup& setup,
                                               std::shared_ptr<const predictor::CostModel> belief) {
  auto scheduler = Scheduler::make(setup, std::move(belief));
  if (!scheduler) return fail(std::move(scheduler.error()));
  return std::unique_ptr<Session>(new Session(setup, std::move(*scheduler)));
}

void Session::world_broke_protocol(const char* wrong, TimePoint now, const Event& event) {
  DF_CHECK(wrong == nullptr, "the world broke the protocol: {}\n  event {}: {}", wrong, events_ + 1,
           text_.event(now, event));
}

void Session::scheduler_broke_protocol(const char* wrong, TimePoint now, const Event& event,
                                       const ActionBuffer& actions) {
  DF_CHECK(wrong == nullptr,
           "the scheduler broke the protocol: {}\n  action: {}\n  after event {}: {}", wrong,
           text_.action(actions, actions.actions[monitor_.faulty_action()]), events_ + 1,
           text_.block(now, event, actions));
}

void Session::on_event(TimePoint now, const Event& event, ActionBuffer& actions) {
  actions.clear();
  const char* wrong = monitor_.explain(now, event);
  if (wrong != nullptr) [[unlikely]]
    world_broke_protocol(wrong, now, event);
  scheduler_->on_event(now, event, actions);
  std::uint64_t actions_hash = kNoActionsHash;
  if (!actions.actions.empty()) {
    wrong = monitor_.note_actions(now, actions);
    if (wrong != nullptr) [[unlikely]]
      scheduler_broke_protocol(wrong, now, event, actions);
    actions_hash = hash_of(actions);
  }
  ++events_;
  hash_ = fold_decisions(hash_, now, events_, actions_hash);
  if (sink_ != nullptr) sink_->record(now, event, actions_hash);
}

}  // namespace disagfusion::scheduler
