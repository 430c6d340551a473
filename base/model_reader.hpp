// `models:` of a scenario: names of shipped models, paths of model files, inline models.
#pragma once

#include <string>
#include <vector>

#include "base/config_reader.hpp"
#include "base/loading.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

/// An inline model or the root of a model file. Checks stage names, predecessors and cycles.
ModelSpec read_model(const ConfigNode& node, Problems& problems);

/// The key `models` of a scenario or question; models that could not be read are left out.
std::vector<ModelSpec> read_models(MapReader& root, Loading& loading);

}  // namespace disagfusion
