// Stages as files name them: `stage` (of every model that has it) or `model/stage`.
#pragma once

#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

/// Resolves names over all models. Keeps a copy of what it needs.
class StageNames {
 public:
  explicit StageNames(const std::vector<ModelSpec>& models);

  /// Empty where no model has such a stage.
  [[nodiscard]] std::vector<NodeId> resolve(const std::string& text) const;
  /// The same among one model's stages, `text` being a bare stage name.
  [[nodiscard]] bool model_has(const std::string& model, const std::string& text) const;
  [[nodiscard]] bool has_model(const std::string& model) const;
  /// Every name that resolves, bare ones first: for nearest names.
  [[nodiscard]] const std::vector<std::string>& known() const { return known_; }
  [[nodiscard]] const std::vector<std::string>& model_names() const { return models_; }
  /// "model/stage", or "stage" where there is one model.
  [[nodiscard]] const std::string& name(NodeId node) const { return names_[node.index()]; }
  [[nodiscard]] std::size_t size() const { return names_.size(); }

 private:
  struct Entry {
    std::string model, stage;
  };
  std::vector<Entry> entries_;  ///< by NodeId
  std::vector<std::string> known_, models_, names_;
};

}  // namespace disagfusion
