#include "base/stage_names.hpp"

#include <algorithm>

namespace disagfusion {

StageNames::StageNames(const std::vector<ModelSpec>& models) {
  for (const ModelSpec& model : models) {
    models_.push_back(model.name);
    for (const StageSpec& stage : model.stages) {
      entries_.push_back({model.name, stage.name});
      const std::string full = model.name + "/" + stage.name;
      names_.push_back(models.size() == 1 ? stage.name : full);
      if (std::find(known_.begin(), known_.end(), stage.name) == known_.end())
        known_.push_back(stage.name);
    }
  }
  for (const Entry& entry : entries_) known_.push_back(entry.model + "/" + entry.stage);
}

std::vector<NodeId> StageNames::resolve(const std::string& text) const {
  const std::size_t slash = text.find('/');
  const bool any_model = slash == std::string::npos;
  const std::string model = any_model ? "" : text.substr(0, slash);
  const std::string stage = any_model ? text : text.substr(slash + 1);
  std::vector<NodeId> nodes;
  for (std::size_t i = 0; i < entries_.size(); ++i)
    if (entries_[i].stage == stage && (any_model || entries_[i].model == model))
      nodes.emplace_back(static_cast<std::uint16_t>(i));
  return nodes;
}

bool StageNames::model_has(const std::string& model, const std::string& text) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& e) { return e.model == model && e.stage == text; });
}

bool StageNames::has_model(const std::string& model) const {
  return std::find(models_.begin(), models_.end(), model) != models_.end();
}

}  // namespace disagfusion
