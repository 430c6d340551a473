#include "exec/controller/ledger.hpp"

#include "base/check.hpp"

namespace disagfusion::exec {

using scheduler::ActionKind;
using scheduler::EventKind;

void Ledger::decided(TimePoint now, const scheduler::Event& event,
                     const scheduler::ActionBuffer& actions, bool replaying) {
  if (event.kind == EventKind::request_arrived) arrive(now, event, replaying);
  for (const scheduler::Action& action : actions.actions) {
    if (action.kind == ActionKind::reject || action.kind == ActionKind::end_request) {
      note_end(now, action);
    }
    if (replaying) publish(action);
  }
}

void Ledger::arrive(TimePoint now, const scheduler::Event& event, bool replaying) {
  DF_CHECK_EQ(event.number, accounts_.size() + 1);
  if (replaying) {
    slots_.retake(event.request.slot);
    given_ = event.number;
  }
  Account& account = accounts_.emplace_back();
  account.number = event.number;
  account.key = event.request;
  account.body = std::make_shared<scheduler::RequestBody>(*event.body);
  account.arrived = now;
  numbers_[account.body->id] = event.number;
}

void Ledger::note_end(TimePoint now, const scheduler::Action& action) {
  Account* account = find(action.request);
  DF_CHECK(account != nullptr);
  account->end = action.state;
  account->why = action.why;
  account->ended_at = now;
  if (action.kind == ActionKind::reject) account->retry_after = Duration{action.at.ns};
  slots_.give_back(action.request.slot);
}

void Ledger::note_row(scheduler::RequestKey key, const traces::RequestRow& row) {
  Account* account = find(key);
  DF_CHECK(account != nullptr);
  account->row = row;
}

void Ledger::publish(const scheduler::Action& action) {
  const bool ends = action.kind == ActionKind::reject || action.kind == ActionKind::end_request;
  if (!ends && action.kind != ActionKind::admit) return;
  Account* account = find(action.request);
  DF_CHECK(account != nullptr);
  account->state = ends ? Account::State::ended : Account::State::admitted;
  if (!ends) return;
  for (const auto& done : std::exchange(account->waiting, {})) done();
}

const Account* Ledger::find(const std::string& id) const {
  const auto found = numbers_.find(id);
  return found == numbers_.end() ? nullptr : &accounts_[found->second - 1];
}

Account* Ledger::find(scheduler::RequestKey key) { return by_number(key.generation); }

Account* Ledger::by_number(std::uint64_t number) {
  return number == 0 || number > accounts_.size() ? nullptr : &accounts_[number - 1];
}

void Ledger::wait(std::uint64_t number, std::function<void()> done) {
  Account* account = by_number(number);
  DF_CHECK(account != nullptr);
  if (account->state == Account::State::ended) {
    done();
  } else {
    account->waiting.push_back(std::move(done));
  }
}

scheduler::RequestKey Ledger::next_key() {
  return {slots_.take(), static_cast<std::uint32_t>(++given_)};
}

}  // namespace disagfusion::exec
