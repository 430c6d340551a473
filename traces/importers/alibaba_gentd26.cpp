// GenTD26, Alibaba's trace of a diffusion service (github.com/alibaba/clusterdata,
// cluster-trace-v2026-GenAI; Lin et al., "Understanding Diffusion Model Serving in Production",
// SoCC 2025): lora_request_trace.csv, one request a row. The trace may be used for research and
// study, not passed on: it is not shipped. gentd26.yaml says which field becomes what, and what is
// assumed.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "base/config_parser.hpp"
#include "base/config_reader.hpp"
#include "base/file_source.hpp"
#include "traces/decimal.hpp"
#include "traces/importers/importer.hpp"
#include "traces/importers/source_table.hpp"
#include "traces/trace_writer.hpp"

namespace disagfusion::traces {

extern const std::string_view kGentd26Mapping;  // the text of gentd26.yaml

namespace {

enum Field : std::size_t {
  kCreated,
  kType,
  kStatus,
  kSteps,
  kImages,
  kCheckpoint,
  kGroup,
  kPromptLength,
  kExecSeconds,
  kNegativeLength,
  kLoras,
};

const std::vector<std::string>& source_columns() {
  static const std::vector<std::string> columns{"gmt_create",
                                                "predict_type",
                                                "predict_status",
                                                "num_inference_steps",
                                                "num_images_per_prompt",
                                                "checkpoint_model_version_id",
                                                "groupId",
                                                "prompt_length",
                                                "exec_time_seconds",
                                                "negative_prompt_length",
                                                "num_lora"};
  return columns;
}

/// Columns carried along under their names.
constexpr std::array<Field, 6> kCarried{kType,         kStatus,         kExecSeconds,
                                        kPromptLength, kNegativeLength, kLoras};

/// What the mapping says about one predict_type.
struct TypeMapping {
  ModelId model;
  std::uint32_t width = 0, height = 0;
  std::optional<double> input_bytes;
};

struct Mapping {
  std::map<std::string, TypeMapping, std::less<>> types;
  std::vector<std::string> model_names;
  std::vector<std::string> statuses;
  std::uint32_t missing_steps = 0, missing_images = 0;
  double characters_per_token = 0;
};

ModelId model_id(std::vector<std::string>& names, const std::string& name) {
  const auto at = std::find(names.begin(), names.end(), name);
  const auto index = static_cast<std::uint16_t>(at - names.begin());
  if (at == names.end()) names.push_back(name);
  return ModelId(index);
}

TypeMapping read_type(const ConfigNode& node, std::vector<std::string>& names, Problems& problems) {
  MapReader map(node, problems, "a map such as {model: M, width: 1024, height: 1024}");
  TypeMapping type;
  type.model = model_id(names, map.required("model", as_name()));
  type.width = map.required("width", as_count(1, 65536));
  type.height = map.required("height", as_count(1, 65536));
  type.input_bytes = map.optional("input", as_bytes());
  map.finish();
  return type;
}

Result<Mapping> parse_mapping(const std::string& file, const std::string& text) {
  Result<ConfigNode> root = parse_config(file, text);
  if (!root) return tl::unexpected(root.error());
  Problems problems;
  Mapping mapping;
  MapReader map(*root, problems);
  const ConfigNode types = map.required("requests", as_node());
  if (types.valid() && (!types.is_map() || types.size() == 0)) {
    map.wrong("requests", "a map by predict_type", types.shown());
  }
  for (std::size_t i = 0; types.is_map() && i < types.size(); ++i) {
    mapping.types[types.key(i)] = read_type(types.at(i), mapping.model_names, problems);
  }
  mapping.statuses = map.required("statuses", as_list_of(as_name(), 1));
  MapReader missing(map.required("missing", as_node()), problems);
  mapping.missing_steps = missing.required("steps", as_count(1, 10'000));
  mapping.missing_images = missing.required("images", as_count(1, 10'000));
  missing.finish();
  mapping.characters_per_token = map.required("characters_per_token", as_positive_number(1000));
  map.finish();
  if (!problems.empty()) return fail(std::move(problems));
  return mapping;
}

Result<Mapping> load_mapping(const std::string& path) {
  if (path.empty()) return parse_mapping("gentd26.yaml", std::string(kGentd26Mapping));
  DiskFiles files("");
  const auto text = files.read(path);
  if (!text) return fail(Problem{path, 0, 0, "", "a mapping file", text.error(), ""});
  return parse_mapping(path, *text);
}

/// What happened to the rows, for the notes.
struct Counts {
  std::uint64_t read = 0, without_steps = 0, without_images = 0;
  std::map<std::string, std::uint64_t, std::less<>> left_out, kept;
};

void count(std::map<std::string, std::uint64_t, std::less<>>& counts, std::string_view key) {
  const auto at = counts.find(key);
  if (at != counts.end()) {
    ++at->second;
  } else {
    counts.emplace(key, 1);
  }
}

class AlibabaGentd26 : public Importer {
 public:
  [[nodiscard]] std::string_view name() const override { return "alibaba-gentd26"; }
  [[nodiscard]] std::string_view summary() const override {
    return "lora_request_trace.csv: 26,823 image requests over 24 days";
  }
  [[nodiscard]] bool takes_mapping() const override { return true; }

  [[nodiscard]] Result<ImportSummary> import(const ImportJob& job) const override {
    const Result<Mapping> mapping = load_mapping(job.mapping);
    if (!mapping) return tl::unexpected(mapping.error());
    Result<SourceTable> table = SourceTable::open(job.input, source_columns());
    if (!table) return tl::unexpected(table.error());
    Result<TraceWriter> writer = TraceWriter::create(job.output, columns(), mapping->model_names);
    if (!writer) return tl::unexpected(writer.error());

    Counts counts;
    Request request;
    request.extra.resize(kCarried.size());
    std::int64_t first = 0, last = 0;
    for (;;) {
      const Result<bool> got = table->next();
      if (!got) return tl::unexpected(got.error());
      if (!*got) break;
      const std::optional<std::int64_t> at = parse_timestamp(table->cell(kCreated));
      if (!at) return table->wrong(kCreated, "a time such as 2024-11-15 16:57:50");
      if (counts.read++ == 0) first = last = *at;
      if (*at < last) return table->wrong(kCreated, "times in order");
      last = *at;
      const std::string_view status = table->cell(kStatus);
      const auto& wanted = mapping->statuses;
      if (std::find(wanted.begin(), wanted.end(), status) == wanted.end()) {
        count(counts.left_out, status);
        continue;
      }
      count(counts.kept, status);
      request.arrival = TimePoint{*at - first};
      const Result<void> filled = fill(request, *table, *mapping, counts);
      if (!filled) return tl::unexpected(filled.error());
      writer->write(request);
    }
    if (writer->rows() == 0) {
      return fail(
          Problem{job.input, 1, 0, "", "at least one request of the wanted statuses", "none", ""});
    }
    ImportSummary summary{counts.read, writer->rows(), notes(counts)};
    const Result<void> committed = writer->commit();
    if (!committed) return tl::unexpected(committed.error());
    return summary;
  }

 private:
  static TraceColumns columns() {
    TraceColumns columns;
    for (const Column column :
         {Column::model, Column::width, Column::height, Column::steps, Column::images,
          Column::variant, Column::tenant, Column::input_bytes, Column::prompt_tokens}) {
      columns.add(column);
    }
    for (const Field field : kCarried) columns.extra.push_back(source_columns()[field]);
    return columns;
  }

  static Result<void> fill(Request& request, const SourceTable& table, const Mapping& mapping,
                           Counts& counts) {
    const auto type = mapping.types.find(table.cell(kType));
    if (type == mapping.types.end()) return table.wrong(kType, "a type that the mapping lists");
    request.model = type->second.model;
    request.shape.width = type->second.width;
    request.shape.height = type->second.height;
    request.input_bytes.reset();
    if (type->second.input_bytes) {
      request.input_bytes = static_cast<std::uint64_t>(*type->second.input_bytes);
    }
    request.variant.assign(table.cell(kCheckpoint));
    request.tenant.assign(table.cell(kGroup));

    const auto whole = [&table](Field field, std::uint32_t missing, std::uint64_t& missed,
                                std::uint32_t& target) {
      if (table.cell(field).empty()) {
        ++missed;
        target = missing;
        return true;
      }
      const std::optional<std::int64_t> value = parse_whole(table.cell(field), 1, 10'000);
      target = static_cast<std::uint32_t>(value.value_or(0));
      return value.has_value();
    };
    if (!whole(kSteps, mapping.missing_steps, counts.without_steps, request.shape.steps)) {
      return table.wrong(kSteps, "a whole number from 1 to 10000");
    }
    if (!whole(kImages, mapping.missing_images, counts.without_images, request.shape.images)) {
      return table.wrong(kImages, "a whole number from 1 to 10000");
    }
    request.prompt_tokens.reset();
    if (!table.cell(kPromptLength).empty()) {
      const auto characters = parse_whole(table.cell(kPromptLength), 0, 1'000'000'000);
      if (!characters) return table.wrong(kPromptLength, "a whole number of characters");
      request.prompt_tokens = static_cast<std::uint32_t>(
          std::ceil(static_cast<double>(*characters) / mapping.characters_per_token));
    }
    for (std::size_t i = 0; i < kCarried.size(); ++i) request.extra[i] = table.cell(kCarried[i]);
    return {};
  }

  static std::vector<std::string> notes(const Counts& counts) {
    std::vector<std::string> notes;
    for (const auto& [status, rows] : counts.kept) {
      if (status != "SUCCEED") {
        notes.push_back(
            fmt::format("{} rows with status {} are kept (column predict_status)", rows, status));
      }
    }
    for (const auto& [status, rows] : counts.left_out) {
      notes.push_back(fmt::format("{} rows with status {} are left out (`statuses` of the mapping)",
                                  rows, status));
    }
    const auto assumed = [&notes](std::uint64_t rows, const char* what) {
      if (rows > 0) notes.push_back(fmt::format("{} rows without {}: the mapping's", rows, what));
    };
    assumed(counts.without_steps, "steps");
    assumed(counts.without_images, "a number of images");
    notes.emplace_back("model, width and height are the mapping's: the trace does not say them");
    return notes;
  }
};

}  // namespace

const Importer& alibaba_gentd26_importer() {
  static const AlibabaGentd26 importer;
  return importer;
}

}  // namespace disagfusion::traces
