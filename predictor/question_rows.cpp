#include "predictor/question_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/scenario_reader.hpp"

namespace disagfusion::predictor {
namespace {

constexpr const char* kKnownColumns = "a column of docs/file-formats.md";

/// Those of configs/profiles/published.csv, what else is read, and what `predict --csv` adds.
const std::vector<std::string>& known_columns() {
  static const std::vector<std::string> names = {
      "id",       "model",        "stage",           "width",    "height",      "frames",
      "steps",    "batch",        "passes_per_step", "dtype",    "gpu",         "num_gpus",
      "parallel", "framework",    "seconds",         "quality",  "peak_mem_gb", "split",
      "notes",    "source",       "offload",         "vae_tile", "predicted_s", "lo_s",
      "hi_s",     "prompt_tokens"};
  return names;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(c < 128 ? std::tolower(c) : c); });
  return text;
}

/// Of "16 prompt tokens", as the published table notes it; else 0.
std::uint32_t noted_tokens(const std::string& notes) {
  const std::size_t words = notes.find(" prompt tokens");
  if (words == std::string::npos || words == 0) return 0;
  const std::size_t space = notes.rfind(' ', words - 1);
  const std::size_t from = space == std::string::npos ? 0 : space + 1;
  std::uint32_t count = 0;
  const auto [stop, error] = std::from_chars(notes.data() + from, notes.data() + words, count);
  return error == std::errc() && stop == notes.data() + words ? count : 0;
}

}  // namespace

Columns::Columns(const CsvRow& header, const std::string& file, Problems& problems) {
  for (std::size_t i = 0; i < header.fields.size(); ++i) {
    const CsvField& field = header.fields[i];
    const std::vector<std::string>& known = known_columns();
    if (std::find(known.begin(), known.end(), field.text) == known.end())
      problems.push_back({file, header.line, field.column, field.text, kKnownColumns,
                          field.text.empty() ? "no name" : field.text,
                          nearest_name(lower(field.text), known)});
    if (!at_.emplace(field.text, i).second)
      problems.push_back({file, header.line, field.column, field.text, "one column of that name",
                          "a second one", ""});
  }
  for (const char* name : {"id", "model", "stage", "gpu"})
    if (!at_.contains(name))
      problems.push_back({file, header.line, 1, name, "a column of that name", "none", ""});
}

const CsvField* Columns::field(const CsvRow& row, const char* name) const {
  const auto found = at_.find(name);
  if (found == at_.end() || row.fields[found->second].text.empty()) return nullptr;
  return &row.fields[found->second];
}

std::string Columns::text(const CsvRow& row, const char* name) const {
  const CsvField* found = field(row, name);
  return found == nullptr ? "" : found->text;
}

std::optional<double> RowReader::number(const char* name) const {
  const CsvField* field = columns_.field(row_, name);
  if (field == nullptr) return std::nullopt;
  double value = 0;
  const char* const end = field->text.data() + field->text.size();
  const auto [stop, error] = std::from_chars(field->text.data(), end, value);
  if (error == std::errc() && stop == end && std::isfinite(value)) return value;
  problems_.push_back({file_, row_.line, field->column, name, "a number", field->text, ""});
  return std::nullopt;
}

std::optional<double> RowReader::not_negative(const char* name) const {
  const auto value = number(name);
  if (!value || *value >= 0) return value;
  const CsvField* field = columns_.field(row_, name);
  problems_.push_back(
      {file_, row_.line, field->column, name, "a number of at least 0", field->text, ""});
  return std::nullopt;
}

std::optional<std::uint32_t> RowReader::count(const char* name, double least) const {
  const CsvField* field = columns_.field(row_, name);
  const auto value = number(name);
  if (!value) return std::nullopt;
  if (*value >= least && *value <= 4e9 && *value == std::floor(*value))
    return static_cast<std::uint32_t>(*value);
  problems_.push_back({file_, row_.line, field->column, name,
                       fmt::format("a whole number of at least {}", least), field->text, ""});
  return std::nullopt;
}

std::string column_of(const std::string& member) {
  if (member == "degree") return "num_gpus";
  return member == "passes" ? "passes_per_step" : member;
}

PredictOptions options_of(const Columns& columns, const CsvRow& row, const std::string& file,
                          Problems& problems) {
  const RowReader read(columns, row, file, problems);
  PredictOptions options;
  options.model = columns.text(row, "model");
  if (!names_a_file(options.model)) options.model = lower(options.model);
  // The data file's encoder is the text encoder, image encoders have rows of their own; unless a
  // row notes that the condition image was encoded too.
  options.stage = columns.text(row, "stage");
  options.notes = columns.text(row, "notes");
  const bool whole = lower(options.notes).find("vae encode") != std::string::npos;
  if (options.stage == "encoder" && !whole) options.stage = "text_encoder";
  options.gpu = columns.text(row, "gpu");
  options.width = read.count("width", 1).value_or(0);
  options.height = read.count("height", 1).value_or(0);
  options.frames = read.count("frames", 1);
  options.steps = read.count("steps", 1);
  options.batch = read.count("batch", 1).value_or(1);
  options.dtype = columns.text(row, "dtype");
  options.prompt_tokens = read.count("prompt_tokens", 0).value_or(noted_tokens(options.notes));
  options.vae_tile = read.count("vae_tile", 0).value_or(0);
  options.passes = read.number("passes_per_step").value_or(0);
  options.degree = read.count("num_gpus", 1).value_or(1);
  const std::string parallel = columns.text(row, "parallel");
  // "disagg" and "colocated" say where other stages ran; num_gpus stands where no layout is named.
  const auto layout = parse_layout(parallel);
  if (!layout || layout->gpus() > 1 || parallel == "none") options.parallel = parallel;
  if (parallel == "disagg" || parallel == "colocated") options.degree = 1;
  const std::string streamed = lower(columns.text(row, "offload"));
  options.offload = columns.text(row, "split") == "reference_offload" || streamed == "1" ||
                    streamed == "yes" || streamed == "true";
  options.framework = columns.text(row, "framework");
  options.source = columns.text(row, "source");
  // Not asked of a question; what is none there is a mistake all the same.
  static_cast<void>(read.number("seconds"));
  static_cast<void>(read.not_negative("peak_mem_gb"));
  return options;
}

}  // namespace disagfusion::predictor
