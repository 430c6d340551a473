#include "exec/protocol/version.hpp"

namespace disagfusion::exec {

const char* build_version() { return DISAGFUSION_VERSION; }

}  // namespace disagfusion::exec
