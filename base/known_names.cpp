#include "base/known_names.hpp"

#include <fmt/format.h>

namespace disagfusion {

std::optional<std::string> KnownNames::model_key(MapReader& map, const std::string& key) {
  const auto name = map.optional(key, as_text());
  if (name && complete_ && !stages_.has_model(*name))
    map.wrong(key, "a model of this file", *name, nearest_name(*name, stages_.model_names()));
  return name;
}

std::optional<std::string> KnownNames::stage_key(MapReader& map,
                                                 const std::optional<std::string>& model) {
  const auto name = map.optional("stage", as_text());
  if (!name || !complete_) return name;
  std::vector<std::string> known;
  for (const ModelSpec& spec : models_)
    for (const StageSpec& stage : spec.stages)
      if (!model || *model == spec.name) known.push_back(stage.name);
  for (const std::string& other : known)
    if (other == *name) return name;
  if (model && !stages_.has_model(*model)) return name;
  map.wrong("stage", model ? fmt::format("a stage of {}", *model) : "a stage of some model", *name,
            nearest_name(*name, known));
  return name;
}

std::optional<std::string> KnownNames::gpu_key(MapReader& map) {
  const auto name = map.optional("gpu", as_text());
  if (name) require_gpu(*name, map.place_of("gpu"));
  return name;
}

std::vector<NodeId> KnownNames::resolve(const std::string& text, const Place& place,
                                        Problems& problems) const {
  std::vector<NodeId> nodes = stages_.resolve(text);
  if (nodes.empty() && complete_)
    problems.push_back(problem_at(place, "a stage of some model, as stage or model/stage", text,
                                  nearest_name(text, stages_.known())));
  return nodes;
}

}  // namespace disagfusion
