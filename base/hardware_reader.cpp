#include "base/hardware_reader.hpp"

#include <algorithm>

#include "base/scenario_reader.hpp"
#include "base/spec_fields.hpp"

namespace disagfusion {

namespace {

std::string shipped_path(const std::string& name) {
  return std::string(kShippedPrefix) + "hardware/" + name + ".yaml";
}

// About ten times the most that a GPU of today has: beyond it the unit was mistaken.
constexpr double kMostPlain = 1e5;  // TFLOP/s, watts
constexpr double kMostMemory = 10e12;
constexpr double kMostBandwidth = 100e12;

/// `value`, or 0 with a Problem where it is more than any GPU has.
double at_most(double value, double most, const char* text, MapReader& map, const char* key) {
  if (value <= most) return value;
  map.wrong(key, text, map.node().find(key).shown());
  return 0;
}

double read_number(MapReader& map, const char* key, GpuUnit unit) {
  switch (unit) {
    case GpuUnit::plain:
      return map.get(key, as_number(0, kMostPlain), 0.0);
    case GpuUnit::bytes:
      return at_most(map.get(key, as_bytes(), 0.0), kMostMemory, "at most 10 TB", map, key);
    case GpuUnit::bandwidth:
      return at_most(map.get(key, as_bandwidth(), 0.0), kMostBandwidth, "at most 100 TB/s", map,
                     key);
    case GpuUnit::price:
      return map.get(key, as_price(), 0.0);
  }
  return 0;
}

}  // namespace

GpuSpec read_gpu(const ConfigNode& node, Problems& problems) {
  GpuSpec gpu;
  MapReader map(node, problems);
  gpu.name = map.required("name", as_name());
  visit_gpu(
      gpu, [&](const char* key, std::string& text) { text = map.get(key, as_text(), text); },
      [&](const char* key, double& number, GpuUnit unit) { number = read_number(map, key, unit); });
  map.finish();
  return gpu;
}

HardwareReader::HardwareReader(MapReader& root, Loading& loading)
    : loading_(loading), shipped_(loading.files.shipped_names("hardware")) {
  const ConfigNode list = root.take("hardware");
  if (!list.valid()) return;
  if (!list.is_list()) {
    root.wrong("hardware", "a list of GPU types (paths or maps)", list.shown());
    return;
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    ConfigNode node = list.at(i);
    const Place place = node.place();
    if (node.is_text())
      node = loading.read_config(resolve_path(place.file, node.text()), place,
                                 "a readable hardware file");
    if (!node.valid()) continue;
    GpuSpec gpu = read_gpu(node, loading.problems);
    if (types_.count(gpu.name) > 0)
      loading.problems.push_back(problem_at(place, "each GPU type once", gpu.name + " again"));
    types_[gpu.name] = std::move(gpu);
  }
}

std::vector<std::string> HardwareReader::names() {
  std::vector<std::string> all = shipped_;
  for (const auto& [name, gpu] : types_) all.push_back(name);
  return all;
}

bool HardwareReader::require(const std::string& name, const Place& place, const char* expected) {
  if (types_.count(name) > 0) return true;
  if (std::find(shipped_.begin(), shipped_.end(), name) == shipped_.end()) {
    loading_.problems.push_back(problem_at(place, expected, name, nearest_name(name, names())));
    return false;
  }
  const ConfigNode root =
      loading_.read_config(shipped_path(name), place, "a readable hardware file");
  if (!root.valid()) return false;
  GpuSpec gpu = read_gpu(root, loading_.problems);
  gpu.shipped = true;
  types_[name] = std::move(gpu);
  return true;
}

Result<GpuSpec> load_shipped_gpu(const std::string& name, FileSource& files) {
  Loading loading(files);
  Problems none;
  MapReader nothing(ConfigNode{}, none);
  HardwareReader hardware(nothing, loading);
  hardware.require(name, Place{"", "gpu", 0, 0},
                   "a GPU type of configs/hardware or the path of a data sheet");
  if (!loading.problems.empty()) return fail(loading.sorted_problems());
  return hardware.types().at(name);
}

Result<GpuSpec> load_gpu(const std::string& name_or_path, FileSource& files) {
  if (!names_a_file(name_or_path)) return load_shipped_gpu(name_or_path, files);
  Loading loading(files);
  const Place place{"", "gpu", 0, 0};
  const ConfigNode root = loading.read_config(name_or_path, place, "a readable hardware file");
  GpuSpec gpu;
  if (root.valid()) gpu = read_gpu(root, loading.problems);
  if (!loading.problems.empty()) return fail(loading.sorted_problems());
  return gpu;
}

}  // namespace disagfusion
