#include "predictor/bytes.hpp"

#include <algorithm>
#include <cmath>

#include "predictor/features.hpp"
#include "predictor/roofline.hpp"

namespace disagfusion::predictor {
namespace {

constexpr double kBytesANumber = 2;  // bf16 on the wire
constexpr double kClipTokens = 257;  // ViT-H/14: 16 x 16 patches and a class token
constexpr double kClipWidth = 1280;  // of its penultimate layer

double latents_of_one(const Architecture& model, const Shape& shape) {
  return model.vae_channels * latent_frames(model, shape) *
         std::ceil(static_cast<double>(shape.height) / model.vae_s) *
         std::ceil(static_cast<double>(shape.width) / model.vae_s) * kBytesANumber;
}

double image_condition_bytes(const Architecture& model, const Shape& shape) {
  if (!encodes_image(model)) return 0;
  const bool clip = model.image_encoder.starts_with("CLIP");
  return latents_of_one(model, shape) + (clip ? kClipTokens * kClipWidth * kBytesANumber : 0);
}

}  // namespace

// bytes = 2 m d c + condition: m text tokens that the DiT sees, d their width, c = 2 with guidance
// by passes, else 1.
double encoder_output_bytes(const Architecture& model, const Shape& shape) {
  const double texts = model.passes_per_step > 1 ? 2 : 1;
  return kBytesANumber * text_tokens(model) * model.text_dim_to_dit * texts +
         image_condition_bytes(model, shape);
}

// bytes = 2 c t (h / s) (w / s) images: c latent channels, t latent frames, s the VAE's stride.
double latent_bytes(const Architecture& model, const Shape& shape) {
  return latents_of_one(model, shape) * std::max(1U, shape.images);
}

double stage_output_bytes(StageKind kind, const Architecture& model, const Shape& shape) {
  switch (kind) {
    case StageKind::encoder:
      return encoder_output_bytes(model, shape);
    case StageKind::image_encoder:
      return image_condition_bytes(model, shape);
    case StageKind::dit:
      return latent_bytes(model, shape);
    case StageKind::decoder:
    case StageKind::other:
      return 0;
  }
  return 0;
}

}  // namespace disagfusion::predictor
