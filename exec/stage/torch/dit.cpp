#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>

#include "base/check.hpp"
#include "base/random.hpp"
#include "exec/stage/torch/builtin_model.hpp"
#include "exec/stage/torch/layers.hpp"

namespace disagfusion::exec::torch_stage {

namespace {

struct Block {
  at::Tensor modulation;  ///< [6, width], added to the shared modulation
  Attention attention;
  LayerNorm cross_norm;
  Attention cross;
  Mlp mlp;

  /// x [B, N, width], shared [B, 6, width] (shift, scale and gate; twice), text [B, T, text width].
  [[nodiscard]] at::Tensor operator()(at::Tensor x, const at::Tensor& shared,
                                      const at::Tensor& text) const {
    const auto m = (shared + modulation).chunk(6, 1);  // each [B, 1, width]
    const at::Tensor y = plain_norm(x) * (1 + m[1]) + m[0];
    x = x + m[2] * attention(y, y);
    x = x + cross(cross_norm(x), text);
    return x + m[5] * mlp(plain_norm(x) * (1 + m[4]) + m[3]);
  }
};

/// cos and sin of 1000 t / 10000^(k / half), k = 0 ... half - 1, made in double: [B, 2 half].
at::Tensor time_features(const at::Tensor& time, std::int64_t count) {
  const std::int64_t half = count / 2;
  const at::Tensor k = at::arange(half, at::TensorOptions().dtype(at::kDouble));
  const at::Tensor frequency = at::exp(k * (-std::log(10000.0)) / static_cast<double>(half));
  const at::Tensor angle = (time * 1000.0).unsqueeze(1) * frequency;
  return at::cat({at::cos(angle), at::sin(angle)}, 1).to(at::kFloat);
}

}  // namespace

struct Dit::Layers {
  BuiltinSizes sizes;
  at::Tensor positions;
  Linear patch_in, time_in, time_out, text_in, modulation, final_modulation, patch_out;
  std::vector<Block> blocks;
  std::uint64_t bytes = 0;

  /// Velocity without guidance; text [B, T, text width].
  [[nodiscard]] at::Tensor operator()(const at::Tensor& latent, const at::Tensor& time,
                                      const at::Tensor& text) const;
};

Dit::Dit(std::unique_ptr<Layers> layers) : layers_(std::move(layers)) {}
Dit::Dit(Dit&&) noexcept = default;
Dit& Dit::operator=(Dit&&) noexcept = default;
Dit::~Dit() = default;

Result<Dit> Dit::load(const SafetensorsFile& file) {
  const c10::InferenceMode inference;
  const auto sizes = BuiltinSizes::read(file);
  if (!sizes) return fail(sizes.error());

  WeightsReader reader(file, "dit.");
  const std::int64_t width = sizes->dit_width;
  const std::int64_t token = sizes->latent_channels * sizes->patch * sizes->patch;
  const std::int64_t grid = sizes->latent_size / sizes->patch;
  auto layers = std::make_unique<Layers>();
  layers->sizes = *sizes;
  layers->positions = reader.take("positions", {grid * grid, width});
  layers->patch_in = Linear::take(reader, "patch_in", token, width);
  layers->time_in = Linear::take(reader, "time_in", sizes->time_features, width);
  layers->time_out = Linear::take(reader, "time_out", width, width);
  layers->text_in = Linear::take(reader, "text_in", sizes->text_width, width);
  layers->modulation = Linear::take(reader, "modulation", width, 6 * width);
  layers->final_modulation = Linear::take(reader, "final_modulation", width, 2 * width);
  layers->patch_out = Linear::take(reader, "patch_out", width, token);
  for (std::int64_t i = 0; i < sizes->dit_blocks; ++i) {
    const std::string name = "blocks." + std::to_string(i);
    layers->blocks.push_back(
        {reader.take(name + ".modulation", {6, width}),
         Attention::take(reader, name + ".attention", width, width, sizes->dit_heads),
         LayerNorm::take(reader, name + ".cross_norm", width),
         Attention::take(reader, name + ".cross", width, sizes->text_width, sizes->dit_heads),
         Mlp::take(reader, name + ".mlp", width)});
  }
  layers->bytes = reader.bytes();
  Problems problems = reader.finish();
  if (!problems.empty()) return fail(std::move(problems));
  return Dit(std::move(layers));
}

at::Tensor Dit::Layers::operator()(const at::Tensor& latent, const at::Tensor& time,
                                   const at::Tensor& text) const {
  const std::int64_t batch = latent.size(0);
  const std::int64_t channels = sizes.latent_channels;
  const std::int64_t p = sizes.patch;
  const std::int64_t grid = sizes.latent_size / p;
  at::Tensor x = latent.reshape({batch, channels, grid, p, grid, p}).permute({0, 2, 4, 1, 3, 5});
  x = patch_in(x.reshape({batch, grid * grid, channels * p * p})) + positions;

  const at::Tensor of_time = time_out(at::silu(time_in(time_features(time, sizes.time_features))));
  const at::Tensor condition = at::silu(of_time + text_in(text.mean(1)));
  const at::Tensor shared = modulation(condition).view({batch, 6, -1});
  for (const Block& block : blocks) x = block(x, shared, text);

  const auto last = final_modulation(condition).unsqueeze(1).chunk(2, -1);
  x = patch_out(plain_norm(x) * (1 + last[1]) + last[0]);
  x = x.view({batch, grid, grid, channels, p, p}).permute({0, 3, 1, 4, 2, 5});
  return x.reshape({batch, channels, sizes.latent_size, sizes.latent_size});
}

at::Tensor Dit::velocity(const at::Tensor& latent, const at::Tensor& time, const at::Tensor& text,
                         const at::Tensor& guidance) const {
  const c10::InferenceMode inference;
  const at::Tensor both_texts = at::cat({text.select(1, 0), text.select(1, 1)});
  const auto both =
      (*layers_)(at::cat({latent, latent}), at::cat({time, time}), both_texts).chunk(2);
  return both[1] + guidance.view({-1, 1, 1, 1}) * (both[0] - both[1]);
}

at::Tensor Dit::step(const at::Tensor& latent, std::int64_t index,
                     std::span<const std::int64_t> steps, const at::Tensor& text,
                     const at::Tensor& guidance) const {
  const c10::InferenceMode inference;
  const auto batch = static_cast<std::int64_t>(steps.size());
  DF_CHECK_EQ(batch, latent.size(0));
  const at::Tensor time = at::empty({batch}, at::TensorOptions().dtype(at::kDouble));
  const at::Tensor width = at::empty({batch, 1, 1, 1}, at::TensorOptions().dtype(at::kFloat));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    DF_CHECK(index >= 0 && index < steps[i], "step {} of {}", index, steps[i]);
    const auto count = static_cast<double>(steps[i]);
    time.data_ptr<double>()[i] = 1.0 - static_cast<double>(index) / count;
    width.data_ptr<float>()[i] = static_cast<float>(1.0 / count);
  }
  return latent - width * velocity(latent, time, text, guidance);
}

const BuiltinSizes& Dit::sizes() const { return layers_->sizes; }
std::uint64_t Dit::bytes() const { return layers_->bytes; }

at::Tensor initial_latent(std::uint64_t seed, const BuiltinSizes& sizes) {
  at::Tensor latent = at::empty({1, sizes.latent_channels, sizes.latent_size, sizes.latent_size},
                                at::TensorOptions().dtype(at::kFloat));
  RandomStream stream(seed, Purpose::weights, 0);
  float* const values = latent.data_ptr<float>();
  for (std::int64_t i = 0; i < latent.numel(); ++i) values[i] = static_cast<float>(stream.normal());
  return latent;
}

}  // namespace disagfusion::exec::torch_stage
