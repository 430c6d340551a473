// Transfers over shared links. A transfer's data crosses its sender's egress and its receiver's
// ingress at a max-min fair rate; when the last byte has gone, it is delivered a latency later:
//
//     delivered = start + bytes / rate + latency         (rate constant while nothing overlaps)
//
// Latency is not shared and takes no bandwidth. docs/models/network.md has scope and validation.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.hpp"
#include "sim/kernel/indexed_heap.hpp"
#include "sim/kernel/ring.hpp"
#include "sim/network/max_min.hpp"

namespace disagfusion::sim {

class Network {
 public:
  /// A dense number, used again after delivery or cancellation.
  using TransferId = std::uint32_t;

  /// `sequence` is the simulation's counter: equal instants go in the order of their scheduling.
  explicit Network(std::uint64_t& sequence) : sequence_(sequence) {}

  /// One direction of one link: bytes/s, 0 is infinite.
  std::uint32_t add_resource(double capacity);

  /// Starts a transfer of `bytes` >= 0 at `now`. kNoResource where an end is no bottleneck.
  TransferId start(TimePoint now, std::uint32_t egress, std::uint32_t ingress, double bytes,
                   Duration latency);
  /// Takes back a transfer that is under way.
  void cancel(TimePoint now, TransferId transfer);

  struct Next {
    TimePoint time = TimePoint::never();
    std::uint64_t sequence = 0;
  };
  /// The next change of the network, or never.
  [[nodiscard]] Next next() const;
  /// Carries out the change at next().time; the transfer that it delivered, if any. That number is
  /// free for the next start().
  std::optional<TransferId> advance();

  /// Transfers under way.
  [[nodiscard]] std::size_t active() const { return active_; }
  /// Rate at `now` in bytes/s of a transfer whose data flows; 0 where it does not.
  [[nodiscard]] double rate(TransferId transfer, TimePoint now) const;

 private:
  /// alone: on its links by itself, one event for the delivery. shared: its rate may change; an
  /// event for the last byte. landing: all bytes gone. lane: constant delay, first in first out.
  enum class State : std::uint8_t { free, lane, alone, shared, landing };
  struct Transfer {
    State state = State::free;
    bool cancelled = false;  ///< in the lane: skip it
    std::uint32_t egress = kNoResource, ingress = kNoResource;
    double remaining = 0, rate = 0;  ///< bytes at `updated`; bytes/s
    TimePoint updated, last_byte;
    Duration latency;
    std::uint64_t order = 0;  ///< of starting: breaks ties
    std::uint32_t mark = 0;
  };
  struct LaneItem {
    TimePoint time;
    std::uint64_t sequence = 0;
    TransferId transfer = 0;
  };

  [[nodiscard]] bool finite(std::uint32_t resource) const {
    return resource != kNoResource && capacity_[resource] > 0;
  }
  TransferId take();
  void release(TransferId transfer);
  void deliver_after(TimePoint now, TransferId transfer, Duration delay);
  void purge(std::uint32_t resource, TimePoint now);
  void attach(TransferId transfer);
  void detach(TransferId transfer);
  /// Of a transfer's ends, which are finite or none.
  [[nodiscard]] bool quiet(std::uint32_t resource) const {
    return resource == kNoResource || flows_[resource].empty();
  }
  void start_alone(TimePoint now, TransferId transfer);
  /// Finds all flows that share links with these resources, directly or not, and sets their rates.
  void share(TimePoint now, std::uint32_t egress, std::uint32_t ingress);
  void collect(std::uint32_t resource, TimePoint now);
  void drop_cancelled();

  std::uint64_t& sequence_;
  std::vector<double> capacity_;
  std::vector<std::vector<TransferId>> flows_;  ///< by resource: alone or shared
  std::vector<Transfer> transfers_;
  std::vector<TransferId> free_;
  IndexedHeap heap_;
  Ring<LaneItem> lane_;
  std::size_t active_ = 0;

  MaxMin max_min_;
  std::vector<MaxMin::Flow> component_;  // reused: the flows to share among, ...
  std::vector<TransferId> members_;      // ... and whose they are
  std::vector<std::uint32_t> resource_mark_;
  std::uint32_t mark_ = 0;
};

}  // namespace disagfusion::sim
