// One instance as commands and events: run queue, handles, transfers and a backend. The same in a
// worker process and in the in-process executor; what differs is how bytes come and where events
// go.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "exec/protocol/messages.hpp"
#include "exec/stage/backend.hpp"
#include "exec/worker/handle_store.hpp"
#include "exec/worker/puller.hpp"
#include "scheduler/run_queue.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::exec {

/// Everything runs on one executor of one thread; the backend's callbacks are brought there. Events
/// are told in the order in which they happened, from inside take() or later. Kept by shared
/// pointer: a callback that comes after the end finds nobody.
class Instance : public std::enable_shared_from_this<Instance> {
 public:
  using Tell = std::function<void(OwnedEvent)>;

  /// `setup`, `stages`, `puller` and `handles` must outlive it.
  Instance(boost::asio::any_io_executor executor, const scheduler::Setup& setup,
           const std::vector<StageIdentity>& stages, scheduler::InstanceKey key,
           std::unique_ptr<StageBackend> backend, Puller& puller, HandleStore& handles, Tell tell);

  /// Carries out one command addressed to it, or a note (output_sent, undrain).
  void take(Command command);
  /// Loads a role that no command asked for: the initial fleet, and a replacement.
  void load(PoolId role) { load(role, {}); }
  /// Has the role at once, without loading: an emulated fleet that is ready at 0.
  void host(PoolId role) { host(role, {}); }
  /// A pull of this handle was served to its end.
  void served(scheduler::HandleKey handle);

  [[nodiscard]] scheduler::InstanceKey key() const { return key_; }
  [[nodiscard]] OwnedInventory inventory() const;
  /// It has carried out `stop`.
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  /// A batch from its enqueue until its compute has ended.
  struct Batch {
    std::vector<CommandMember> members;
    std::map<scheduler::HandleKey, Buffer> arrived;
  };

  void enqueue(const Command& command);
  void extend(const Command& command);
  void revoke(const Command& command);
  void preempt(const Command& command);
  void transfer(const Command& command);
  void transfer_ended(const scheduler::Action& action, std::optional<Buffer> bytes);
  void cancel_transfer(const Command& command);
  void release(const Command& command);
  void load(PoolId role, scheduler::CommandKey command);
  void loaded(PoolId role, scheduler::CommandKey command, const LoadResult& result);
  void host(PoolId role, scheduler::CommandKey command);
  void unload(const Command& command);
  void drain(const Command& command);
  void answer_drain();
  void stop(const Command& command);

  /// Starts the next batch where compute is free. Its key, or none.
  scheduler::CommandKey start_next();
  /// Starts what became startable without another event, and tells it.
  void start_and_tell();
  [[nodiscard]] BatchJob job_of(const scheduler::RunQueue::Entry& entry) const;
  [[nodiscard]] MemberJob job_of(const CommandMember& member, const Batch& batch) const;
  void computed(std::uint64_t id, BatchResult result);
  [[nodiscard]] scheduler::MemberOutcome keep(const scheduler::BatchMember& member,
                                              MemberResult result, scheduler::CommandKey enqueue);
  void forget(scheduler::CommandKey enqueue) { batches_.erase(enqueue.id); }

  [[nodiscard]] OwnedEvent event(scheduler::EventKind kind, scheduler::CommandKey command) const;
  void tell(scheduler::EventKind kind, scheduler::CommandKey command);

  boost::asio::any_io_executor executor_;
  const scheduler::Setup& setup_;
  const std::vector<StageIdentity>& stages_;
  scheduler::InstanceKey key_;
  std::unique_ptr<StageBackend> backend_;
  Puller& puller_;
  HandleStore& handles_;
  Tell tell_;

  scheduler::RunQueue queue_;
  std::unordered_map<std::uint64_t, Batch> batches_;                   ///< by enqueue
  std::map<std::uint64_t, scheduler::CommandKey> transfers_;           ///< under way
  std::map<scheduler::RequestKey, scheduler::HandleKey> keep_states_;  ///< of the running batch
  scheduler::CommandKey drain_;                                        ///< open, or none
  std::vector<WeightsId> loaded_;
  scheduler::ActionBuffer buffer_;  ///< reused for the run queue
  bool stopped_ = false;
};

}  // namespace disagfusion::exec
