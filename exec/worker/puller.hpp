// How bytes come from whoever holds them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "exec/stage/buffer.hpp"
#include "scheduler/keys.hpp"

namespace disagfusion::exec {

struct PullSource {
  scheduler::InstanceKey holder;
  scheduler::HandleKey handle;
  std::uint16_t port = 0;   ///< where the holder serves pulls; unused in one process
  std::uint64_t bytes = 0;  ///< expected
};

/// One thread only.
class Puller {
 public:
  virtual ~Puller() = default;
  /// Fetches a copy. `done` is called once, never from inside pull(): with the bytes, or with
  /// nothing where the holder is gone, does not hold it or the link broke. `id` is the transfer's.
  virtual void pull(std::uint64_t id, const PullSource& source,
                    std::function<void(std::optional<Buffer>)> done) = 0;
  /// True: it was under way, has ended now and its `done` is not called any more.
  virtual bool cancel(std::uint64_t id) = 0;
};

}  // namespace disagfusion::exec
