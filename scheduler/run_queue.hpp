// The worker's run queue (design 2): what waits, what computes, which output slots are held. A pure
// class, the same in the simulated instance, the emulated worker and the real one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/append.hpp"
#include "base/check.hpp"
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "scheduler/keys.hpp"

namespace disagfusion::scheduler {

/// The output slots of the stages that one instance hosts. A slot holds the outputs of one batch
/// from the end of its compute until all its transfers have ended. A stage is blocked while more
/// batches' outputs are outstanding than it has slots: with none (sync handoff) from the end of
/// compute on. Nothing is counted where slots are unlimited.
class OutputSlots {
 public:
  /// Forgets everything. `slots` is per stage.
  void host(std::span<const WeightsId> stages, std::uint32_t slots);
  /// A batch of `stage` ended; `transfers` ended transfers free its slot (0: free at once; kTold:
  /// by word).
  void finish(CommandKey enqueue, WeightsId stage, std::uint32_t transfers);
  /// One transfer of this batch's outputs ended. True where a blocked stage became free.
  bool transfer_ended(CommandKey enqueue);
  /// The controller's word: the slot is free. Idempotent. True where a blocked stage became free.
  bool output_sent(CommandKey enqueue);
  [[nodiscard]] bool blocked(WeightsId stage) const { return counting() && over_limit(stage); }
  [[nodiscard]] bool counting() const { return slots_ != kUnlimited; }
  [[nodiscard]] std::size_t outstanding() const { return outputs_.size(); }

 private:
  struct Output {
    CommandKey enqueue;
    WeightsId stage;
    std::uint32_t remaining = 0;
  };
  struct Stage {
    WeightsId weights;
    std::uint32_t outstanding = 0;
  };
  [[nodiscard]] Stage* find(WeightsId stage);
  [[nodiscard]] bool over_limit(WeightsId stage) const;
  bool free(std::size_t position);

  std::uint32_t slots_ = kUnlimited;
  std::vector<Stage> stages_;
  std::vector<Output> outputs_;
};

/// What an instance holds and what it starts next. Whenever compute is free, the owner starts
/// next_to_start(): the first entry whose inputs are all there and whose stage is not blocked. No
/// allocation once warm. Not thread safe.
class RunQueue {
 public:
  /// An input that a transfer still has to bring, and for whom.
  struct Awaited {
    HandleKey handle;
    RequestKey request;
  };
  /// One batch. `members[i].first_input` means nothing here.
  struct alignas(64) Entry {
    CommandKey command;
    WeightsId weights;
    NodeId node;
    std::uint32_t rank = 0;  ///< of the stage among the hosted ones: the first is served first
    std::int64_t order = 0;  ///< among entries of one stage
    std::uint32_t first_step = 0, last_step = 0;
    std::uint32_t output_transfers = 0;
    std::vector<BatchMember> members;
    std::vector<Awaited> awaited;
  };
  enum class Revoked : std::uint8_t { too_late, member, all };

  /// Takes a role: the stages that may be enqueued, the first served first, and output slots per
  /// stage (0: sync handoff). What waited or was outstanding is forgotten.
  void host(std::span<const WeightsId> stages, std::uint32_t output_slots);
  /// No role; refuses every enqueue.
  void unhost() { host({}, kUnlimited); }

  /// Puts the batch of an enqueue action at its place: by stage, then by order, then as they come.
  /// False: this stage is not hosted.
  [[nodiscard]] bool enqueue(const Action& action, const ActionBuffer& buffer);
  /// Adds the members of an extend action; its output_transfers come on top of the batch's. False:
  /// too late, the batch has started or is gone.
  [[nodiscard]] bool extend(const Action& action, const ActionBuffer& buffer);
  /// Takes back a member, or all where `request` is none. `all`: the entry is gone.
  Revoked revoke(CommandKey enqueue, RequestKey request);
  /// A transfer brought this handle. Nothing happens where nobody awaits it (a revoked member).
  void input_arrived(CommandKey enqueue, HandleKey handle);

  /// The entry to start now, or null: compute is busy or nothing may start.
  [[nodiscard]] const Entry* next_to_start() const {
    const std::size_t place = startable();
    return place == kNowhere ? nullptr : &pool_[order_[place]];
  }
  /// Starts next_to_start() and returns it, or null where nothing may start.
  const Entry* start_next() {
    const std::size_t place = startable();
    if (place == kNowhere) return nullptr;
    running_ = order_[place];
    if (order_.size() == 1) {
      order_.clear();
    } else {
      order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(place));
    }
    return &pool_[running_];
  }
  /// The same; something must be free to start.
  const Entry& start() {
    const Entry* started = start_next();
    DF_CHECK(started != nullptr, "nothing may start");
    return *started;
  }
  /// What computes, or null. Valid until finish() or abandon().
  [[nodiscard]] const Entry* running() const {
    return running_ == kNone ? nullptr : &pool_[running_];
  }
  /// Compute of running() ended and left outputs: they take an output slot.
  void finish() {
    DF_CHECK(running_ != kNone, "nothing computes");
    if (outputs_.counting()) {
      const Entry& entry = pool_[running_];
      outputs_.finish(entry.command, entry.weights, entry.output_transfers);
    }
    abandon();
  }
  /// Compute of running() ended without outputs (preempted, failed, dropped).
  void abandon() {
    DF_CHECK(running_ != kNone, "nothing computes");
    append(free_, running_);
    running_ = kNone;
  }

  /// An output transfer of a finished batch ended.
  void output_transfer_ended(CommandKey enqueue) { outputs_.transfer_ended(enqueue); }
  /// The controller's word that a finished batch's output slot is free.
  void output_sent(CommandKey enqueue) { outputs_.output_sent(enqueue); }
  [[nodiscard]] bool counts_outputs() const { return outputs_.counting(); }
  [[nodiscard]] bool blocked(WeightsId stage) const { return outputs_.blocked(stage); }

  void set_draining(bool draining) { draining_ = draining; }
  [[nodiscard]] bool draining() const { return draining_; }
  /// Draining, computing nothing, holding no entry.
  [[nodiscard]] bool drained() const { return draining_ && running_ == kNone && order_.empty(); }

  [[nodiscard]] bool hosts(WeightsId stage) const {
    for (const WeightsId hosted : hosted_) {
      if (hosted == stage) return true;
    }
    return false;
  }
  /// Entries that have not started.
  [[nodiscard]] std::size_t waiting() const { return order_.size(); }
  [[nodiscard]] const Entry& waiting_at(std::size_t place) const { return pool_[order_[place]]; }
  /// The waiting entry of that enqueue, or null.
  [[nodiscard]] const Entry* find(CommandKey enqueue) const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffffU;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  [[nodiscard]] std::size_t place_of(CommandKey enqueue) const;
  [[nodiscard]] std::size_t startable() const {
    if (running_ != kNone) return kNowhere;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const Entry& entry = pool_[order_[i]];
      if (entry.awaited.empty() && !outputs_.blocked(entry.weights)) return i;
    }
    return kNowhere;
  }
  void append_members(Entry& entry, const Action& action, const ActionBuffer& buffer);
  void insert(std::uint32_t index);
  void remove(std::size_t place);
  std::uint32_t take();

  std::vector<WeightsId> hosted_;
  OutputSlots outputs_;
  std::vector<Entry> pool_;  ///< entries keep their vectors' memory when free
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> order_;  ///< positions in pool_, next to start first
  std::uint32_t running_ = kNone;
  bool draining_ = false;
};

}  // namespace disagfusion::scheduler
