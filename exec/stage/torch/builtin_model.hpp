// The built-in model in LibTorch: text encoder, DiT and VAE decoder for 32 x 32 pictures of tinted
// Fashion-MNIST items. builtin/reference.py is the same model in Python; the tests hold both to
// within 1e-4 of each other at every boundary. Everything computes in float32 on the CPU.
//
// Methods: flow matching on the straight path (Lipman et al. 2023), DiT blocks with adaLN-zero
// (Peebles and Xie 2023) whose modulation is one shared projection plus a table per block (Chen et
// al. 2024), cross-attention to the text, classifier-free guidance (Ho and Salimans 2022).
//
// One seed, one picture: the first latent depends on the seed alone. Batch size and thread count
// change the order of sums and so the last bits of a latent (2e-6 measured after 20 steps); a
// picture, rounded to 8 bits, then differs in no value or by 1 of 255.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "exec/stage/torch/safetensors.hpp"

namespace disagfusion::exec::torch_stage {

/// The sizes in the metadata of a weights file (`architecture`).
struct BuiltinSizes {
  std::int64_t image_size = 0;  ///< pixels, width and height
  std::int64_t latent_channels = 0;
  std::int64_t latent_size = 0;  ///< width and height
  std::int64_t patch = 0;        ///< side of a DiT token, in latent pixels
  std::int64_t text_tokens = 0, text_width = 0, text_layers = 0, text_heads = 0;
  std::int64_t dit_width = 0, dit_blocks = 0, dit_heads = 0, time_features = 0;
  std::vector<std::int64_t> decoder_channels;  ///< at 1, 2 and 4 times the latent's size
  std::int64_t norm_groups = 0;
  std::int64_t steps = 0;  ///< default of a request
  double guidance = 0;     ///< default of a request

  /// Fails where the file is no built-in model or its sizes do not fit each other.
  static Result<BuiltinSizes> read(const SafetensorsFile& file);
};

/// Prompts to word tokens over the closed vocabulary in the weights file.
///
/// ASCII letters are lowered; hyphens and apostrophes vanish ("T-shirt" is "tshirt"); every other
/// character outside a-z and 0-9 ends a word. A word outside the vocabulary is [unk]. Where the
/// prompt has more words than `length`, unknown words go first, then the tail.
class Tokenizer {
 public:
  static Result<Tokenizer> read(const SafetensorsFile& file, std::int64_t length);

  /// Exactly `length` ids, filled up with [pad].
  [[nodiscard]] std::vector<std::int64_t> tokenize(std::string_view prompt) const;
  /// Number of ids, the size of the embedding table.
  [[nodiscard]] std::int64_t size() const { return size_; }

 private:
  std::map<std::string, std::int64_t, std::less<>> ids_;
  std::size_t length_ = 0;
  std::int64_t size_ = 0;
  std::int64_t pad_ = 0, unknown_ = 0;
};

/// Text to embedding: a transformer of a few layers over word tokens. Padding is attended to.
class TextEncoder {
 public:
  static Result<TextEncoder> load(const SafetensorsFile& file);
  TextEncoder(TextEncoder&&) noexcept;
  TextEncoder& operator=(TextEncoder&&) noexcept;
  ~TextEncoder();

  [[nodiscard]] const Tokenizer& tokenizer() const;
  /// [B, 2, text_tokens, text_width]: of each prompt, and of the empty prompt (for guidance).
  [[nodiscard]] at::Tensor encode(std::span<const std::string> prompts) const;
  [[nodiscard]] const BuiltinSizes& sizes() const;
  /// Of the weights in memory.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Layers;
  explicit TextEncoder(std::unique_ptr<Layers> layers);
  std::unique_ptr<Layers> layers_;
};

/// The diffusion transformer. x_t = (1 - t) data + t noise; it predicts v = noise - data.
class Dit {
 public:
  static Result<Dit> load(const SafetensorsFile& file);
  Dit(Dit&&) noexcept;
  Dit& operator=(Dit&&) noexcept;
  ~Dit();

  /// Guided velocity v_uncond + guidance (v_cond - v_uncond), as the latent [B, C, S, S]. `time`
  /// [B] float64 in [0, 1]; `text` [B, 2, T, W] of TextEncoder; `guidance` [B] float32.
  [[nodiscard]] at::Tensor velocity(const at::Tensor& latent, const at::Tensor& time,
                                    const at::Tensor& text, const at::Tensor& guidance) const;
  /// Euler step `index` of `steps`: from t = 1 - index / steps to 1 - (index + 1) / steps. Steps
  /// hold no state: a sequence may stop after any step and go on elsewhere. `steps` [B] int64 may
  /// differ within the batch.
  [[nodiscard]] at::Tensor step(const at::Tensor& latent, std::int64_t index,
                                std::span<const std::int64_t> steps, const at::Tensor& text,
                                const at::Tensor& guidance) const;
  [[nodiscard]] const BuiltinSizes& sizes() const;
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Layers;
  explicit Dit(std::unique_ptr<Layers> layers);
  std::unique_ptr<Layers> layers_;
};

/// The VAE decoder.
class Decoder {
 public:
  static Result<Decoder> load(const SafetensorsFile& file);
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  ~Decoder();

  /// RGB in [0, 1], [B, 3, image_size, image_size], of latents [B, C, S, S] in unit variance.
  [[nodiscard]] at::Tensor decode(const at::Tensor& latent) const;
  /// The same as [B, image_size, image_size, 3] uint8, contiguous: 255 x, ties to even.
  [[nodiscard]] at::Tensor decode_bytes(const at::Tensor& latent) const;
  [[nodiscard]] const BuiltinSizes& sizes() const;
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Layers;
  explicit Decoder(std::unique_ptr<Layers> layers);
  std::unique_ptr<Layers> layers_;
};

/// Standard normal noise [1, C, S, S]. Element i is draw i of RandomStream(seed, Purpose::weights,
/// 0): no batch, place or torch version enters.
at::Tensor initial_latent(std::uint64_t seed, const BuiltinSizes& sizes);

}  // namespace disagfusion::exec::torch_stage
