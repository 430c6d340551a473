#include "predictor/predict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "predictor/csv_rows.hpp"
#include "predictor/memory.hpp"
#include "predictor/number_format.hpp"

namespace disagfusion::predictor {
namespace {

constexpr std::uint32_t kLargestPixels = 65536;
constexpr std::uint32_t kLargestCount = 1000000;

enum class Asked : std::uint8_t {
  encoder,
  text_encoder,
  image_encoder,
  vae_encode,
  dit,
  dit_step,
  decoder,
  end_to_end
};

struct AskedName {
  const char* name;
  Asked asked;
  StageKind kind;  ///< whose spread and memory it has
};
constexpr std::array<AskedName, 9> kAskedNames = {{
    {"encoder", Asked::encoder, StageKind::encoder},
    {"text_encoder", Asked::text_encoder, StageKind::encoder},
    {"image_encoder", Asked::image_encoder, StageKind::image_encoder},
    {"vae_encode", Asked::vae_encode, StageKind::image_encoder},
    {"dit", Asked::dit, StageKind::dit},
    {"dit_total", Asked::dit, StageKind::dit},
    {"dit_step", Asked::dit_step, StageKind::dit},
    {"decoder", Asked::decoder, StageKind::decoder},
    {"end_to_end", Asked::end_to_end, StageKind::dit},
}};

const AskedName* asked_by(const std::string& stage) {
  for (const AskedName& entry : kAskedNames)
    if (stage == entry.name) return &entry;
  return nullptr;
}

std::string one_line(const Problem& problem) {
  std::string text = fmt::format("expected {}, got {}", problem.expected, problem.got);
  if (!problem.nearest.empty()) text += fmt::format(" (did you mean {}?)", problem.nearest);
  return text;
}

Prediction refuse(std::string why) {
  Prediction prediction;
  std::replace(why.begin(), why.end(), '\n', ' ');
  prediction.refused = std::move(why);
  return prediction;
}

std::string shape_refusal(const PredictOptions& options, const Shape& shape) {
  if ((options.width == 0) != (options.height == 0)) return "width and height must both be given";
  if (shape.width > kLargestPixels || shape.height > kLargestPixels)
    return fmt::format("at most {} pixels a side are predicted", kLargestPixels);
  if (shape.frames == 0 || shape.steps == 0 || options.batch == 0 || options.degree == 0)
    return "frames, steps, batch and degree must be at least 1";
  if (std::max({shape.frames, shape.steps, options.batch, options.degree}) > kLargestCount)
    return fmt::format("frames, steps, batch and degree of at most {} are predicted",
                       kLargestCount);
  if (!std::isfinite(options.passes) || options.passes < 0 || options.passes > 16)
    return "passes_per_step must be at most 16 and not negative";
  return {};
}

Call call_of(const PredictOptions& options, const Architecture& model, NumberFormat format) {
  const bool sized = options.width > 0;
  const auto at_least_one = [](int value) {
    return static_cast<std::uint32_t>(std::max(1, value));
  };
  Call call;
  call.shape.width = sized ? options.width : at_least_one(model.default_width);
  call.shape.height = sized ? options.height : at_least_one(model.default_height);
  call.shape.frames = options.frames.value_or(at_least_one(model.default_frames));
  call.shape.steps = options.steps.value_or(at_least_one(model.default_steps));
  call.shape.images = options.batch;
  call.batch = options.batch;
  call.passes = options.passes;
  call.sequence = options.degree;
  if (!options.parallel.empty()) {
    const Layout layout = parse_layout(options.parallel);
    const double passes = options.passes > 0 ? options.passes : model.passes_per_step;
    call.sequence = layout.sequence;
    call.guidance = std::min(layout.guidance, static_cast<std::uint32_t>(std::max(1.0, passes)));
    call.vae = layout.vae;
  }
  call.format = format;
  call.offload = options.offload;
  return call;
}

/// Peak of the asked stage; of end to end the largest of the stages that take turns.
double peak_bytes(const AskedName& asked, const Architecture& model, const Call& call) {
  const auto of = [&](StageKind kind) {
    const double weights = call.offload ? streamed_weight_bytes(kind, model, call.format)
                                        : stage_weight_bytes(kind, model, call.format);
    return weights + stage_activation_bytes(kind, model, call);
  };
  if (asked.asked != Asked::end_to_end) return of(asked.kind);
  return std::max({of(StageKind::encoder), of(StageKind::dit), of(StageKind::decoder)});
}

void fill_seconds(const AskedName& asked, const Roofline& roofline, const Call& call,
                  Prediction& prediction) {
  const auto whole = [&](StageKind kind) {
    const StageSeconds seconds = roofline.seconds(kind, call);
    const double steps = call.shape.steps;
    Parts sum = seconds.fixed;
    sum.linear += seconds.per_step.linear * steps;
    sum.attention += seconds.per_step.attention * steps;
    sum.other += seconds.per_step.other * steps;
    sum.memory += seconds.per_step.memory * steps;
    sum.offload += seconds.per_step.offload * steps;
    sum.communication += seconds.per_step.communication * steps;
    sum.overhead += seconds.per_step.overhead * steps;
    return sum;
  };
  switch (asked.asked) {
    case Asked::encoder:
      prediction.parts = whole(StageKind::encoder);
      break;
    case Asked::text_encoder:
      prediction.parts.other = roofline.text_encoder(call);
      break;
    case Asked::image_encoder:
      prediction.parts.other = roofline.image_encoder(call);
      break;
    case Asked::vae_encode:
      prediction.parts.other = roofline.vae_encode(call);
      break;
    case Asked::dit:
      prediction.parts = whole(StageKind::dit);
      break;
    case Asked::dit_step:
      prediction.parts = roofline.seconds(StageKind::dit, call).per_step;
      break;
    case Asked::decoder:
      prediction.parts = whole(StageKind::decoder);
      break;
    case Asked::end_to_end:
      prediction.seconds = roofline.end_to_end(call);
      return;
  }
  prediction.seconds = prediction.parts.total();
}

std::string refusal_of(const AskedName& asked, const Roofline& roofline) {
  if (asked.asked != Asked::end_to_end) return roofline.refusal(asked.kind);
  for (const StageKind kind : {StageKind::encoder, StageKind::dit, StageKind::decoder})
    if (std::string why = roofline.refusal(kind); !why.empty()) return why;
  return {};
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(c < 128 ? std::tolower(c) : c); });
  return text;
}

// ---- CSV ---------------------------------------------------------------------------------------

/// The columns that are read, by name.
class Columns {
 public:
  Columns(const CsvRow& header, const std::string& file, Problems& problems) {
    for (std::size_t i = 0; i < header.fields.size(); ++i) {
      const CsvField& field = header.fields[i];
      if (!at_.emplace(field.text, i).second)
        problems.push_back({file, header.line, field.column, field.text, "one column of that name",
                            "a second one", ""});
    }
    for (const char* name : {"id", "model", "stage", "gpu"})
      if (!at_.contains(name))
        problems.push_back({file, header.line, 1, name, "a column of that name", "none", ""});
  }
  /// The field, or none where the column is missing or the field is empty.
  [[nodiscard]] const CsvField* field(const CsvRow& row, const char* name) const {
    const auto found = at_.find(name);
    if (found == at_.end() || row.fields[found->second].text.empty()) return nullptr;
    return &row.fields[found->second];
  }
  [[nodiscard]] std::string text(const CsvRow& row, const char* name) const {
    const CsvField* found = field(row, name);
    return found == nullptr ? "" : found->text;
  }

 private:
  std::map<std::string, std::size_t> at_;
};

class RowReader {
 public:
  RowReader(const Columns& columns, const CsvRow& row, const std::string& file, Problems& problems)
      : columns_(columns), row_(row), file_(file), problems_(problems) {}

  [[nodiscard]] std::optional<double> number(const char* name) const {
    const CsvField* field = columns_.field(row_, name);
    if (field == nullptr) return std::nullopt;
    double value = 0;
    const char* const end = field->text.data() + field->text.size();
    const auto [stop, error] = std::from_chars(field->text.data(), end, value);
    if (error == std::errc() && stop == end && std::isfinite(value)) return value;
    problems_.push_back({file_, row_.line, field->column, name, "a number", field->text, ""});
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::uint32_t> count(const char* name) const {
    const CsvField* field = columns_.field(row_, name);
    const auto value = number(name);
    if (!value) return std::nullopt;
    if (*value >= 0 && *value <= 4e9 && *value == std::floor(*value))
      return static_cast<std::uint32_t>(*value);
    problems_.push_back({file_, row_.line, field->column, name, "a whole number", field->text, ""});
    return std::nullopt;
  }

 private:
  const Columns& columns_;
  const CsvRow& row_;
  const std::string& file_;
  Problems& problems_;
};

PredictOptions options_of(const Columns& columns, const CsvRow& row, const std::string& file,
                          Problems& problems) {
  const RowReader read(columns, row, file, problems);
  PredictOptions options;
  options.model = lower(columns.text(row, "model"));
  // The data file's encoder is the text encoder: image encoders have rows of their own.
  options.stage = columns.text(row, "stage");
  if (options.stage == "encoder") options.stage = "text_encoder";
  options.gpu = columns.text(row, "gpu");
  options.width = read.count("width").value_or(0);
  options.height = read.count("height").value_or(0);
  options.frames = read.count("frames");
  options.steps = read.count("steps");
  options.batch = read.count("batch").value_or(1);
  options.dtype = columns.text(row, "dtype");
  options.passes = read.number("passes_per_step").value_or(0);
  options.degree = read.count("num_gpus").value_or(1);
  const std::string parallel = columns.text(row, "parallel");
  const Layout layout = parse_layout(parallel);
  // "disagg" and "colocated" say where other stages ran; num_gpus stands where no layout is named.
  if (layout.sequence * layout.guidance > 1 || parallel == "none") options.parallel = parallel;
  if (parallel == "disagg" || parallel == "colocated") options.degree = 1;
  static_cast<void>(read.number("seconds"));  // may be empty; text there is a mistake
  return options;
}

}  // namespace

Catalogue remembering(Catalogue catalogue) {
  const auto once = [](auto look_up) {
    using Answer = decltype(look_up(std::string()));
    auto known = std::make_shared<std::map<std::string, Answer>>();
    return [look_up = std::move(look_up), known](const std::string& name) {
      const auto found = known->find(name);
      return found != known->end() ? found->second
                                   : known->emplace(name, look_up(name)).first->second;
    };
  };
  return {once(std::move(catalogue.model)), once(std::move(catalogue.gpu))};
}

Layout parse_layout(const std::string& text) {
  Layout layout;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t word = at;
    while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at])) != 0) ++at;
    std::string name = text.substr(word, at - word);
    if (name.starts_with('x') && name.size() > 1) name.erase(0, 1);  // the x of "cfg2xring2"
    std::uint32_t count = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + text.size(), count);
    at = static_cast<std::size_t>(stop - text.data());
    if (at == word) ++at;  // a separator
    if (error != std::errc() || count == 0 || count > 4096) continue;
    if (name == "ulysses" || name == "ring" || name == "usp" || name == "sp" ||
        name == "pipefusion")
      layout.sequence = std::min(4096U, layout.sequence * count);
    if (name == "cfg") layout.guidance = std::min(4096U, layout.guidance * count);
    if (name == "vae") layout.vae = count;
  }
  return layout;
}

Prediction predict(const PredictOptions& options, const Catalogue& catalogue) {
  const AskedName* asked = asked_by(options.stage);
  if (asked == nullptr)
    return refuse(
        fmt::format("stage {} is none of encoder, text_encoder, image_encoder, vae_encode, "
                    "dit, dit_total, dit_step, decoder, end_to_end",
                    options.stage));
  const auto format = parse_number_format(options.dtype);
  if (!format) return refuse(fmt::format("dtype {} is not {}", options.dtype, kNumberFormatNames));
  const Result<ModelSpec> model = catalogue.model(options.model);
  if (!model) return refuse(one_line(model.error().front()));
  const Result<GpuSpec> gpu = catalogue.gpu(options.gpu);
  if (!gpu) return refuse(one_line(gpu.error().front()));
  if (!model->architecture) return refuse("the model has no architecture");
  const Architecture& architecture = *model->architecture;
  Call call = call_of(options, architecture, *format);
  if (std::string why = shape_refusal(options, call.shape); !why.empty())
    return refuse(std::move(why));
  const Roofline roofline(architecture, *gpu);
  if (std::string why = refusal_of(*asked, roofline); !why.empty()) return refuse(std::move(why));

  Prediction prediction;
  prediction.gpu_memory_bytes = gpu->memory_bytes;
  prediction.memory_bytes = peak_bytes(*asked, architecture, call);
  const bool fits = gpu->memory_bytes <= 0 || prediction.memory_bytes <= gpu->memory_bytes;
  if (!fits && !call.offload) {
    prediction.offload_assumed = call.offload = true;
    prediction.memory_bytes = peak_bytes(*asked, architecture, call);
  }
  fill_seconds(*asked, roofline, call, prediction);
  const Spread spread = spread_of(asked->kind);
  prediction.lo_s = prediction.seconds * spread.lo;
  prediction.hi_s = prediction.seconds * spread.hi;
  prediction.source = "roofline";
  if (prediction.offload_assumed) prediction.source += "; offload assumed: weights do not fit";
  if (prediction.gpu_memory_bytes > 0 && prediction.memory_bytes > prediction.gpu_memory_bytes)
    prediction.source += "; activations do not fit either";
  return prediction;
}

std::string prediction_text(const PredictOptions& options, const Prediction& prediction) {
  std::string text = fmt::format("{} {} on {}\n", options.model, options.stage, options.gpu);
  if (!prediction.refused.empty()) return text + "  refused: " + prediction.refused + "\n";
  text += fmt::format("  seconds       {:.4g}   (5 % to 95 %: {:.4g} to {:.4g})\n",
                      prediction.seconds, prediction.lo_s, prediction.hi_s);
  const Parts& parts = prediction.parts;
  const std::array<std::pair<const char*, double>, 7> rows = {{{"linear", parts.linear},
                                                               {"attention", parts.attention},
                                                               {"encode, decode", parts.other},
                                                               {"reading weights", parts.memory},
                                                               {"offload", parts.offload},
                                                               {"links", parts.communication},
                                                               {"launches", parts.overhead}}};
  for (const auto& [name, seconds] : rows)
    if (seconds > 0)
      text += fmt::format("    {:<16}{:>10.4g} s {:>5.1f} %\n", name, seconds,
                          100 * seconds / prediction.seconds);
  text += fmt::format("  peak memory   {:.1f} GB of {:.0f} GB\n", prediction.memory_bytes / 1e9,
                      prediction.gpu_memory_bytes / 1e9);
  return text + "  source        " + prediction.source + "\n";
}

std::string prediction_json(const PredictOptions& options, const Prediction& prediction) {
  nlohmann::ordered_json json;
  json["schema"] = "disagfusion.prediction/1";
  json["model"] = options.model;
  json["stage"] = options.stage;
  json["gpu"] = options.gpu;
  if (!prediction.refused.empty()) {
    json["refused"] = prediction.refused;
    return json.dump(2) + "\n";
  }
  json["predicted_s"] = prediction.seconds;
  json["lo_s"] = prediction.lo_s;
  json["hi_s"] = prediction.hi_s;
  json["source"] = prediction.source;
  const Parts& parts = prediction.parts;
  json["parts_s"] = {{"linear", parts.linear},    {"attention", parts.attention},
                     {"other", parts.other},      {"memory", parts.memory},
                     {"offload", parts.offload},  {"communication", parts.communication},
                     {"overhead", parts.overhead}};
  json["memory_bytes"] = prediction.memory_bytes;
  json["gpu_memory_bytes"] = prediction.gpu_memory_bytes;
  json["offload_assumed"] = prediction.offload_assumed;
  return json.dump(2) + "\n";
}

Result<std::string> predict_csv(const std::string& text, const std::string& file,
                                const Catalogue& catalogue) {
  auto rows = parse_csv(text, file);
  if (!rows) return tl::unexpected<Problems>(std::move(rows.error()));
  Problems problems;
  const Columns columns(rows->front(), file, problems);
  if (!problems.empty()) return fail(std::move(problems));
  const Catalogue cached = remembering(catalogue);
  std::string out = "id,predicted_s,lo_s,hi_s,source\n";
  for (std::size_t i = 1; i < rows->size(); ++i) {
    const CsvRow& row = (*rows)[i];
    const std::size_t before = problems.size();
    const PredictOptions options = options_of(columns, row, file, problems);
    if (problems.size() > before) continue;
    const Prediction answer = predict(options, cached);
    const std::string id = csv_field(columns.text(row, "id"));
    if (answer.refused.empty()) {
      out += fmt::format("{},{:.6g},{:.6g},{:.6g},{}\n", id, answer.seconds, answer.lo_s,
                         answer.hi_s, csv_field(answer.source));
    } else {
      out += fmt::format("{},,,,{}\n", id, csv_field("refused: " + answer.refused));
    }
  }
  if (!problems.empty()) return fail(std::move(problems));
  return out;
}

}  // namespace disagfusion::predictor
