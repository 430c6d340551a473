// Identities that cross the border between scheduler and world. A key is a dense slot for look-up
// plus a generation or number that tells a past user of the slot from the present one.
#pragma once

#include <compare>
#include <cstdint>

#include "base/ids.hpp"

namespace disagfusion::scheduler {

/// A request. The driver chooses the slot (any that no unfinished request holds) and numbers
/// requests 1, 2, ...; `generation` is the low 32 bits of the number. The slot is the driver's
/// again after the reject or end_request action.
struct RequestKey {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  ///< 0: no request
  auto operator<=>(const RequestKey&) const = default;
  [[nodiscard]] bool valid() const { return generation != 0; }
};

/// A command. `id` = epoch << 40 | sequence, unique for ever; `slot` is the scheduler's, echoed
/// back.
struct CommandKey {
  std::uint64_t id = 0;  ///< 0: no command
  std::uint32_t slot = 0;
  auto operator<=>(const CommandKey&) const = default;
  [[nodiscard]] bool valid() const { return id != 0; }
  [[nodiscard]] std::uint32_t epoch() const { return static_cast<std::uint32_t>(id >> 40U); }
  [[nodiscard]] std::uint64_t sequence() const { return id & ((std::uint64_t{1} << 40U) - 1); }
};

/// A stage output, a preempted state or a request's input, wherever it is held.
struct HandleKey {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  ///< 0: no handle
  auto operator<=>(const HandleKey&) const = default;
  [[nodiscard]] bool valid() const { return generation != 0; }
};

/// One life of an instance. Incarnations start at 1; whatever names an older one is stale.
struct InstanceKey {
  InstanceId id{0};
  std::uint32_t incarnation = 0;
  auto operator<=>(const InstanceKey&) const = default;
};

}  // namespace disagfusion::scheduler
