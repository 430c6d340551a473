#include "predictor/question.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "predictor/memory.hpp"
#include "predictor/number_format.hpp"

namespace disagfusion::predictor {
namespace {

constexpr std::uint32_t kLargestPixels = 65536;
constexpr std::uint32_t kLargestCount = 1000000;

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

Work work_of(const PredictOptions& options, const Architecture& model, Asked asked,
             NumberFormat format) {
  const bool sized = options.width > 0;
  const auto at_least_one = [](int value) {
    return static_cast<std::uint32_t>(std::max(1, value));
  };
  Work work;
  work.asked = asked;
  work.shape.width = sized ? options.width : at_least_one(model.default_width);
  work.shape.height = sized ? options.height : at_least_one(model.default_height);
  work.shape.frames = options.frames.value_or(at_least_one(model.default_frames));
  work.shape.steps = options.steps.value_or(at_least_one(model.default_steps));
  work.shape.images = options.batch;
  work.batch = options.batch;
  work.passes = options.passes > 0 ? options.passes : std::max(1, model.passes_per_step);
  work.vae_tile = options.vae_tile;
  work.layout.ulysses = options.degree;
  if (!options.parallel.empty()) work.layout = parse_layout(options.parallel);
  work.layout.guidance =
      std::min(work.layout.guidance, static_cast<std::uint32_t>(std::max(1.0, work.passes)));
  work.format = format;
  work.offload = options.offload;
  return work;
}

/// Encoders that pad the prompt see their longest whatever it is.
void take_prompt(std::uint32_t tokens, Architecture& model) {
  if (tokens == 0 || model.text_seq_in_dit >= model.text_max_tokens) return;
  model.text_seq_in_dit =
      static_cast<int>(std::min(tokens, static_cast<std::uint32_t>(model.text_max_tokens)));
}

/// Peak on each GPU; of end to end the largest of the stages that take turns.
double peak_bytes(StageKind kind, const Architecture& model, const Work& work) {
  const Layout& layout = work.layout;
  const double held = layout.sharded ? layout.gpus() : layout.pipeline * layout.tensor;
  const auto of = [&](StageKind stage) {
    const double weights = work.offload ? streamed_weight_bytes(stage, model, work.format)
                                        : stage_weight_bytes(stage, model, work.format);
    const bool split = stage == StageKind::dit || layout.sharded;
    return weights / (split ? held : 1) + stage_activation_bytes(stage, model, call_of(work));
  };
  if (work.asked != Asked::end_to_end) return of(kind);
  return std::max({of(StageKind::encoder), of(StageKind::dit), of(StageKind::decoder)});
}

double weight_bytes(StageKind kind, const Architecture& model, const Work& work) {
  const auto of = [&](StageKind stage) { return stage_weight_bytes(stage, model, work.format); };
  if (work.asked != Asked::end_to_end) return of(kind);
  return of(StageKind::encoder) + of(StageKind::dit) + of(StageKind::decoder);
}

std::string lacking(Asked asked, StageKind kind, const Roofline& roofline) {
  if (asked != Asked::end_to_end) return roofline.refusal(kind);
  for (const StageKind each : {StageKind::encoder, StageKind::dit, StageKind::decoder})
    if (std::string why = roofline.refusal(each); !why.empty()) return why;
  return {};
}

tl::unexpected<Refusal> refuse(const char* field, std::string why) {
  std::replace(why.begin(), why.end(), '\n', ' ');
  return tl::unexpected<Refusal>(Refusal{field, std::move(why)});
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
  return {once(std::move(catalogue.model)), once(std::move(catalogue.gpu)),
          std::move(catalogue.models)};
}

Call call_of(const Work& work) {
  Call call;
  call.shape = work.shape;
  call.batch = work.batch;
  call.passes = work.passes;
  call.sequence = work.layout.sequence();
  call.guidance = work.layout.guidance;
  call.vae = work.layout.vae;
  call.format = work.format;
  call.offload = work.offload;
  call.vae_tile = work.vae_tile;
  return call;
}

tl::expected<Question, Refusal> question_of(const PredictOptions& options,
                                            const Catalogue& catalogue) {
  const AskedName* asked = asked_by(options.stage);
  if (asked == nullptr)
    return refuse("stage", fmt::format("stage {} is none of encoder, text_encoder, image_encoder, "
                                       "vae_encode, dit, dit_total, dit_step, decoder, end_to_end",
                                       options.stage));
  const auto format = parse_number_format(options.dtype);
  if (!format)
    return refuse("dtype", fmt::format("dtype {} is not {}", options.dtype, kNumberFormatNames));
  const Result<ModelSpec> model = catalogue.model(options.model);
  if (!model) return refuse("model", one_line(model.error().front()));
  const Result<GpuSpec> gpu = catalogue.gpu(options.gpu);
  if (!gpu) return refuse("gpu", one_line(gpu.error().front()));
  if (!model->architecture) return refuse("model", "the model has no architecture");
  Question question{*model, *gpu, asked->kind, {}, {}, 0, 0, 0, false};
  take_prompt(options.prompt_tokens, *question.model.architecture);
  question.work = work_of(options, *model->architecture, asked->asked, *format);
  if (std::string why = shape_refusal(options, question.work.shape); !why.empty())
    return refuse("", std::move(why));
  const Roofline roofline(*model->architecture, *gpu);
  if (std::string why = lacking(asked->asked, asked->kind, roofline); !why.empty())
    return refuse("", std::move(why));
  question.setting = {model->name,       gpu->name,     gpu->arch,
                      options.framework, options.notes, options.source};
  question.weight_bytes = weight_bytes(asked->kind, *model->architecture, question.work);
  question.memory_bytes = peak_bytes(asked->kind, *model->architecture, question.work);
  if (asked->asked == Asked::decoder) {
    Work tiled = question.work;
    tiled.vae_tile = kUsualTile;
    question.tiled_bytes = peak_bytes(asked->kind, *model->architecture, tiled);
  }
  const bool fits = gpu->memory_bytes <= 0 || question.memory_bytes <= gpu->memory_bytes;
  if (!fits && !question.work.offload) {
    question.offload_assumed = question.work.offload = true;
    question.memory_bytes = peak_bytes(asked->kind, *model->architecture, question.work);
  }
  return question;
}

}  // namespace disagfusion::predictor
