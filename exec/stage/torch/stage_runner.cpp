#include "exec/stage/torch/stage_runner.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <optional>

#include "base/check.hpp"
#include "exec/stage/torch/file_problem.hpp"
#include "exec/stage/torch/tensor_bytes.hpp"

namespace disagfusion::exec::torch_stage {

namespace {

constexpr std::uint32_t kMostImages = 64;

// ---- bytes and tensors --------------------------------------------------------------------------

std::span<const std::byte> bytes_of(const Buffer& buffer) {
  return std::as_bytes(std::span(buffer.bytes().data(), buffer.size()));
}

/// `tensor` must outlive the slice and be contiguous float32.
TensorSlice slice_of(std::string name, const at::Tensor& tensor) {
  DF_CHECK(tensor.is_contiguous() && tensor.scalar_type() == at::kFloat);
  return {
      std::move(name), ElementType::f32, tensor.sizes().vec(),
      std::as_bytes(std::span(tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())))};
}

Buffer to_buffer(std::span<const TensorSlice> slices) {
  const std::vector<std::byte> bytes = pack(slices);
  return Buffer::of(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Buffer pack_one(const char* name, const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return to_buffer(std::array{slice_of(name, whole)});
}

/// A float32 tensor of the bundle, copied; extents of -1 match any.
Result<at::Tensor> read_floats(const std::vector<TensorSlice>& bundle, const char* name,
                               std::vector<std::int64_t> shape, const char* from) {
  const auto slice = select(bundle, name, ElementType::f32, shape, from);
  if (!slice) return fail(slice.error());
  at::Tensor tensor = at::empty(slice->shape, at::TensorOptions().dtype(at::kFloat));
  if (!slice->data.empty()) std::memcpy(tensor.data_ptr(), slice->data.data(), slice->data.size());
  return tensor;
}

// ---- members ------------------------------------------------------------------------------------

MemberResult failed_member(const Problems& problems) {
  MemberResult result;
  result.kind = MemberResult::Kind::failed;
  result.reason = scheduler::Reason::bad_input;
  result.message = problems.front().text();
  return result;
}

/// Whether this model can make what the request asks for.
std::optional<Problem> unfit_request(const MemberJob& member, std::int64_t image_size) {
  if (!member.request) return file_problem("request", {}, "a body", "none");
  const Shape& shape = member.request->shape;
  const auto fits = [&](std::uint32_t pixels) { return pixels == 0 || pixels == image_size; };
  if (!fits(shape.width) || !fits(shape.height))
    return file_problem("request", "size", fmt::format("{0}x{0} pixels", image_size),
                        fmt::format("{}x{}", shape.width, shape.height));
  if (shape.frames != 1)
    return file_problem("request", "frames", "1", std::to_string(shape.frames));
  if (shape.images < 1 || shape.images > kMostImages)
    return file_problem("request", "images", fmt::format("1 to {}", kMostImages),
                        std::to_string(shape.images));
  return std::nullopt;
}

Result<std::vector<TensorSlice>> unpack_input(const MemberJob& member, const char* from) {
  if (member.inputs.empty()) return fail(file_problem(from, {}, "one input", "none"));
  return unpack(bytes_of(member.inputs.front()), from);
}

// ---- encoder ------------------------------------------------------------------------------------

BatchResult run_stage(const TextEncoder& encoder, const BatchJob& job, const StepGate&) {
  BatchResult result;
  result.members.resize(job.members.size());
  result.steps_done = job.last_step;
  std::vector<std::string> prompts;
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < job.members.size(); ++i) {
    if (const auto problem = unfit_request(job.members[i], encoder.sizes().image_size)) {
      result.members[i] = failed_member({*problem});
      continue;
    }
    prompts.push_back(job.members[i].request->prompt);
    positions.push_back(i);
  }
  if (prompts.empty()) return result;
  const at::Tensor text = encoder.encode(prompts);
  for (std::size_t i = 0; i < positions.size(); ++i)
    result.members[positions[i]].bytes =
        pack_one("text", text.select(0, static_cast<std::int64_t>(i)));
  return result;
}

// ---- dit ----------------------------------------------------------------------------------------

/// One member on its way through the steps.
struct Sample {
  std::size_t member = 0;  ///< position in the job
  at::Tensor latent;       ///< [images, C, S, S]
  at::Tensor text;         ///< [2, T, W]
  std::int64_t steps = 1;  ///< of the whole request
  double guidance = 0;
};

/// Fresh noise, or the latent and text of a state.
Result<Sample> read_sample(const BuiltinSizes& sizes, const BatchJob& job, std::size_t position) {
  const MemberJob& member = job.members[position];
  if (auto problem = unfit_request(member, sizes.image_size)) return fail(std::move(*problem));
  const scheduler::RequestBody& request = *member.request;
  if (request.shape.steps < job.last_step || job.first_step >= job.last_step)
    return fail(file_problem("request", "steps", fmt::format("at least {}", job.last_step),
                             std::to_string(request.shape.steps)));
  Sample sample{position,
                {},
                {},
                request.shape.steps,
                request.guidance > 0 ? request.guidance : sizes.guidance};
  const auto images = static_cast<std::int64_t>(request.shape.images);
  const std::vector<std::int64_t> text_shape{2, sizes.text_tokens, sizes.text_width};
  const bool resumes = !member.state.empty();
  const char* const from = resumes ? "state of dit" : "output of encoder";
  const auto bundle = resumes ? unpack(bytes_of(member.state), from) : unpack_input(member, from);
  if (!bundle) return fail(bundle.error());
  auto text = read_floats(*bundle, "text", text_shape, from);
  if (!text) return fail(std::move(text.error()));
  sample.text = std::move(*text);
  if (!resumes) {
    if (job.first_step != 0)
      return fail(
          file_problem(from, {}, fmt::format("a state at step {}", job.first_step), "none"));
    std::vector<at::Tensor> noise;
    for (std::uint64_t picture = 0; picture < request.shape.images; ++picture)
      noise.push_back(initial_latent(request.noise_seed + picture, sizes));
    sample.latent = at::cat(noise);
    return sample;
  }
  auto latent =
      read_floats(*bundle, "latent",
                  {images, sizes.latent_channels, sizes.latent_size, sizes.latent_size}, from);
  if (!latent) return fail(std::move(latent.error()));
  sample.latent = std::move(*latent);
  const auto done = select(*bundle, "steps_done", ElementType::i64, {}, from);
  if (!done) return fail(done.error());
  std::int64_t steps_done = 0;
  std::memcpy(&steps_done, done->data.data(), sizeof steps_done);
  if (steps_done != job.first_step)
    return fail(file_problem(from, "steps_done", std::to_string(job.first_step),
                             std::to_string(steps_done)));
  return sample;
}

Buffer pack_state(const Sample& sample, const at::Tensor& latent, std::int64_t steps_done) {
  const at::Tensor whole = latent.contiguous();
  return to_buffer(std::array{
      slice_of("latent", whole), slice_of("text", sample.text),
      TensorSlice{"steps_done", ElementType::i64, {}, std::as_bytes(std::span(&steps_done, 1))}});
}

BatchResult run_stage(const Dit& dit, const BatchJob& job, const StepGate& gate) {
  BatchResult result;
  result.members.resize(job.members.size());
  std::vector<Sample> samples;
  for (std::size_t i = 0; i < job.members.size(); ++i) {
    auto sample = read_sample(dit.sizes(), job, i);
    if (sample)
      samples.push_back(std::move(*sample));
    else
      result.members[i] = failed_member(sample.error());
  }
  result.steps_done = job.last_step;
  if (samples.empty()) return result;

  // One row for each picture of each member.
  std::vector<at::Tensor> latents;
  std::vector<at::Tensor> texts;
  std::vector<std::int64_t> steps;
  std::vector<float> scales;
  for (const Sample& sample : samples) {
    latents.push_back(sample.latent);
    for (std::int64_t i = 0; i < sample.latent.size(0); ++i) {
      texts.push_back(sample.text);
      steps.push_back(sample.steps);
      scales.push_back(static_cast<float>(sample.guidance));
    }
  }
  at::Tensor latent = at::cat(latents);
  const at::Tensor text = at::stack(texts);
  const at::Tensor guidance = at::tensor(scales);
  std::uint32_t step = job.first_step;
  bool goes_on = gate(step);
  while (goes_on && step < job.last_step) {
    latent = dit.step(latent, step, steps, text, guidance);
    ++step;
    goes_on = gate(step) || step == job.last_step;
  }

  result.steps_done = step;
  result.preempted = step < job.last_step;
  std::int64_t row = 0;
  for (const Sample& sample : samples) {
    const at::Tensor rows = latent.slice(0, row, row + sample.latent.size(0));
    row += sample.latent.size(0);
    MemberResult& member = result.members[sample.member];
    member.kind = result.preempted ? MemberResult::Kind::state : MemberResult::Kind::output;
    member.bytes = result.preempted ? pack_state(sample, rows, step) : pack_one("latent", rows);
  }
  return result;
}

// ---- decoder ------------------------------------------------------------------------------------

/// Binary PPM of [images, size, size, 3] uint8, one picture after the other.
Buffer to_ppm(const at::Tensor& pictures) {
  const at::Tensor whole = pictures.contiguous();
  const auto size = static_cast<std::size_t>(whole.size(1) * whole.size(2) * 3);
  const char* pixels = reinterpret_cast<const char*>(whole.data_ptr<std::uint8_t>());
  std::string text;
  for (std::int64_t i = 0; i < whole.size(0); ++i, pixels += size) {
    text += fmt::format("P6\n{} {}\n255\n", whole.size(2), whole.size(1));
    text.append(pixels, size);
  }
  return Buffer::of(std::move(text));
}

Result<at::Tensor> read_latent(const BuiltinSizes& sizes, const MemberJob& member) {
  if (auto problem = unfit_request(member, sizes.image_size)) return fail(std::move(*problem));
  constexpr char kFrom[] = "output of dit";
  const auto bundle = unpack_input(member, kFrom);
  if (!bundle) return fail(bundle.error());
  return read_floats(*bundle, "latent",
                     {static_cast<std::int64_t>(member.request->shape.images),
                      sizes.latent_channels, sizes.latent_size, sizes.latent_size},
                     kFrom);
}

BatchResult run_stage(const Decoder& decoder, const BatchJob& job, const StepGate&) {
  BatchResult result;
  result.members.resize(job.members.size());
  result.steps_done = job.last_step;
  std::vector<at::Tensor> latents;
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < job.members.size(); ++i) {
    auto latent = read_latent(decoder.sizes(), job.members[i]);
    if (!latent) {
      result.members[i] = failed_member(latent.error());
      continue;
    }
    latents.push_back(std::move(*latent));
    positions.push_back(i);
  }
  if (latents.empty()) return result;
  const at::Tensor pictures = decoder.decode_bytes(at::cat(latents));
  std::int64_t row = 0;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::int64_t images = latents[i].size(0);
    result.members[positions[i]].bytes = to_ppm(pictures.slice(0, row, row + images));
    row += images;
  }
  return result;
}

template <class Stage, class Model>
Result<Model> load_as(const SafetensorsFile& file) {
  auto stage = Stage::load(file);
  if (!stage) return fail(std::move(stage.error()));
  return Model(std::move(*stage));
}

}  // namespace

Result<StageRunner> StageRunner::load(const SafetensorsFile& file, StageKind kind) {
  Result<Model> model = [&]() -> Result<Model> {
    switch (kind) {
      case StageKind::encoder:
        return load_as<TextEncoder, Model>(file);
      case StageKind::dit:
        return load_as<Dit, Model>(file);
      case StageKind::decoder:
        return load_as<Decoder, Model>(file);
      case StageKind::image_encoder:
      case StageKind::other:
        break;
    }
    return fail(
        file_problem(file.path(), {}, "a stage of kind encoder, dit or decoder", "another"));
  }();
  if (!model) return fail(std::move(model.error()));
  return StageRunner(std::move(*model));
}

BatchResult StageRunner::run(const BatchJob& job, const StepGate& gate) const {
  const c10::InferenceMode inference;
  return std::visit([&](const auto& stage) { return run_stage(stage, job, gate); }, model_);
}

std::uint64_t StageRunner::weight_bytes() const {
  return std::visit([](const auto& stage) { return stage.bytes(); }, model_);
}

// The widest moment: of the decoder, four tensors of the last level; of the DiT, about ten times
// the tokens of both guidance passes (modulated input, queries, keys, values, the four-fold MLP).
std::uint64_t StageRunner::workspace_bytes() const {
  constexpr std::int64_t kBatch = 8;
  std::int64_t floats = 0;
  if (const auto* decoder = std::get_if<Decoder>(&model_)) {
    const BuiltinSizes& s = decoder->sizes();
    floats = 4 * s.decoder_channels[2] * s.image_size * s.image_size;
  } else if (const auto* dit = std::get_if<Dit>(&model_)) {
    const BuiltinSizes& s = dit->sizes();
    const std::int64_t grid = s.latent_size / s.patch;
    floats = 2 * 10 * grid * grid * s.dit_width;
  }
  return static_cast<std::uint64_t>(kBatch * floats) * sizeof(float);
}

}  // namespace disagfusion::exec::torch_stage
