// The seams where policies plug in (design 2). A policy decides and returns values; it never
// touches requests or instances. One policy is one file and one line in registry.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "scheduler/costs.hpp"
#include "scheduler/setup.hpp"
#include "scheduler/state/records.hpp"

namespace disagfusion::scheduler {

// ---- admission ---------------------------------------------------------------------------------

struct Admission {
  bool admit = true;
  Why why = Why::none;
  Duration retry_after;
};

struct AdmissionQuestion {
  TimePoint now;
  std::uint64_t unfinished = 0;  ///< admitted requests that have not ended
  std::uint64_t waiting = 0;     ///< of these, not yet started at their first stage
};

class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;
  [[nodiscard]] virtual Admission decide(const AdmissionQuestion& question) const = 0;
};

// ---- queue -------------------------------------------------------------------------------------

class QueuePolicy {
 public:
  virtual ~QueuePolicy() = default;
  /// The order inside a stage's queue: smaller first, ties by request number.
  [[nodiscard]] virtual std::int64_t key(const RequestRecord& request,
                                         const StageRecord& stage) const = 0;
};

// ---- routing -----------------------------------------------------------------------------------

/// What an instance can take of one stage it hosts.
struct Acceptance {
  bool accepts = false;
  bool idle = false;  ///< computes nothing, queues nothing: preferred to any slot
  std::uint32_t free_slots = 0;
  TimePoint available_at;     ///< predicted end of everything it has
  std::uint32_t waiting = 0;  ///< push: bound to it beyond its free slots
};

struct RoutingQuestion {
  TimePoint now;
  NodeId node;
  std::uint32_t shape = 0, first_step = 0, last_step = 0;
  Duration transfer;  ///< predicted seconds until the inputs would be there
};

struct Choice {
  InstanceId instance{0};  ///< 0: nobody accepts
  bool idle = false;
};

/// Keeps its own index of who accepts what, so that choosing costs far less than a scan.
class RoutingPolicy {
 public:
  virtual ~RoutingPolicy() = default;
  /// `instances`: who hosts the stage now, ascending. Everything known about the stage is
  /// forgotten.
  virtual void set_hosts(WeightsId stage, const std::vector<InstanceId>& instances,
                         const std::vector<CostClass>& classes) = 0;
  virtual void update(WeightsId stage, InstanceId instance, const Acceptance& acceptance) = 0;
  virtual Choice choose(WeightsId stage, const RoutingQuestion& question, Costs& costs) const = 0;
};

// ---- batching ----------------------------------------------------------------------------------

class BatchingPolicy {
 public:
  virtual ~BatchingPolicy() = default;
  /// Most requests in a batch where a role allows `limit`.
  [[nodiscard]] virtual std::uint32_t largest(std::uint32_t limit) const = 0;
  /// How long the first request of a batch that is not full waits for others.
  [[nodiscard]] virtual Duration wait() const = 0;
};

// ---- preemption --------------------------------------------------------------------------------

struct RunningBatch {
  std::uint32_t batch = kNoSlot;
  TimePoint earliest_deadline;  ///< of its live members
  Duration remaining;           ///< predicted
  std::uint32_t steps = 1;
};

class PreemptionPolicy {
 public:
  virtual ~PreemptionPolicy() = default;
  [[nodiscard]] virtual bool enabled() const = 0;
  /// Which of the running batches yields to the waiting request, or kNoSlot.
  [[nodiscard]] virtual std::uint32_t victim(const RequestRecord& waiting, TimePoint now,
                                             const std::vector<RunningBatch>& running) const = 0;
};

// ---- elasticity --------------------------------------------------------------------------------

/// Moves one instance: from a role to another, from nothing (provision), to nothing (stop).
struct Move {
  InstanceId instance{0};  ///< 0: the victim rule of the scheduler chooses
  PoolId from, to;         ///< none: nothing
  std::string why;
};

struct RoleView {
  std::uint32_t ready = 0;   ///< ready instances
  std::uint32_t coming = 0;  ///< provisioning, loading, or draining towards this role
  std::uint32_t leaving = 0;
};

struct FleetView {
  TimePoint now;
  const Setup* setup = nullptr;
  const std::vector<RoleView>* roles = nullptr;            ///< by PoolId
  const std::vector<std::uint32_t>* spare_gpus = nullptr;  ///< by GpuTypeId
  const std::vector<std::uint64_t>* unfinished =
      nullptr;                                          ///< [shape x nodes + node]: stages not done
  const std::vector<std::uint64_t>* arrived = nullptr;  ///< same subscripts: stages ever asked for
  Costs* costs = nullptr;
};

class ElasticityPolicy {
 public:
  virtual ~ElasticityPolicy() = default;
  /// Fills `moves` and returns when it wants to be asked again (never() for not).
  virtual TimePoint decide(const FleetView& view, std::vector<Move>& moves) = 0;
  [[nodiscard]] virtual TimePoint first_wake() const = 0;
};

// ---- registry ----------------------------------------------------------------------------------

struct Policies {
  std::unique_ptr<AdmissionPolicy> admission;
  std::unique_ptr<QueuePolicy> queue;
  std::unique_ptr<RoutingPolicy> routing;
  std::unique_ptr<BatchingPolicy> batching;
  std::unique_ptr<PreemptionPolicy> preemption;
  std::unique_ptr<ElasticityPolicy> elasticity;
};

/// Makes every policy of `setup.policies` from its parameters. Problems: unknown or bad parameters.
Result<Policies> make_policies(const Setup& setup);

}  // namespace disagfusion::scheduler
