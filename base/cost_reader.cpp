#include "base/cost_reader.hpp"

#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>

#include "base/fleet_reader.hpp"
#include "base/scenario_reader.hpp"

namespace disagfusion {

namespace {

constexpr std::uint64_t kMostSteps = 10'000;

const std::vector<std::string> kDistributionNames{"constant", "exponential", "lognormal", "gamma"};

auto match_fields(const CostLine& line) {
  return std::tie(line.model, line.stage, line.gpu, line.dtype, line.width, line.height,
                  line.frames, line.steps, line.batch, line.degree);
}

void read_match(MapReader& map, KnownNames& known, CostLine& line) {
  line.model = known.model_key(map);
  line.stage = known.stage_key(map, line.model);
  line.gpu = known.gpu_key(map);
  line.dtype = map.optional("dtype", as_choice(dtype_names()));
  line.width = map.optional("width", as_count(1));
  line.height = map.optional("height", as_count(1));
  line.frames = map.optional("frames", as_count(1));
  line.steps = map.optional("steps", as_count(1, kMostSteps));
  line.batch = map.optional("batch", as_count(1));
  line.degree = map.optional("degree", as_count(1));
}

/// Either `seconds`, or `fixed` and `per_step` (one may be left out).
void read_seconds(MapReader& map, CostLine& line) {
  line.seconds = map.optional("seconds", as_seconds());
  line.fixed = map.get("fixed", as_seconds(), 0.0);
  line.per_step = map.get("per_step", as_seconds(), 0.0);
  const char* parts = map.has("fixed") ? "fixed" : map.has("per_step") ? "per_step" : nullptr;
  if (map.has("seconds") && parts != nullptr) {
    map.wrong(parts, "seconds, or fixed and per_step", "both");
  } else if (!map.has("seconds") && parts == nullptr && map.is_map()) {
    map.missing("seconds", "seconds, or fixed and per_step");
  }
}

void read_distribution(MapReader& map, CostLine& line) {
  const auto name = map.optional("distribution", as_choice(kDistributionNames));
  for (std::size_t i = 0; i < kDistributionNames.size(); ++i)
    if (name == kDistributionNames[i]) line.distribution = static_cast<Distribution>(i);
  const bool wants_cv =
      line.distribution == Distribution::lognormal || line.distribution == Distribution::gamma;
  if (wants_cv) {
    line.cv = map.required("cv", as_positive_number(1000));
  } else if (map.take("cv").valid() && (name || !map.has("distribution"))) {
    map.wrong("cv", "no cv (only lognormal and gamma have one)", map.take("cv").shown());
  }
}

CostLine read_cost_line(const ConfigNode& node, KnownNames& known, Problems& problems) {
  CostLine line;
  MapReader map(node, problems, "a map such as {stage: dit, gpu: A10, seconds: 74.2}");
  line.place = node.place();
  read_match(map, known, line);
  read_seconds(map, line);
  read_distribution(map, line);
  map.finish();
  return line;
}

void check_twins(const std::vector<CostLine>& lines, Problems& problems) {
  std::map<std::string, int> seen;
  for (const CostLine& line : lines) {
    std::string key;
    std::apply(
        [&](const auto&... field) {
          ((key += field ? fmt::format("{}|", *field) : std::string("*|")), ...);
        },
        match_fields(line));
    const auto [entry, fresh] = seen.try_emplace(key, line.place.line);
    if (!fresh)
      problems.push_back(problem_at(line.place, "match fields that no other line has",
                                    fmt::format("those of line {} again", entry->second)));
  }
}

void read_error(const ConfigNode& node, KnownNames& known, BeliefSpec& belief, Problems& problems) {
  MapReader map(node, problems, "a map such as {bias: {dit: 1.5}, cv: 0.1}");
  const ConfigNode bias = map.take("bias");
  if (bias.valid() && !bias.is_map())
    map.wrong("bias", "a map of stages and factors such as {dit: 1.5}", bias.shown());
  for (std::size_t i = 0; i < bias.size() && bias.is_map(); ++i) {
    known.resolve(bias.key(i), bias.key_place(i), problems);
    const auto factor = as_positive_number(1e6).read(bias.at(i), problems);
    if (factor) belief.bias[bias.key(i)] = *factor;
  }
  belief.error_cv = map.get("cv", as_number(0, 100), 0.0);
  map.finish();
}

StartupLine read_startup_line(const ConfigNode& node, KnownNames& known, bool with_match,
                              Problems& problems) {
  StartupLine line;
  MapReader map(node, problems, "a map such as {provision: 60 s, load: 90 s}");
  line.place = node.place();
  if (with_match) {
    line.model = known.model_key(map);
    line.stage = known.stage_key(map, line.model);
    line.gpu = known.gpu_key(map);
    map.unsupported("from");
  }
  line.provision = map.optional("provision", as_duration());
  line.load = map.optional("load", as_duration());
  if (map.is_map() && !map.has("provision") && !map.has("load"))
    problems.push_back(problem_at(node.place(), "provision, load or both", "neither"));
  map.finish();
  return line;
}

void check_startup_twins(const std::vector<StartupLine>& lines, Problems& problems) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const auto fields = [](const StartupLine& l) { return std::tie(l.model, l.stage, l.gpu); };
      if (fields(lines[i]) != fields(lines[j])) continue;
      problems.push_back(problem_at(lines[i].place, "match fields that no other line has",
                                    fmt::format("those of line {} again", lines[j].place.line)));
      break;
    }
  }
}

}  // namespace

int CostLine::specificity() const {
  return std::apply(
      [](const auto&... field) { return (static_cast<int>(field.has_value()) + ...); },
      match_fields(*this));
}

std::vector<CostLine> read_costs(MapReader& map, KnownNames& known) {
  std::vector<CostLine> lines;
  const ConfigNode list = map.take("costs");
  if (!list.valid()) return lines;
  if (!list.is_list()) {
    map.wrong("costs", "a list of cost lines", list.shown());
    return lines;
  }
  const std::size_t before = map.problems().size();
  for (std::size_t i = 0; i < list.size(); ++i)
    lines.push_back(read_cost_line(list.at(i), known, map.problems()));
  if (map.problems().size() == before) check_twins(lines, map.problems());
  return lines;
}

namespace {

/// A shipped profile by its name, or a file.
void read_profile_of(MapReader& map, Loading& loading, BeliefSpec& belief) {
  const std::string name = map.required("profile", as_text("a profile: a path or a shipped name"));
  if (name.empty()) return;
  const Place place = map.place_of("profile");
  const std::string path = names_a_file(name)
                               ? resolve_path(place.file, name)
                               : std::string(kShippedPrefix) + "profiles/" + name + ".yaml";
  if (!loading.read_config(path, place, "a readable profile").valid()) return;
  belief.source = BeliefSpec::Source::profile;
  belief.profile = path;
}

}  // namespace

BeliefSpec read_belief(MapReader& root, KnownNames& known, Loading& loading) {
  BeliefSpec belief;
  const ConfigNode node = root.take("belief");
  if (!node.valid()) return belief;
  MapReader map(node, root.problems(), "a map such as {learning: on}");
  belief.place = node.place();
  if (map.has("profile") && map.has("costs")) {
    map.take("profile");
    map.wrong("costs", "profile or costs", "both");
  } else if (map.has("profile")) {
    read_profile_of(map, loading, belief);
  }
  if (map.has("costs")) belief.source = BeliefSpec::Source::costs;
  belief.costs = read_costs(map, known);
  const ConfigNode error = map.take("error");
  if (error.valid()) read_error(error, known, belief, root.problems());
  belief.learning = map.optional("learning", as_on_off());
  map.finish();
  return belief;
}

std::vector<StartupLine> read_startup(MapReader& root, KnownNames& known) {
  std::vector<StartupLine> lines;
  const ConfigNode node = root.take("startup");
  if (!node.valid()) return lines;
  if (!node.is_list()) {
    lines.push_back(read_startup_line(node, known, false, root.problems()));
    return lines;
  }
  const std::size_t before = root.problems().size();
  for (std::size_t i = 0; i < node.size(); ++i)
    lines.push_back(read_startup_line(node.at(i), known, true, root.problems()));
  if (root.problems().size() == before) check_startup_twins(lines, root.problems());
  return lines;
}

}  // namespace disagfusion
