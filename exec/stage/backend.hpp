// What computes a stage (design 6): asynchronous, without any tensor type. The worker and the
// in-process executor know stages through this interface alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/scenario.hpp"
#include "base/time.hpp"
#include "exec/stage/buffer.hpp"
#include "scheduler/event.hpp"

namespace disagfusion::exec {

/// A stage by its weights: several models may share it.
struct StageIdentity {
  WeightsId weights;
  std::string weights_name;  ///< StageGraph::weights
  std::string model, stage;  ///< of the first model that uses them
  StageKind kind = StageKind::other;
};

/// What a role needs on the device at once.
struct LoadRequest {
  std::vector<StageIdentity> stages;
  std::string dtype = "bf16";
  std::uint64_t memory_budget = 0;  ///< bytes on the device; 0: not limited
};

struct LoadResult {
  scheduler::Reason reason =
      scheduler::Reason::none;   ///< none: loaded; out_of_memory, bad_input, ...
  std::string message;           ///< why it failed, for people
  std::uint64_t peak_bytes = 0;  ///< of the device
};

/// One request's part of a batch.
struct MemberJob {
  std::shared_ptr<const scheduler::RequestBody> request;  ///< prompt, noise_seed, shape, guidance
  std::uint64_t number = 1;  ///< of the request: 1, 2, ... as they came
  /// By predecessor, in the order of StageNode::after; a source stage gets the request's own input
  /// or nothing. None when resumed: a state holds all that resuming needs.
  std::vector<Buffer> inputs;
  Buffer state;  ///< to resume from; empty: a fresh start (first_step 0)
};

/// Equal shapes, equal step range. `id` is the caller's and unique among what has not ended.
struct BatchJob {
  std::uint64_t id = 0;
  WeightsId weights;
  NodeId node;
  std::uint32_t first_step = 0,
                last_step = 0;     ///< [first, last); a stage without steps ignores them
  std::vector<MemberJob> members;  ///< not empty
};

/// What became of one member.
struct MemberResult {
  enum class Kind : std::uint8_t { output, state, failed };
  Kind kind = Kind::output;
  scheduler::Reason reason =
      scheduler::Reason::none;  ///< failed: compute_error, out_of_memory, bad_input
  std::string message;          ///< failed: for people, no paths
  /// output, or state: host or pinned memory. The output of a stage without successors is
  /// Shape::images pictures, binary PPM ("P6"), one after the other; picture i (0, 1, ...) is the
  /// one whose noise has the seed noise_seed + i.
  Buffer bytes;
  std::uint64_t stands_for = 0;  ///< emulated: the size that the scheduler is told; 0: bytes.size()
};

struct BatchResult {
  std::vector<MemberResult> members;  ///< in the order of the job
  std::uint32_t steps_done = 0;  ///< the next step: last_step, or where a preemption stopped it
  bool preempted = false;        ///< stopped before last_step
  Duration compute;              ///< seconds of computing
};

/// Called on a thread of the backend's choosing, in order, never after `done`, never from inside
/// submit(). Whoever gives them posts to its own thread.
struct BatchCallbacks {
  std::function<void(std::uint32_t steps_done)> step;  ///< after each step; may be empty
  std::function<void(BatchResult)> done;               ///< exactly once for each submit()
};

/// One instance's compute. Calls come from one thread at a time. Nothing blocks: each returns at
/// once and answers by its callback, exactly once. The destructor stops at the next step boundary,
/// waits for its own threads and answers nothing any more.
class StageBackend {
 public:
  virtual ~StageBackend() = default;

  /// Replaces whatever was loaded. Not while a batch computes. After a failure nothing is loaded.
  virtual void load(LoadRequest request, std::function<void(LoadResult)> done) = 0;
  /// Frees the weights. Not while a batch computes.
  virtual void unload(std::function<void()> done) = 0;

  /// Computes one batch. The worker submits one at a time; the members' inputs and states live
  /// until `done`. A failure of one member leaves the others alone where the backend can manage
  /// that.
  virtual void submit(BatchJob job, BatchCallbacks callbacks) = 0;

  /// Asks that batch to stop at its next step boundary: its `done` then says `preempted` and holds
  /// states. No effect on a batch that has ended, ends first or has no steps. `keep_state` false
  /// (cancelled): the states may be empty.
  virtual void preempt(std::uint64_t id, bool keep_state) = 0;
};

/// What a backend is made of, once a process (or once an emulated instance).
struct BackendContext {
  std::vector<StageIdentity> stages;  ///< every stage of the scenario, by WeightsId
  std::string models_dir;             ///< serve.models, resolved; may be empty
  std::uint64_t seed = 0;             ///< the scenario's
  std::string gpu;                    ///< type name
  int threads = 1;                    ///< that compute may use on this host
};

using BackendFactory =
    std::function<Result<std::unique_ptr<StageBackend>>(const BackendContext& context)>;
/// By the name that serve.backend gives. `emulated` is always there; the command line adds `torch`.
using BackendFactories = std::map<std::string, BackendFactory>;

}  // namespace disagfusion::exec
