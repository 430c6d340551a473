// What names in a file can refer to, and the checks that they do.
#pragma once

#include <string>
#include <vector>

#include "base/config_reader.hpp"
#include "base/hardware_reader.hpp"
#include "base/scenario.hpp"
#include "base/stage_names.hpp"

namespace disagfusion {

/// Models, stages and GPU types of the file being read. Where a model could not be read, names of
/// models and stages are not judged: one mistake, one message.
class KnownNames {
 public:
  KnownNames(const std::vector<ModelSpec>& models, bool complete, HardwareReader& hardware)
      : models_(models), stages_(models), complete_(complete), hardware_(hardware) {}

  [[nodiscard]] const std::vector<ModelSpec>& models() const { return models_; }
  [[nodiscard]] const StageNames& stages() const { return stages_; }
  [[nodiscard]] bool complete() const { return complete_; }

  /// Each optional key's value, checked to exist; a Problem else.
  std::optional<std::string> model_key(MapReader& map, const std::string& key = "model");
  /// A bare stage name; with `model`, one of that model's.
  std::optional<std::string> stage_key(MapReader& map, const std::optional<std::string>& model);
  std::optional<std::string> gpu_key(MapReader& map);
  /// A stage as `stage` or `model/stage`; an empty list (and a Problem, if judged) where unknown.
  std::vector<NodeId> resolve(const std::string& text, const Place& place,
                              Problems& problems) const;
  /// True where the GPU type exists; its numbers are then loaded.
  bool require_gpu(const std::string& name, const Place& place) {
    return hardware_.require(name, place);
  }

 private:
  const std::vector<ModelSpec>& models_;
  StageNames stages_;
  bool complete_;
  HardwareReader& hardware_;
};

}  // namespace disagfusion
