#include "base/model_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "base/scenario_reader.hpp"
#include "base/spec_fields.hpp"

namespace disagfusion {

namespace {

constexpr std::size_t kMostStages = 64;
constexpr std::size_t kMostModels = 256;
constexpr const char* kListedModel = "a model of configs/models, a path or a map";

const std::vector<std::string> kKindNames{"encoder", "image_encoder", "dit", "decoder", "other"};

StageKind kind_named(const std::string& name) {
  for (std::size_t i = 0; i < kKindNames.size(); ++i)
    if (kKindNames[i] == name) return static_cast<StageKind>(i);
  return StageKind::other;
}

Architecture read_architecture(const ConfigNode& node, Problems& problems) {
  Architecture architecture;
  MapReader map(node, problems);
  visit_architecture(architecture, [&](const char* key, auto& member) {
    using Member = std::remove_reference_t<decltype(member)>;
    if constexpr (std::is_same_v<Member, std::string>) {
      member = map.get(key, as_text(), member);
    } else if constexpr (std::is_same_v<Member, int>) {
      member = map.get(key, as_integer(0, 1'000'000'000), member);
    } else {
      member = map.get(key, as_number(0, 1e9), member);
    }
  });
  map.finish();
  return architecture;
}

/// A stage and the names of its predecessors, not yet resolved.
struct NamedStage {
  StageSpec spec;
  std::vector<std::string> after;
  ConfigNode after_node;
};

NamedStage read_stage(const ConfigNode& node, const std::string& model, Problems& problems) {
  NamedStage stage;
  MapReader map(node, problems, "a stage such as {name: dit, after: [encoder]}");
  stage.spec.place = node.place();
  stage.spec.name = map.required("name", as_name());
  const auto kind = map.optional("kind", as_choice(kKindNames));
  stage.spec.kind = kind_named(kind.value_or(stage.spec.name));
  stage.after_node = map.take("after");
  stage.after = map.get("after", as_list_of(as_name()), {});
  stage.spec.output_bytes = map.optional("output", as_bytes());
  stage.spec.weights = map.get("weights", as_text(), fmt::format("{}/{}", model, stage.spec.name));
  map.finish();
  return stage;
}

/// Positions of predecessors, from their names.
void resolve_after(std::vector<NamedStage>& stages, Problems& problems) {
  std::vector<std::string> names;
  for (const NamedStage& stage : stages) names.push_back(stage.spec.name);
  for (NamedStage& stage : stages) {
    for (std::size_t i = 0; i < stage.after.size(); ++i) {
      const Place place = stage.after_node.at(i).place();
      const auto found = std::find(names.begin(), names.end(), stage.after[i]);
      if (found == names.end()) {
        problems.push_back(problem_at(place, "a stage of this model", stage.after[i],
                                      nearest_name(stage.after[i], names)));
        continue;
      }
      const auto position = static_cast<std::uint16_t>(found - names.begin());
      auto& after = stage.spec.after;
      if (std::find(after.begin(), after.end(), position) != after.end()) {
        problems.push_back(problem_at(place, "each predecessor once", stage.after[i] + " again"));
        continue;
      }
      after.push_back(position);
    }
  }
}

void check_stage_names(const std::vector<NamedStage>& stages, const ConfigNode& list,
                       Problems& problems) {
  for (std::size_t i = 0; i < stages.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (stages[i].spec.name.empty() || stages[i].spec.name != stages[j].spec.name) continue;
      problems.push_back(problem_at(list.at(i).find("name").place(),
                                    "a name that no other stage of this model has",
                                    fmt::format("'{}' again, first at line {}", stages[i].spec.name,
                                                stages[j].spec.place.line)));
      break;
    }
  }
}

/// Removes stages without predecessors until none is left; what remains lies on or behind a cycle.
void check_cycles(const std::vector<StageSpec>& stages, const ConfigNode& list,
                  Problems& problems) {
  std::vector<bool> done(stages.size(), false);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      const auto& after = stages[i].after;
      if (done[i] || !std::all_of(after.begin(), after.end(), [&](auto p) { return done[p]; }))
        continue;
      done[i] = moved = true;
    }
  }
  const auto stuck = std::find(done.begin(), done.end(), false);
  if (stuck == done.end()) return;
  // Walking back over stages that are stuck must come round: that loop is what the message shows.
  std::vector<std::size_t> walk{static_cast<std::size_t>(stuck - done.begin())};
  std::vector<std::size_t>::iterator first;
  do {
    const auto& after = stages[walk.back()].after;
    const std::size_t back =
        *std::find_if(after.begin(), after.end(), [&](auto p) { return !done[p]; });
    walk.push_back(back);
    first = std::find(walk.begin(), walk.end() - 1, back);
  } while (first == walk.end() - 1);
  std::string loop;
  for (auto it = walk.end(); it != first;)
    loop += (loop.empty() ? "" : " -> ") + stages[*--it].name;
  problems.push_back(
      problem_at(list.at(*first).find("after").place(), "stages without a cycle", loop));
}

std::vector<StageSpec> read_stages(MapReader& map, const std::string& model) {
  std::vector<NamedStage> stages;
  Problems& problems = map.problems();
  const ConfigNode list = map.required("stages", as_node("a list of stages"));
  if (!list.valid()) return {};
  if (!list.is_list() || list.size() == 0 || list.size() > kMostStages) {
    map.wrong(
        "stages", fmt::format("a list of 1 to {} stages", kMostStages),
        list.is_list() && list.size() > 0 ? fmt::format("{} stages", list.size()) : list.shown());
    return {};
  }
  const std::size_t before = problems.size();
  for (std::size_t i = 0; i < list.size(); ++i)
    stages.push_back(read_stage(list.at(i), model, problems));
  check_stage_names(stages, list, problems);
  resolve_after(stages, problems);
  std::vector<StageSpec> specs;
  for (NamedStage& stage : stages) specs.push_back(std::move(stage.spec));
  if (problems.size() == before) check_cycles(specs, list, problems);
  for (std::size_t i = 0; i < specs.size(); ++i)
    for (const std::uint16_t p : specs[i].after)
      specs[p].before.push_back(static_cast<std::uint16_t>(i));
  return specs;
}

std::string shipped_path(const std::string& name) {
  return std::string(kShippedPrefix) + "models/" + name + ".yaml";
}

/// A model named where `place` is; names that are none of the shipped ones, as `expected` says, are
/// Problems there.
std::optional<ModelSpec> read_shipped(const std::string& name, const Place& place,
                                      const char* expected, Loading& loading) {
  const std::vector<std::string> known = loading.files.shipped_names("models");
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    loading.problems.push_back(problem_at(place, expected, name, nearest_name(name, known)));
    return std::nullopt;
  }
  const ConfigNode root = loading.read_config(shipped_path(name), place, "a readable model file");
  if (!root.valid()) return std::nullopt;
  ModelSpec model = read_model(root, loading.problems);
  model.shipped = true;
  return model;
}

std::optional<ModelSpec> read_one(const ConfigNode& node, Loading& loading) {
  if (node.is_map()) return read_model(node, loading.problems);
  if (!node.is_text() || node.text().empty()) {
    loading.problems.push_back(problem_at(node.place(), kListedModel, node.shown()));
    return std::nullopt;
  }
  if (!names_a_file(node.text()))
    return read_shipped(node.text(), node.place(), kListedModel, loading);
  const std::string path = resolve_path(node.place().file, node.text());
  const ConfigNode root = loading.read_config(path, node.place(), "a readable model file");
  if (!root.valid()) return std::nullopt;
  return read_model(root, loading.problems);
}

}  // namespace

bool names_a_file(const std::string& text) {
  const auto ends_with = [&](const std::string& end) {
    return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
  };
  return text.find('/') != std::string::npos || ends_with(".yaml") || ends_with(".yml");
}

ModelSpec read_model(const ConfigNode& node, Problems& problems) {
  ModelSpec model;
  MapReader map(node, problems);
  model.place = node.place();
  model.name = map.required("name", as_name());
  model.stages = read_stages(map, model.name);
  model.input_bytes = map.optional("input", as_bytes());
  const ConfigNode architecture = map.take("architecture");
  if (architecture.valid()) model.architecture = read_architecture(architecture, problems);
  map.finish();
  return model;
}

std::vector<ModelSpec> read_models(MapReader& root, Loading& loading) {
  std::vector<ModelSpec> models;
  const ConfigNode list = root.required("models", as_node("a list of models"));
  if (!list.valid()) return models;
  if (!list.is_list() || list.size() == 0 || list.size() > kMostModels) {
    root.wrong(
        "models", fmt::format("a list of 1 to {} models", kMostModels),
        list.is_list() && list.size() > 0 ? fmt::format("{} models", list.size()) : list.shown());
    return models;
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    std::optional<ModelSpec> model = read_one(list.at(i), loading);
    if (!model) continue;
    const auto same = [&](const ModelSpec& other) { return other.name == model->name; };
    const auto twin = std::find_if(models.begin(), models.end(), same);
    if (twin != models.end() && !model->name.empty()) {
      loading.problems.push_back(problem_at(list.at(i).place(), "each model once",
                                            fmt::format("'{}' again", model->name)));
      continue;
    }
    models.push_back(std::move(*model));
  }
  return models;
}

Result<ModelSpec> load_shipped_model(const std::string& name, FileSource& files) {
  Loading loading(files);
  auto model = read_shipped(name, Place{"", "model", 0, 0},
                            "a model of configs/models or the path of a model file", loading);
  if (!loading.problems.empty()) return fail(loading.sorted_problems());
  return *model;
}

Result<ModelSpec> load_model(const std::string& name_or_path, FileSource& files) {
  if (!names_a_file(name_or_path)) return load_shipped_model(name_or_path, files);
  Loading loading(files);
  const Place place{"", "model", 0, 0};
  const ConfigNode root = loading.read_config(name_or_path, place, "a readable model file");
  ModelSpec model;
  if (root.valid()) model = read_model(root, loading.problems);
  if (!loading.problems.empty()) return fail(loading.sorted_problems());
  return model;
}

}  // namespace disagfusion
