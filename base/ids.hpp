// Strong identifiers: an instance can never be passed where a stage is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace disagfusion {

/// An integer with a tag. `none()` is the identifier of nothing.
template <class Tag, class Rep = std::uint32_t>
struct Id {
  Rep value = std::numeric_limits<Rep>::max();

  constexpr Id() = default;
  constexpr explicit Id(Rep v) : value(v) {}
  constexpr auto operator<=>(const Id&) const = default;
  static constexpr Id none() { return {}; }
  [[nodiscard]] constexpr bool valid() const { return *this != none(); }
  /// For subscripts of dense arrays.
  [[nodiscard]] constexpr std::size_t index() const { return static_cast<std::size_t>(value); }
};

using ModelId = Id<struct ModelTag, std::uint16_t>;  ///< dense, order of the scenario
using NodeId = Id<struct NodeTag, std::uint16_t>;  ///< a stage of one model, dense over all models
using WeightsId =
    Id<struct WeightsTag, std::uint16_t>;  ///< a stage as its weights; models may share it
using GpuTypeId = Id<struct GpuTypeTag, std::uint16_t>;  ///< dense, order of the fleet
using PoolId = Id<struct PoolTag, std::uint16_t>;        ///< dense, order of the fleet
using MachineId = Id<struct MachineTag, std::uint32_t>;  ///< a node of the fleet (host)
/// 1, 2, ... in pool order; 0 is the controller.
using InstanceId = Id<struct InstanceTag, std::uint32_t>;
inline constexpr InstanceId kController{0};

}  // namespace disagfusion
