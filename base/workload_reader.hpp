// `workload:` of a scenario or question.
#pragma once

#include "base/config_reader.hpp"
#include "base/known_names.hpp"
#include "base/scenario.hpp"
#include "base/scenario_reader.hpp"

namespace disagfusion {

/// Reads the key `workload`. `steady`: a question, where requests and duration may both be missing.
WorkloadSpec read_workload(MapReader& root, KnownNames& known, const Overrides& overrides,
                           bool steady);

}  // namespace disagfusion
