#include "scheduler/log/verify.hpp"

#include <fmt/format.h>

#include <ostream>
#include <utility>

#include "base/scenario_reader.hpp"
#include "predictor/belief.hpp"
#include "scheduler/decision_hash.hpp"
#include "scheduler/monitor.hpp"
#include "scheduler/scheduler.hpp"
#include "scheduler/text.hpp"

namespace disagfusion::scheduler::log {

std::string Mismatch::text() const {
  std::string out = fmt::format("event {}: {}\n  {}\n", number, what, event);
  if (logged != computed) {
    out +=
        fmt::format("  hash of its actions: logged {:016x}, computed {:016x}\n", logged, computed);
  }
  return out;
}

namespace {

// Session ends the program where the protocol is broken; a log may be anything, so this tells it.
class Replay {
 public:
  Replay(const Setup& setup, std::unique_ptr<Scheduler> scheduler)
      : scheduler_(std::move(scheduler)), monitor_(setup), text_(setup) {}

  /// False at the first mismatch.
  bool take(const Record& record, std::ostream* print) {
    actions_.clear();
    const char* wrong = monitor_.explain(record.now, record.event);
    if (wrong != nullptr)
      return differs(record, fmt::format("the protocol forbids it: {}", wrong), 0);
    scheduler_->on_event(record.now, record.event, actions_);
    if (print != nullptr) {
      *print << text_.block(record.now, record.event, actions_);
    } else {
      text_.remember(actions_);
    }
    const std::uint64_t computed = hash_of(actions_);
    wrong = monitor_.note_actions(record.now, actions_);
    if (wrong != nullptr) {
      return differs(record, fmt::format("the protocol forbids an action: {}", wrong), computed);
    }
    if (computed != record.actions_hash) return differs(record, "the actions differ", computed);
    ++report_.events;
    report_.decision_hash =
        fold_decisions(report_.decision_hash, record.now, report_.events, computed);
    return true;
  }
  VerifyReport& report() { return report_; }

 private:
  bool differs(const Record& record, std::string what, std::uint64_t computed) {
    report_.mismatch = Mismatch{report_.events + 1, text_.event(record.now, record.event),
                                std::move(what), record.actions_hash, computed};
    return false;
  }

  std::unique_ptr<Scheduler> scheduler_;
  ProtocolMonitor monitor_;
  TextWriter text_;
  ActionBuffer actions_;
  VerifyReport report_;
};

}  // namespace

Result<VerifyReport> replay(LogReader& reader, const Setup& setup,
                            std::shared_ptr<const predictor::CostModel> belief,
                            std::ostream* print) {
  auto scheduler = Scheduler::make(setup, std::move(belief));
  if (!scheduler) return fail(std::move(scheduler.error()));
  Replay replay(setup, std::move(*scheduler));
  Record record;
  while (true) {
    const Result<bool> more = reader.next(record);
    if (!more) return fail(more.error());
    if (!*more || !replay.take(record, print)) break;
  }
  return std::move(replay.report());
}

namespace {

/// Reads a log to its end. A replay may only be fed what was written: a scheduler checks its own
/// state, not every field of an event.
Result<void> check_whole(const std::string& path) {
  auto reader = open_log(path);
  if (!reader) return fail(std::move(reader.error()));
  Record record;
  Result<bool> more = true;
  while (more && *more) more = (*reader)->next(record);
  if (!more) return fail(std::move(more.error()));
  return {};
}

}  // namespace

Result<VerifyReport> verify(const std::string& path, std::ostream* print) {
  if (auto whole = check_whole(path); !whole) return fail(std::move(whole.error()));
  auto reader = open_log(path);
  if (!reader) return fail(std::move(reader.error()));
  const LogHeader& header = (*reader)->header();
  auto scenario = load_scenario(header.sources);
  if (!scenario) return fail(std::move(scenario.error()));
  scenario->seed = header.seed;
  const auto setup = make_setup(*scenario, header.live);
  if (!setup) return fail(setup.error());
  auto belief = predictor::make_belief(*scenario, setup->graph, setup->gpu_types);
  if (!belief) return fail(std::move(belief.error()));
  return replay(**reader, *setup, std::move(belief->costs), print);
}

}  // namespace disagfusion::scheduler::log
