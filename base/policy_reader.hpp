// `policy:`: names checked here, own parameters kept for the policies' factories.
#pragma once

#include "base/config_reader.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

PoliciesSpec read_policies(MapReader& root);

/// True where pools may start empty: every elasticity but static.
bool is_elastic(const PoliciesSpec& policy);

}  // namespace disagfusion
