// `costs:`, `belief:` and `startup:`: lines with match fields and seconds.
#pragma once

#include <vector>

#include "base/config_reader.hpp"
#include "base/known_names.hpp"
#include "base/loading.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

/// The key `costs` (of the root or of `belief`). Two lines with the very same match fields are a
/// Problem that names both; lines that merely overlap are the cost table's to judge.
std::vector<CostLine> read_costs(MapReader& map, KnownNames& known);
/// The text of a profile is read too, and only kept: what it says is the predictor's to judge.
BeliefSpec read_belief(MapReader& root, KnownNames& known, Loading& loading);
std::vector<StartupLine> read_startup(MapReader& root, KnownNames& known);

}  // namespace disagfusion
