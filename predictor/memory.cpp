#include "predictor/memory.hpp"

#include <algorithm>

namespace disagfusion::predictor {
namespace {

// Live tensors of width H a token, in a DiT block: residual, normalised, q, k, v, attention output
// and the widest MLP tensor (about 4 H twice). Serving-tuned code stays near it; the published
// reference code of Wan and HunyuanVideo needs 37-57 (float32 modulation, float64 rotary
// embedding).
constexpr double kTensorsAToken = 14;
// Bytes a pixel at the VAE's full resolution: about 6.5 live tensors of 128 channels, 2 bytes each.
// From FLUX.1-dev at batch 4, 8, 16 on H100 (rows M262, M264, M266): 1.4-1.75 GB a megapixel.
constexpr double kVaeBytesAPixel = 1.7e3;
// The picture itself, which tiles are put together to: 3 channels, 2 bytes.
constexpr double kPictureBytesAPixel = 6;
constexpr double kStreamedBlocks = 2;

double vae_peak(const Architecture& model, const Shape& shape, double images,
                std::uint32_t tile = 0) {
  const double frames =
      std::min(shape.frames, static_cast<std::uint32_t>(std::max(1, model.vae_t)));
  const double peak = kVaeBytesAPixel * std::max(1.0, frames) * images;
  if (tile == 0 || (shape.width <= tile && shape.height <= tile))
    return peak * shape.width * shape.height;
  const double whole = kPictureBytesAPixel * shape.width * shape.height * shape.frames * images;
  return peak * std::min(tile, shape.width) * std::min(tile, shape.height) + whole;
}

double text_activations(const Architecture& model, double prompts) {
  const double width = 4.0 * model.text_hidden + 2.0 * model.text_ffn;
  return 2 * width * model.text_max_tokens * prompts;
}

}  // namespace

double stage_weight_bytes(StageKind kind, const Architecture& model, NumberFormat format) {
  const double bytes = bytes_per_parameter(format);
  switch (kind) {
    case StageKind::dit:
      return model.dit_params_b * 1e9 * bytes;
    case StageKind::decoder:
      return vae_parameters(model) * bytes;
    case StageKind::image_encoder:
      return (image_encoder_parameters(model) + vae_parameters(model)) * bytes;
    case StageKind::encoder: {
      const double image =
          encodes_image(model) ? image_encoder_parameters(model) + vae_parameters(model) : 0;
      return (model.text_params_b * 1e9 + image) * bytes;
    }
    case StageKind::other:
      return 0;
  }
  return 0;
}

double streamed_weight_bytes(StageKind kind, const Architecture& model, NumberFormat format) {
  const double all = stage_weight_bytes(kind, model, format);
  int blocks = 1;
  if (kind == StageKind::dit) blocks = model.double_layers + model.single_layers;
  if (kind == StageKind::encoder) blocks = model.text_layers;
  return all * std::min(1.0, kStreamedBlocks / std::max(1, blocks));
}

// DiT:     2 k (n / p + m) H b     n image and m text tokens on p GPUs, b images, k = 14
// decoder: 1.7 kB w h min(frames, t) b   a causal video VAE decodes t frames at a time; in tiles of
//          s pixels a side 1.7 kB min(w, s) min(h, s) min(frames, t) b + 6 B w h frames b
// encoder: 2 (4 H + 2 F) m b, or the VAE's peak where it encodes an image, the larger
double stage_activation_bytes(StageKind kind, const Architecture& model, const Call& call) {
  const double images = call.batch;
  switch (kind) {
    case StageKind::dit: {
      const double tokens =
          image_tokens(model, call.shape) / std::max(1U, call.sequence) + model.text_seq_in_dit;
      return 2 * kTensorsAToken * tokens * model.hidden * images + kContextBytes;
    }
    case StageKind::decoder:
      return vae_peak(model, call.shape, images, call.vae_tile) + kContextBytes;
    case StageKind::image_encoder:
      return vae_peak(model, call.shape, 1) + kContextBytes;
    case StageKind::encoder: {
      const double text = text_activations(model, images);
      const double image = encodes_image(model) ? vae_peak(model, call.shape, 1) : 0;
      return std::max(text, image) + kContextBytes;
    }
    case StageKind::other:
      return 0;
  }
  return 0;
}

// t = W / min(0.8 B_pcie, B_disk)
double load_seconds(double bytes, const GpuSpec& gpu, WeightsFrom from) {
  constexpr double kPinnedShare = 0.8;
  constexpr double kDisk = 2e9;
  if (gpu.pcie_bandwidth <= 0) return 0;
  const double link = kPinnedShare * gpu.pcie_bandwidth;
  return bytes / (from == WeightsFrom::disk ? std::min(link, kDisk) : link);
}

}  // namespace disagfusion::predictor
