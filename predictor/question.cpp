#include "predictor/question.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "base/scenario_reader.hpp"
#include "predictor/memory.hpp"
#include "predictor/number_format.hpp"

namespace disagfusion::predictor {
namespace {

constexpr std::uint32_t kLargestPixels = 65536;
constexpr std::uint32_t kLargestCount = 1000000;
constexpr double kMostPasses = 16;

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

Problem wrong(const char* member, std::string expected, std::string got, std::string nearest = {}) {
  return {"", 0, 0, member, std::move(expected), std::move(got), std::move(nearest)};
}

Problem unknown_stage(const std::string& stage) {
  std::vector<std::string> names;
  for (const AskedName& entry : kAskedNames) names.emplace_back(entry.name);
  return wrong("stage", fmt::format("one of {}", fmt::join(names, ", ")), stage,
               nearest_name(stage, names));
}

/// A value of `options` in [least, most].
void check_count(const char* member, std::uint32_t value, std::uint32_t least, std::uint32_t most,
                 Problems& problems) {
  if (value < least || value > most)
    problems.push_back(
        wrong(member, fmt::format("a count from {} to {}", least, most), fmt::format("{}", value)));
}

/// By its VAE, its own length and its task, whichever are known.
bool makes_images_only(const Architecture& model) {
  return model.vae_t <= 1 && model.default_frames <= 1 &&
         model.task.find("2v") == std::string::npos;
}

void check_shape(const PredictOptions& options, const ModelSpec& model, const Shape& shape,
                 Problems& problems) {
  if ((options.width == 0) != (options.height == 0)) {
    problems.push_back(wrong(options.width == 0 ? "width" : "height",
                             "width and height, both or neither", "one of them"));
  } else {
    check_count("width", shape.width, 1, kLargestPixels, problems);
    check_count("height", shape.height, 1, kLargestPixels, problems);
  }
  check_count("frames", shape.frames, 1, kLargestCount, problems);
  check_count("steps", shape.steps, 1, kLargestCount, problems);
  check_count("batch", options.batch, 1, kLargestCount, problems);
  check_count("degree", options.degree, 1, kLargestCount, problems);
  if (shape.frames > 1 && makes_images_only(*model.architecture))
    problems.push_back(wrong("frames", fmt::format("1 frame, as {} makes images", model.name),
                             fmt::format("{}", shape.frames)));
  if (!std::isfinite(options.passes) || options.passes < 0 || options.passes > kMostPasses)
    problems.push_back(wrong("passes", fmt::format("a number from 0 to {}", kMostPasses),
                             fmt::format("{}", options.passes)));
}

/// What is split needs a piece for each GPU: heads by all-to-all and tensor layouts, tokens by
/// all-to-all and rings, layers by pipelines. One Problem at most.
void check_layout(const PredictOptions& options, const ModelSpec& model, const Work& work,
                  Problems& problems) {
  const Architecture& architecture = *model.architecture;
  const int per_head = architecture.head_dim > 0 ? architecture.hidden / architecture.head_dim : 0;
  const int heads = architecture.heads > 0 ? architecture.heads : per_head;
  const Layout& layout = work.layout;
  const auto check = [&](std::uint64_t gpus, double pieces, const char* what) {
    const bool enough = pieces <= 0 || static_cast<double>(gpus) <= pieces;
    if (enough || !problems.empty()) return;
    const bool named = !options.parallel.empty();
    problems.push_back(
        wrong(named ? "parallel" : "degree",
              fmt::format("at most {:.0f} GPUs over the {} of {}", pieces, what, model.name),
              named ? options.parallel : fmt::format("{}", gpus)));
  };
  const std::uint64_t ulysses = layout.ulysses;
  check(ulysses * layout.tensor, heads, "attention heads");
  check(ulysses * layout.ring, image_tokens(architecture, work.shape), "image tokens");
  check(layout.pipeline, architecture.double_layers + architecture.single_layers, "layers");
}

Work work_of(const PredictOptions& options, const Architecture& model, Asked asked,
             NumberFormat format, const Layout& layout) {
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
  work.layout = layout;
  if (options.parallel.empty()) work.layout.ulysses = options.degree;
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

/// A lack of the model or of the data sheet, at the file where one was named.
Problem lack(const PredictOptions& options, const ModelSpec& model, const std::string& why) {
  Problem problem = wrong("model", "what " + options.stage + " needs", "too little: " + why);
  if (why.starts_with("GPU ")) {
    problem.path = "gpu";
    if (names_a_file(options.gpu))
      problem = {options.gpu, 1, 1, "", problem.expected, problem.got, ""};
  } else if (names_a_file(options.model)) {
    const Place& place = model.place;
    problem = {place.file,  place.line, place.column, "architecture", problem.expected,
               problem.got, ""};
  }
  return problem;
}

/// Everything that is looked up, or the Problems of each look-up.
struct LookedUp {
  const AskedName* asked = nullptr;
  NumberFormat format = NumberFormat::bf16;
  Layout layout;
  ModelSpec model;
  GpuSpec gpu;
};

Result<LookedUp> look_up(const PredictOptions& options, const Catalogue& catalogue) {
  Problems problems;
  LookedUp found;
  const auto add = [&problems](const char* member, const Problems& more) {
    for (const Problem& problem : more) {
      problems.push_back(problem);
      if (problem.file.empty()) problems.back().path = member;
    }
  };
  Result<ModelSpec> model = catalogue.model(options.model);
  if (!model) add("model", model.error());
  if (model && !model->architecture)
    problems.push_back(lack(options, *model, "the model has no architecture"));
  found.asked = asked_by(options.stage);
  if (found.asked == nullptr) problems.push_back(unknown_stage(options.stage));
  Result<GpuSpec> gpu = catalogue.gpu(options.gpu);
  if (!gpu) add("gpu", gpu.error());
  const auto format = parse_number_format(options.dtype);
  if (!format) problems.push_back(wrong("dtype", std::string(kNumberFormatNames), options.dtype));
  const auto layout = parse_layout(options.parallel);
  if (!layout) problems.push_back(wrong("parallel", kLayoutForms, options.parallel));
  if (!problems.empty()) return fail(std::move(problems));
  found.format = *format;
  found.layout = *layout;
  found.model = std::move(*model);
  found.gpu = std::move(*gpu);
  return found;
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

Result<Question> question_of(const PredictOptions& options, const Catalogue& catalogue) {
  Result<LookedUp> found = look_up(options, catalogue);
  if (!found) return tl::unexpected<Problems>(std::move(found.error()));
  const AskedName* asked = found->asked;
  const ModelSpec* model = &found->model;
  const GpuSpec* gpu = &found->gpu;
  Problems problems;
  Question question{*model, *gpu, asked->kind, {}, {}, 0, 0, 0, false};
  take_prompt(options.prompt_tokens, *question.model.architecture);
  question.work =
      work_of(options, *model->architecture, asked->asked, found->format, found->layout);
  check_shape(options, *model, question.work.shape, problems);
  if (problems.empty()) check_layout(options, *model, question.work, problems);
  const Roofline roofline(*model->architecture, *gpu);
  if (std::string why = lacking(asked->asked, asked->kind, roofline); !why.empty())
    problems.push_back(lack(options, *model, why));
  if (!problems.empty()) return fail(std::move(problems));
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
