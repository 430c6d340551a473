#include "base/workload_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/loading.hpp"

namespace disagfusion {

namespace {

constexpr std::uint32_t kLargestSide = 65'536;
constexpr std::uint64_t kMostRequests = 1'000'000'000'000;

ArrivalsSpec read_arrivals(const ConfigNode& node, Problems& problems) {
  ArrivalsSpec arrivals;
  MapReader map(node, problems, "a map such as {process: poisson, rate: 0.065 /s}");
  const std::vector<std::string> names{"poisson", "gamma", "deterministic", "burst"};
  const std::string process = map.required("process", as_choice(names, {"mmpp", "diurnal"}));
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == process) arrivals.process = static_cast<ArrivalsSpec::Process>(i);
  const bool burst = process == "burst";
  if (process.empty()) {  // reported already: what it would need is unknown, not its form
    map.optional("rate", as_rate());
    map.optional("cv", as_positive_number(1000));
  } else if (!burst) {
    arrivals.rate_per_s = map.required("rate", as_rate());
  } else if (map.take("rate").valid()) {
    map.wrong("rate", "no rate (a burst arrives all at 0)", map.take("rate").shown());
  }
  if (process == "gamma") {
    arrivals.cv = map.required("cv", as_positive_number(1000));
  } else if (!process.empty() && map.take("cv").valid()) {
    map.wrong("cv", "no cv (only process gamma has one)", map.take("cv").shown());
  }
  map.finish();
  return arrivals;
}

/// What a request of this model is where nothing else is said.
Shape default_shape(const ModelSpec& model) {
  Shape shape;
  if (!model.architecture) return shape;
  const auto at_least = [](int least, int value) {
    return static_cast<std::uint32_t>(std::max(least, value));
  };
  shape.width = at_least(0, model.architecture->default_width);
  shape.height = at_least(0, model.architecture->default_height);
  shape.frames = at_least(1, model.architecture->default_frames);
  shape.steps = at_least(1, model.architecture->default_steps);
  return shape;
}

Shape read_shape(MapReader& map, Shape shape) {
  const auto width = map.optional("width", as_count(1, kLargestSide));
  const auto height = map.optional("height", as_count(1, kLargestSide));
  if (map.has("width") != map.has("height"))
    map.missing(map.has("width") ? "height" : "width", "width and height together");
  shape.width = width.value_or(shape.width);
  shape.height = height.value_or(shape.height);
  shape.frames = map.get("frames", as_count(1, 100'000), shape.frames);
  shape.steps = map.get("steps", as_count(1, 10'000), shape.steps);
  shape.images = map.get("images", as_count(1, 1000), shape.images);
  return shape;
}

/// The model of a mix entry; none() (with a Problem) where it is unknown or cannot be left out.
ModelId read_mix_model(MapReader& map, KnownNames& known) {
  const std::vector<ModelSpec>& models = known.models();
  const auto name = known.model_key(map);
  if (!map.has("model")) {
    if (models.size() == 1) return ModelId(0);
    if (models.size() > 1) map.missing("model", "a model (there are several)");
  }
  for (std::size_t i = 0; i < models.size(); ++i)
    if (name == models[i].name) return ModelId(static_cast<std::uint16_t>(i));
  return ModelId::none();
}

MixEntry read_mix_entry(const ConfigNode& node, KnownNames& known, Problems& problems) {
  MixEntry entry;
  MapReader map(node, problems, "a map such as {weight: 1, model: NAME, steps: 4}");
  entry.place = node.place();
  entry.weight = map.get("weight", as_number(0, 1e9), 1.0);
  entry.model = read_mix_model(map, known);
  const Shape shape =
      entry.model.valid() ? default_shape(known.models()[entry.model.index()]) : Shape{};
  entry.shape = read_shape(map, shape);
  entry.priority = map.get("priority", as_integer(-1'000'000, 1'000'000), 0);
  entry.deadline = map.optional("deadline", as_positive_duration());
  entry.guidance = map.get("guidance", as_number(0, 1000), 0.0);
  entry.tenant = map.get("tenant", as_name(), std::string());
  map.finish();
  return entry;
}

std::vector<MixEntry> default_mix(const std::vector<ModelSpec>& models, const Place& place) {
  std::vector<MixEntry> mix;
  for (std::size_t i = 0; i < models.size(); ++i) {
    MixEntry entry;
    entry.model = ModelId(static_cast<std::uint16_t>(i));
    entry.shape = default_shape(models[i]);
    entry.place = place;
    mix.push_back(std::move(entry));
  }
  return mix;
}

std::vector<MixEntry> read_mix(MapReader& map, KnownNames& known, bool has_trace) {
  std::vector<MixEntry> mix;
  const std::vector<ModelSpec>& models = known.models();
  const ConfigNode list = map.take("mix");
  if (!list.valid()) {
    if (models.size() > 1 && !has_trace) map.missing("mix", "a mix (there are several models)");
    return default_mix(models, map.place_of("mix"));
  }
  if (!list.is_list() || list.size() == 0) {
    map.wrong("mix", "a list of one or more entries", list.shown());
    return mix;
  }
  const std::size_t before = map.problems().size();
  double sum = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    mix.push_back(read_mix_entry(list.at(i), known, map.problems()));
    sum += mix.back().weight;
  }
  if (map.problems().size() == before && sum <= 0)
    map.wrong("mix", "weights whose sum is above 0", "0");
  return mix;
}

/// trace, arrivals and closed_loop: exactly one, or the override alone.
void read_source(MapReader& map, const Overrides& overrides, WorkloadSpec& workload) {
  const auto trace = map.optional("trace", as_text());
  const ConfigNode arrivals = map.take("arrivals");
  const ConfigNode closed_loop = map.take("closed_loop");
  if (trace) workload.trace = resolve_path(map.node().place().file, *trace);
  workload.trace_place = map.place_of("trace");
  if (arrivals.valid()) workload.arrivals = read_arrivals(arrivals, map.problems());
  if (closed_loop.valid()) {
    MapReader loop(closed_loop, map.problems(), "a map such as {concurrency: 8}");
    workload.closed_loop_concurrency = loop.required("concurrency", as_count(1));
    loop.finish();
  }
  const int given =
      (map.has("trace") ? 1 : 0) + (arrivals.valid() ? 1 : 0) + (closed_loop.valid() ? 1 : 0);
  if (given > 1) {
    const std::string second = closed_loop.valid() ? "closed_loop" : "arrivals";
    map.wrong(second, "one of trace, arrivals and closed_loop", fmt::format("{} of them", given));
  }
  if (overrides.trace) {
    workload.trace = *overrides.trace;
    workload.trace_place = {"--trace", "", 0, 0};
    workload.arrivals.reset();
    workload.closed_loop_concurrency.reset();
  } else if (given == 0 && map.is_map()) {
    map.problems().push_back(problem_at(
        map.node().place(), "one of trace, arrivals and closed_loop (or --trace FILE)", "none"));
  }
}

/// A number, or a factor such as 2.5x.
Reader<double> as_rate_scale() {
  const Reader<double> plain = as_positive_number(1e6);
  const Reader<double> factor = as_factor();
  return {factor.expected, [=](const ConfigNode& node, Problems& problems) {
            const bool number = parse_number(node.text()).has_value();
            return (number ? plain : factor).read(node, problems);
          }};
}

/// Arrivals so many times as fast: a trace's, else the rate of the process.
void read_rate_scale(MapReader& map, WorkloadSpec& workload) {
  const double scale = map.get("rate_scale", as_rate_scale(), 1.0);
  if (!workload.trace.empty()) {
    workload.trace_rate = scale;
  } else if (workload.arrivals && workload.arrivals->rate_per_s > 0) {
    workload.arrivals->rate_per_s *= scale;
  } else if (map.has("rate_scale")) {
    map.wrong("rate_scale", "no rate_scale (neither a trace nor a rate that it could speed up)",
              map.take("rate_scale").shown());
  }
}

void check_end(MapReader& map, const WorkloadSpec& workload, bool steady) {
  const bool burst =
      workload.arrivals && workload.arrivals->process == ArrivalsSpec::Process::burst;
  if (burst && !map.has("requests")) {
    map.missing("requests", "a count of requests (a burst has no other end)");
    return;
  }
  const bool endless = workload.trace.empty() &&
                       (workload.arrivals || workload.closed_loop_concurrency) &&
                       !map.has("requests") && !map.has("duration");
  const bool judged_steady = steady && workload.arrivals.has_value();
  if (endless && !judged_steady) map.missing("requests", "requests, duration or both");
}

}  // namespace

WorkloadSpec read_workload(MapReader& root, KnownNames& known, const Overrides& overrides,
                           bool steady) {
  WorkloadSpec workload;
  const ConfigNode node = root.required("workload", as_node("a map of the workload"));
  if (!node.valid()) return workload;
  MapReader map(node, root.problems(), "a map of the workload");
  workload.place = node.place();
  read_source(map, overrides, workload);
  read_rate_scale(map, workload);
  workload.requests = map.optional("requests", as_large_count(1, kMostRequests));
  workload.duration = map.optional("duration", as_positive_duration());
  workload.mix = read_mix(map, known, !workload.trace.empty());
  if (map.is_map()) check_end(map, workload, steady);
  map.finish();
  return workload;
}

}  // namespace disagfusion
