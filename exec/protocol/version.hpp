// What both ends of a control connection must agree on.
#pragma once

#include <cstdint>

namespace disagfusion::exec {

inline constexpr std::uint32_t kProtocolVersion = 1;

/// Of this program; controller and workers are the same build.
const char* build_version();

}  // namespace disagfusion::exec
