// A question of the `predict` and `calibrate` commands, looked up and checked: from names and
// numbers to an architecture, a data sheet and a call.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "predictor/effects.hpp"

namespace disagfusion::predictor {

/// Where models and GPU types are looked up by name; usually load_shipped_model and
/// load_shipped_gpu.
struct Catalogue {
  std::function<Result<ModelSpec>(const std::string&)> model;
  std::function<Result<GpuSpec>(const std::string&)> gpu;
  std::vector<std::string> models;  ///< names to suggest measurements of; may be empty
};

/// The same, each name looked up once.
Catalogue remembering(Catalogue catalogue);

struct PredictOptions {
  std::string model, gpu;
  /// encoder (all that the model's encoder stage does), text_encoder, image_encoder, vae_encode,
  /// dit (or dit_total), dit_step, decoder, end_to_end
  std::string stage;
  std::uint32_t width = 0, height = 0;         ///< pixels; 0: the model's default size and frames
  std::optional<std::uint32_t> frames, steps;  ///< default: the model's own
  std::uint32_t batch = 1;                     ///< images
  std::string dtype;                           ///< empty: bf16
  std::uint32_t prompt_tokens = 0;             ///< of models that do not pad; 0: as usual
  std::uint32_t degree = 1;                    ///< GPUs that share the tokens
  std::uint32_t vae_tile = 0;                  ///< pixels a side that the decoder works on; 0: all
  bool offload = false;
  double passes = 0;      ///< forward passes a step; 0: the model's own
  std::string parallel;   ///< "ulysses4+fsdp", "cfg2xulysses2", ...; overrides degree
  std::string framework;  ///< "diffusers eager", "xDiT compile", ...; empty: not stated
  std::string notes, source;
};

/// Pixels a side of a decoder's tile where none is stated: diffusers' default for images.
inline constexpr std::uint32_t kUsualTile = 512;

struct Question {
  ModelSpec model;
  GpuSpec gpu;
  StageKind kind = StageKind::dit;  ///< whose memory and spread it has
  Work work;
  Setting setting;
  double memory_bytes = 0;       ///< peak on each GPU; of end_to_end the largest stage's
  double tiled_bytes = 0;        ///< the same with tiles of kUsualTile; 0: no decoder in it
  double weight_bytes = 0;       ///< all weights of the stage; of end_to_end those of all stages
  bool offload_assumed = false;  ///< asked without offload, but the weights do not fit

  [[nodiscard]] const Architecture& architecture() const { return *model.architecture; }
};

/// Problems, all at once: unknown model, stage, GPU, number format, layout; a shape out of range or
/// that the model does not make; a layout that the model cannot be split into; a data sheet or an
/// architecture that lacks what the stage needs. What is wrong in a model's or GPU's own file has
/// its place there; else there is no file, and `path` is the member of `options`.
Result<Question> question_of(const PredictOptions& options, const Catalogue& catalogue);

/// As Roofline and the memory model take it.
Call call_of(const Work& work);

}  // namespace disagfusion::predictor
