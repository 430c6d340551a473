// One number for what the scheduler decided: equal for two runs if and only if (but for a chance of
// 2^-64) every event gave the same actions at the same instant.
#pragma once

#include <cstdint>

#include "base/time.hpp"
#include "scheduler/action.hpp"

namespace disagfusion::scheduler {

namespace decision_hash {

__extension__ using Wide = unsigned __int128;

// Odd numbers without pattern: digits of pi and e, as everybody's.
inline constexpr std::uint64_t kPi = 0x243f6a8885a308d3U;
inline constexpr std::uint64_t kPi2 = 0x13198a2e03707345U;
inline constexpr std::uint64_t kPi3 = 0xa4093822299f31d1U;
inline constexpr std::uint64_t kE = 0xb7e151628aed2a6bU;
inline constexpr std::uint64_t kE2 = 0xbf7158809cf4f3c7U;

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

}  // namespace decision_hash

/// What hash_of() gives for no actions.
inline constexpr std::uint64_t kNoActionsHash = decision_hash::kPi;

/// Hash of the actions of one event: of each the fields that its kind gives a meaning, its members
/// and their inputs, in order. Works on values, so it is the same on every machine. Multiply and
/// fold (128-bit product, both halves xored), the principle of wyhash; not for keys that an enemy
/// chooses. No actions at all hash to a constant. The log keeps this number: it never changes its
/// meaning within one log version.
std::uint64_t hash_of(const ActionBuffer& actions);

/// The hash of a decision stream after one more event. A stream starts at 0; events count 1, 2, ...
inline std::uint64_t fold_decisions(std::uint64_t stream, TimePoint now, std::uint64_t event_number,
                                    std::uint64_t actions_hash) {
  using namespace decision_hash;
  const std::uint64_t when = mix(static_cast<std::uint64_t>(now.ns) ^ kPi, event_number ^ kE);
  return mix(stream ^ when ^ kPi2, actions_hash ^ kE2);
}

}  // namespace disagfusion::scheduler
