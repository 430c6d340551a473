// The coarse analytical predictor: FLOP and bytes of a stage over the rates of a GPU.
// docs/models/predictor.md has the formulas, the data behind the constants and the errors.
#pragma once

#include <cstdint>
#include <string>

#include "base/scenario.hpp"
#include "predictor/number_format.hpp"

namespace disagfusion::predictor {

/// Frames of the latent video; 1 for an image.
double latent_frames(const Architecture& model, const Shape& shape);

/// Tokens of one image or video in the DiT. Models that edit an image (task i2i) carry the noise
/// and the reference side by side: twice the tokens.
double image_tokens(const Architecture& model, const Shape& shape);

/// Whether image and text tokens attend to one another in one product (else self + cross).
bool joint_attention(const Architecture& model);

/// FLOP of one forward pass of the DiT, one image or video.
struct DitWork {
  double linear_flop = 0, attention_flop = 0;
};
DitWork dit_work(const Architecture& model, const Shape& shape);

/// Whether the request carries an image that its encoder stage encodes (tasks i2v, i2i).
bool encodes_image(const Architecture& model);

/// Numbers of the model that are read off the data file's words rather than its columns: parameters
/// of an image encoder ("CLIP ViT-H/14 0.63B 257 tokens": 0.63e9), 0 when none is stated.
double image_encoder_parameters(const Architecture& model);

/// VAE parameters; where the data file leaves them out, 2e8 (the middle of its other video VAEs).
double vae_parameters(const Architecture& model);

/// FLOP of encoding one prompt of `tokens` tokens: by `text_gmac_per_prompt`, in proportion to the
/// longest prompt, else 2 a parameter and token.
double text_flop(const Architecture& model, double tokens);

/// FLOP of decoding one image or video: by `vae_kflop_per_pixel`, else 0.1 a parameter and pixel.
double vae_flop(const Architecture& model, const Shape& shape);

/// Pixels that a decoder computes over pixels of the picture, where it works on tiles of `tile`
/// pixels a side that overlap by a quarter (diffusers' default); 1 where `tile` is 0.
double tiled_share(const Shape& shape, std::uint32_t tile);

/// How one call of a stage is run. `steps` and `images` are those of the shape.
struct Call {
  Shape shape;
  std::uint32_t batch = 1;     ///< images
  double passes = 0;           ///< forward passes a step; 0: the model's own
  std::uint32_t sequence = 1;  ///< GPUs that share the tokens
  std::uint32_t guidance = 1;  ///< GPUs that share the guidance passes
  std::uint32_t vae = 1;       ///< GPUs that share the decoder
  NumberFormat format = NumberFormat::bf16;
  bool offload = false;        ///< weights streamed from host memory at every forward pass
  std::uint32_t vae_tile = 0;  ///< pixels a side that the decoder works on at a time; 0: all
};

/// Seconds, by what they are spent on. The larger of compute and traffic counts: the other is 0.
struct Parts {
  double linear = 0, attention = 0;  ///< DiT matrix products
  double elementwise = 0;            ///< norms, activations, rotations (fitted form only)
  double other = 0;                  ///< encoder and VAE work
  double memory = 0;                 ///< reading weights, where that takes longer than computing
  double offload = 0;                ///< waiting for streamed weights, where that takes longest
  double communication = 0;
  double overhead = 0;  ///< launches
  [[nodiscard]] double total() const {
    return linear + attention + elementwise + other + memory + offload + communication + overhead;
  }
};

/// seconds = fixed + steps x per_step.
struct StageSeconds {
  Parts fixed, per_step;
  [[nodiscard]] double total(std::uint32_t steps) const {
    return fixed.total() + per_step.total() * steps;
  }
};

/// The 5 % and 95 % points of measured / predicted.
struct Spread {
  double lo = 1, hi = 1;
};
Spread spread_of(StageKind kind);

/// One model on one GPU type. Cheap to ask (no power, logarithm or allocation for sequence = 1).
class Roofline {
 public:
  Roofline(const Architecture& model, const GpuSpec& gpu);

  /// Why this stage kind cannot be predicted here; empty when it can. `kind` other is never.
  [[nodiscard]] std::string refusal(StageKind kind) const;

  /// Precondition: refusal(kind) is empty, the shape has a width and a height (else the model's
  /// default size is taken).
  [[nodiscard]] StageSeconds seconds(StageKind kind, const Call& call) const;

  /// The model's default size (and frames) where the shape has none.
  [[nodiscard]] Shape with_defaults(Shape shape) const;

  /// Seconds of one request through all stages on one GPU set, the weights resident or taking
  /// turns.
  [[nodiscard]] double end_to_end(const Call& call) const;

  /// Parts of an encoder stage, seconds a call: the prompts; the image's embedding (CLIP); the
  /// condition image or video in the VAE.
  [[nodiscard]] double text_encoder(const Call& call) const;
  [[nodiscard]] double image_encoder(const Call& call) const;
  [[nodiscard]] double vae_encode(const Call& call) const;

 private:
  [[nodiscard]] StageSeconds dit(const Call& call) const;
  [[nodiscard]] StageSeconds encoder(const Call& call) const;
  [[nodiscard]] double decoder(const Call& call) const;

  Architecture model_;
  GpuSpec gpu_;
  double rate_16_ = 0;    ///< attainable FLOP/s before utilisation: 16-bit peak x power factor
  double power_ = 1;      ///< power factor
  double link_ = 0;       ///< bytes/s between GPUs, attainable
  double host_link_ = 0;  ///< bytes/s from host memory, attainable
  double layers_ = 0;
};

}  // namespace disagfusion::predictor
