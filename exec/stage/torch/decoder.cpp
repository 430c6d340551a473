#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "exec/stage/torch/builtin_model.hpp"
#include "exec/stage/torch/layers.hpp"

namespace disagfusion::exec::torch_stage {

struct Decoder::Layers {
  BuiltinSizes sizes;
  at::Tensor latent_mean, latent_std;  ///< [C]: what the latents were before training scaled them
  Convolution conv_in, up16, up32, conv_out;
  ResidualBlock block8, block16, block32;
  std::uint64_t bytes = 0;
};

Decoder::Decoder(std::unique_ptr<Layers> layers) : layers_(std::move(layers)) {}
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

Result<Decoder> Decoder::load(const SafetensorsFile& file) {
  const c10::InferenceMode inference;
  const auto sizes = BuiltinSizes::read(file);
  if (!sizes) return fail(sizes.error());

  WeightsReader reader(file, "decoder.");
  const std::int64_t latent = sizes->latent_channels;
  const auto& channels = sizes->decoder_channels;
  auto layers = std::make_unique<Layers>();
  layers->sizes = *sizes;
  layers->latent_mean = reader.take("latent_mean", {latent});
  layers->latent_std = reader.take("latent_std", {latent});
  layers->conv_in = Convolution::take(reader, "conv_in", latent, channels[0], 3);
  layers->block8 = ResidualBlock::take(reader, "block8", channels[0], sizes->norm_groups);
  layers->up16 = Convolution::take(reader, "up16", channels[0], 4 * channels[1], 1);
  layers->block16 = ResidualBlock::take(reader, "block16", channels[1], sizes->norm_groups);
  layers->up32 = Convolution::take(reader, "up32", channels[1], 4 * channels[2], 1);
  layers->block32 = ResidualBlock::take(reader, "block32", channels[2], sizes->norm_groups);
  layers->conv_out = Convolution::take(reader, "conv_out", channels[2], 3, 3);
  layers->bytes = reader.bytes();
  Problems problems = reader.finish();
  if (!problems.empty()) return fail(std::move(problems));
  return Decoder(std::move(layers));
}

at::Tensor Decoder::decode(const at::Tensor& latent) const {
  const c10::InferenceMode inference;
  const Layers& l = *layers_;
  at::Tensor x = latent * l.latent_std.view({1, -1, 1, 1}) + l.latent_mean.view({1, -1, 1, 1});
  x = l.block8(l.conv_in(x));
  x = l.block16(at::pixel_shuffle(l.up16(x), 2));
  x = l.block32(at::pixel_shuffle(l.up32(x), 2));
  return at::clamp(l.conv_out(x) + 0.5, 0, 1);
}

at::Tensor Decoder::decode_bytes(const at::Tensor& latent) const {
  const c10::InferenceMode inference;
  return at::round(decode(latent) * 255.0).to(at::kByte).permute({0, 2, 3, 1}).contiguous();
}

const BuiltinSizes& Decoder::sizes() const { return layers_->sizes; }
std::uint64_t Decoder::bytes() const { return layers_->bytes; }

}  // namespace disagfusion::exec::torch_stage
