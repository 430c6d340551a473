// The event log as the journal of a controller: group commit on a thread of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/time.hpp"
#include "exec/protocol/messages.hpp"
#include "scheduler/session.hpp"

namespace disagfusion::exec {

/// A container of the log that can be told to make durable what it was given. Used by one thread at
/// a time.
class DurableSink {
 public:
  virtual ~DurableSink() = default;
  virtual void record(TimePoint now, const scheduler::Event& event, std::uint64_t actions_hash) = 0;
  /// Returns when everything recorded so far would survive a loss of power. False: the disk failed.
  virtual bool commit() = 0;
};

/// Collects the session's records and commits them group by group. record() and commit() on the
/// owner's thread; the sink is used on the journal's.
class Journal final : public scheduler::EventSink {
 public:
  explicit Journal(std::unique_ptr<DurableSink> sink);
  /// Waits for the commit that is under way.
  ~Journal() override;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void record(TimePoint now, const scheduler::Event& event, std::uint64_t actions_hash) override;
  [[nodiscard]] bool empty() const { return group_.empty(); }
  /// Commits what was recorded since the last call; then calls `done` on the journal's thread with
  /// whether the disk kept it. One commit at a time.
  void commit(std::function<void(bool)> done);

 private:
  struct Record {
    TimePoint now;
    OwnedEvent event;
    std::uint64_t hash = 0;
  };
  struct Thread;
  std::unique_ptr<DurableSink> sink_;
  std::vector<Record> group_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace disagfusion::exec
