// A Scenario as a scenario file: equal in meaning, with every default written out.
#pragma once

#include <string>

#include "base/scenario.hpp"

namespace disagfusion {

/// The file's text. Loaded again it is the same scenario, except that `sources` and places differ
/// and that shipped models and GPU types are named, everything else written in full. Paths (trace,
/// serve.models, serve.state) are written relative to `folder`, or as they are where it is empty.
std::string write_scenario_yaml(const Scenario& scenario, const std::string& folder = {});

}  // namespace disagfusion
