#include "traces/request_mix.hpp"

#include <algorithm>
#include <utility>

namespace disagfusion::traces {

namespace {

/// A model's own shape, where neither trace nor mix say one.
Shape default_shape(const ModelSpec& model) {
  Shape shape;
  if (!model.architecture) return shape;
  const Architecture& defaults = *model.architecture;
  const auto count = [](int value) { return value > 0 ? static_cast<std::uint32_t>(value) : 0U; };
  shape.width = count(defaults.default_width);
  shape.height = count(defaults.default_height);
  if (defaults.default_frames > 0) shape.frames = count(defaults.default_frames);
  if (defaults.default_steps > 0) shape.steps = count(defaults.default_steps);
  return shape;
}

WeightedChoice choice_of(const std::vector<MixEntry>& entries) {
  std::vector<double> weights;
  for (const MixEntry& entry : entries) weights.push_back(entry.weight);
  return WeightedChoice(weights);
}

/// What is drawn where there is nothing to draw from.
const MixEntry& nothing_said() {
  static const MixEntry entry{};
  return entry;
}

}  // namespace

RequestMix::RequestMix(std::vector<MixEntry> entries, const std::vector<ModelSpec>& models,
                       std::uint64_t seed)
    : seed_(seed), by_model_(models.size()) {
  std::erase_if(entries, [](const MixEntry& entry) { return entry.weight <= 0; });
  for (const MixEntry& entry : entries) {
    if (entry.model.index() < by_model_.size()) {
      by_model_[entry.model.index()].entries.push_back(entry);
    }
  }
  for (std::size_t i = 0; i < models.size(); ++i) {
    OfModel& of_model = by_model_[i];
    if (of_model.entries.empty()) {
      MixEntry entry;
      entry.model = ModelId(static_cast<std::uint16_t>(i));
      entry.shape = default_shape(models[i]);
      of_model.entries.push_back(entry);
    }
    of_model.choice = choice_of(of_model.entries);
  }
  all_.entries = std::move(entries);
  if (all_.entries.empty()) {
    for (const OfModel& of_model : by_model_) all_.entries.push_back(of_model.entries[0]);
  }
  if (!all_.entries.empty()) all_.choice = choice_of(all_.entries);
}

const MixEntry& RequestMix::pick(std::uint64_t index) const { return pick(all_, index); }

const MixEntry& RequestMix::pick(std::uint64_t index, ModelId model) const {
  if (model.index() >= by_model_.size()) return nothing_said();
  return pick(by_model_[model.index()], index);
}

/// Draw 0 of the request's mix stream; where there is no choice nothing is drawn.
const MixEntry& RequestMix::pick(const OfModel& of_model, std::uint64_t index) const {
  if (of_model.entries.empty()) return nothing_said();
  if (of_model.entries.size() == 1) return of_model.entries[0];
  return of_model.entries[of_model.choice.from(to_unit(draw(seed_, Purpose::mix, index, 0)))];
}

void RequestMix::apply(const MixEntry& entry, Request& request) {
  request.model = entry.model;
  request.shape = entry.shape;
  request.guidance = entry.guidance;
  request.priority = entry.priority;
  request.deadline = entry.deadline;
  request.tenant = entry.tenant;
}

TraceColumns RequestMix::columns() const {
  TraceColumns columns;
  const auto add_where = [&](Column column, auto says) {
    const auto any = [&](const OfModel& set) {
      return std::any_of(set.entries.begin(), set.entries.end(), says);
    };
    if (any(all_) || std::any_of(by_model_.begin(), by_model_.end(), any)) columns.add(column);
  };
  columns.add(Column::model);
  add_where(Column::width, [](const MixEntry& entry) { return entry.shape.width != 0; });
  add_where(Column::height, [](const MixEntry& entry) { return entry.shape.height != 0; });
  for (const Column column : {Column::frames, Column::steps, Column::images}) columns.add(column);
  add_where(Column::guidance, [](const MixEntry& entry) { return entry.guidance != 0; });
  add_where(Column::priority, [](const MixEntry& entry) { return entry.priority != 0; });
  add_where(Column::deadline_s, [](const MixEntry& entry) { return entry.deadline.has_value(); });
  add_where(Column::tenant, [](const MixEntry& entry) { return !entry.tenant.empty(); });
  return columns;
}

}  // namespace disagfusion::traces
