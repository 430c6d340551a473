#include "traces/row_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <utility>

#include "traces/decimal.hpp"

namespace disagfusion::traces {

namespace {

constexpr std::int64_t kMostPixels = 65536;
constexpr std::int64_t kMostFrames = 100'000;
constexpr std::int64_t kMostSteps = 10'000;
constexpr std::int64_t kMostImages = 10'000;
constexpr std::int64_t kMostPriority = 1'000'000'000;
constexpr std::int64_t kMostBytes = 1'000'000'000'000'000;
constexpr std::int64_t kMostTokens = 1'000'000'000;
constexpr double kMostGuidance = 1000;
const Duration kLatestArrival = from_seconds(kLatestArrivalSeconds);
const Duration kLongestDuration = from_seconds(kLongestSeconds);

constexpr std::uint32_t bit(Column column) { return 1U << static_cast<unsigned>(column); }
constexpr std::uint32_t kShapeBits = bit(Column::width) | bit(Column::height) |
                                     bit(Column::frames) | bit(Column::steps) | bit(Column::images);

template <class Target>
bool store_whole(Target& target, std::string_view text, std::int64_t least, std::int64_t most) {
  const std::optional<std::int64_t> value = parse_whole(text, least, most);
  if (value) target = static_cast<Target>(*value);
  return value.has_value();
}

template <class Target>
bool store_whole(std::optional<Target>& target, std::string_view text, std::int64_t least,
                 std::int64_t most) {
  const std::optional<std::int64_t> value = parse_whole(text, least, most);
  if (value) target = static_cast<Target>(*value);
  return value.has_value();
}

bool store_duration(std::optional<Duration>& target, std::string_view text) {
  target = parse_seconds(text, kLongestDuration);
  return target.has_value();
}

std::string expected_of(Column column) {
  const auto whole = [](std::int64_t least, std::int64_t most) {
    return fmt::format("a whole number from {} to {}", least, most);
  };
  switch (column) {
    case Column::arrival_s:
      return fmt::format("seconds from 0 to {:.0e}, such as 12.5", kLatestArrivalSeconds);
    case Column::model:
      return "a model of the scenario";
    case Column::width:
    case Column::height:
      return whole(1, kMostPixels);
    case Column::frames:
      return whole(1, kMostFrames);
    case Column::steps:
      return whole(1, kMostSteps);
    case Column::images:
      return whole(1, kMostImages);
    case Column::guidance:
      return fmt::format("a number from 0 to {}", kMostGuidance);
    case Column::priority:
      return whole(-kMostPriority, kMostPriority);
    case Column::deadline_s:
    case Column::timeout_s:
    case Column::cancel_after_s:
      return fmt::format("seconds from 0 to {:.0e}, such as 12.5", kLongestSeconds);
    case Column::input_bytes:
      return whole(0, kMostBytes);
    case Column::prompt_tokens:
      return whole(0, kMostTokens);
    default:
      return "text";
  }
}

}  // namespace

bool is_number(Column column) {
  switch (column) {
    case Column::model:
    case Column::variant:
    case Column::loras:
    case Column::tenant:
    case Column::prompt_hash:
    case Column::prompt:
    case Column::id:
      return false;
    default:
      return true;
  }
}

RowBuilder::RowBuilder(TraceContext context, const TraceColumns& columns)
    : names_(std::move(context.model_names)),
      any_model_(names_.empty()),
      mix_(std::move(context.mix)),
      file_columns_(columns),
      columns_(columns) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    ids_.emplace(names_[i], ModelId(static_cast<std::uint16_t>(i)));
  }
  if (!any_model_) columns_.known |= mix_.columns().known;
}

void RowBuilder::begin(Request& request) {
  request.clear();
  request.extra.resize(columns_.extra.size());
  said_ = 0;
}

bool RowBuilder::set_model(Request& request, std::string_view name) {
  if (request.model = ModelId::none(); name.empty()) return false;
  const auto found = ids_.find(name);
  if (found != ids_.end()) {
    request.model = found->second;
    return true;
  }
  if (!any_model_ || names_.size() >= std::numeric_limits<std::uint16_t>::max()) return false;
  request.model = ModelId(static_cast<std::uint16_t>(names_.size()));
  ids_.emplace(std::string(name), request.model);
  names_.emplace_back(name);
  return true;
}

bool RowBuilder::set_number(Request& request, Column column, std::string_view text) {
  Shape& shape = request.shape;
  switch (column) {
    case Column::arrival_s: {
      const std::optional<Duration> arrival = parse_seconds(text, kLatestArrival);
      if (arrival) request.arrival = TimePoint{arrival->ns};
      return arrival.has_value();
    }
    case Column::width:
      return store_whole(shape.width, text, 1, kMostPixels);
    case Column::height:
      return store_whole(shape.height, text, 1, kMostPixels);
    case Column::frames:
      return store_whole(shape.frames, text, 1, kMostFrames);
    case Column::steps:
      return store_whole(shape.steps, text, 1, kMostSteps);
    case Column::images:
      return store_whole(shape.images, text, 1, kMostImages);
    case Column::guidance: {
      const std::optional<double> guidance = parse_real(text, 0, kMostGuidance);
      if (guidance) request.guidance = *guidance;
      return guidance.has_value();
    }
    case Column::priority:
      return store_whole(request.priority, text, -kMostPriority, kMostPriority);
    case Column::deadline_s:
      return store_duration(request.deadline, text);
    case Column::timeout_s:
      return store_duration(request.timeout, text);
    case Column::cancel_after_s:
      return store_duration(request.cancel_after, text);
    case Column::input_bytes:
      return store_whole(request.input_bytes, text, 0, kMostBytes);
    case Column::prompt_tokens:
      return store_whole(request.prompt_tokens, text, 0, kMostTokens);
    default:
      return false;
  }
}

bool RowBuilder::set(Request& request, Column column, std::string_view text) {
  said_ |= bit(column);
  switch (column) {
    case Column::model:
      return set_model(request, text);
    case Column::variant:
      request.variant.assign(text);
      return true;
    case Column::loras:
      request.loras.assign(text);
      return true;
    case Column::tenant:
      request.tenant.assign(text);
      return true;
    case Column::prompt_hash:
      request.prompt_hash.assign(text);
      return true;
    case Column::prompt:
      request.prompt.assign(text);
      return true;
    case Column::id:
      request.id.assign(text);
      return true;
    default:
      return set_number(request, column, text);
  }
}

RowProblem RowBuilder::problem_of(Column column, std::string_view text) const {
  RowProblem problem{column, expected_of(column), std::string(text), ""};
  if (column == Column::model) problem.nearest = nearest_name(problem.got, names_);
  return problem;
}

std::optional<RowProblem> RowBuilder::finish(Request& request) {
  if ((said_ & bit(Column::arrival_s)) == 0) {
    return RowProblem{Column::arrival_s, expected_of(Column::arrival_s), "nothing", ""};
  }
  if ((said_ & bit(Column::model)) == 0) {
    if (names_.size() > 1 && !any_model_) {
      return RowProblem{Column::model, "a model: the scenario has more than one", "nothing", ""};
    }
    if (!any_model_) request.model = ModelId(0);
  }
  if (request.arrival < last_arrival_) {
    std::string least = "arrivals in order: at least ", got;
    append_seconds(least, last_arrival_.ns);
    append_seconds(got, request.arrival.ns);
    return RowProblem{Column::arrival_s, least, got, ""};
  }
  last_arrival_ = request.arrival;
  request.index = rows_++;
  if (!any_model_) fill_from_mix(request);
  return std::nullopt;
}

void RowBuilder::fill_from_mix(Request& request) const {
  constexpr std::uint32_t kByColumn =
      bit(Column::guidance) | bit(Column::priority) | bit(Column::deadline_s) | bit(Column::tenant);
  const std::uint32_t silent =
      (kShapeBits & ~said_) | (kByColumn & ~file_columns_.known);  // empty cells; absent columns
  if (silent == 0) return;
  const MixEntry& entry = mix_.pick(request.index, request.model);
  const auto missing = [silent](Column column) { return (silent & bit(column)) != 0; };
  if (missing(Column::width)) request.shape.width = entry.shape.width;
  if (missing(Column::height)) request.shape.height = entry.shape.height;
  if (missing(Column::frames)) request.shape.frames = entry.shape.frames;
  if (missing(Column::steps)) request.shape.steps = entry.shape.steps;
  if (missing(Column::images)) request.shape.images = entry.shape.images;
  if (missing(Column::guidance)) request.guidance = entry.guidance;
  if (missing(Column::priority)) request.priority = entry.priority;
  if (missing(Column::deadline_s)) request.deadline = entry.deadline;
  if (missing(Column::tenant) && !entry.tenant.empty()) request.tenant = entry.tenant;
}

namespace {

/// Lower case, letters and digits only: "Arrival-S" and "arrival_s" are alike.
std::string bare(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) out += static_cast<char>(std::tolower(byte));
  }
  return out;
}

/// One letter inserted, removed or replaced, or two neighbours swapped.
bool one_edit_apart(const std::string& a, const std::string& b) {
  const std::string& shorter = a.size() <= b.size() ? a : b;
  const std::string& longer = a.size() <= b.size() ? b : a;
  if (longer.size() - shorter.size() > 1) return false;
  const auto [s, l] = std::mismatch(shorter.begin(), shorter.end(), longer.begin());
  if (s == shorter.end()) return true;
  if (shorter.size() < longer.size()) return std::equal(s, shorter.end(), l + 1);
  if (std::equal(s + 1, shorter.end(), l + 1)) return true;
  return s + 1 != shorter.end() && *s == l[1] && s[1] == *l &&
         std::equal(s + 2, shorter.end(), l + 2);
}

/// The known column whose misspelling `name` seems to be.
std::optional<Column> nearly(const std::string& name, const TraceColumns& present) {
  const std::string spelt = bare(name);
  for (std::size_t i = 0; i < kColumnCount; ++i) {
    const std::string known = bare(kColumnNames[i]);
    const auto column = static_cast<Column>(i);
    const bool near = spelt == known || spelt + "s" == known ||
                      (known.size() > 3 && one_edit_apart(spelt, known));
    if (near && !present.has(column)) return column;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> notes_on(const TraceColumns& file_columns) {
  std::vector<std::string> notes;
  if (file_columns.has(Column::variant)) {
    notes.emplace_back("trace column variant: switching between checkpoints costs nothing");
  }
  if (file_columns.has(Column::loras)) {
    notes.emplace_back("trace column loras: loading LoRA weights costs nothing");
  }
  for (const std::string& name : file_columns.extra) {
    if (const std::optional<Column> column = nearly(name, file_columns)) {
      notes.push_back(fmt::format("trace column {}: carried along, not read (did you mean {}?)",
                                  name, column_name(*column)));
    }
  }
  return notes;
}

}  // namespace disagfusion::traces
