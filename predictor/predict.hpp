// The `predict` command: one prediction, or one for each row of a CSV file (design 7.1).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "predictor/roofline.hpp"

namespace disagfusion::predictor {

/// Where models and GPU types are looked up by name; usually load_shipped_model and
/// load_shipped_gpu.
struct Catalogue {
  std::function<Result<ModelSpec>(const std::string&)> model;
  std::function<Result<GpuSpec>(const std::string&)> gpu;
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
  std::uint32_t degree = 1;                    ///< GPUs that share the tokens
  bool offload = false;
  double passes = 0;     ///< forward passes a step; 0: the model's own
  std::string parallel;  ///< CSV: "ulysses4+fsdp", "cfg2xulysses2", ...; overrides degree
};

struct Prediction {
  double seconds = 0, lo_s = 0, hi_s = 0;  ///< expected, 5 % and 95 %
  Parts parts;                             ///< of `seconds`; end_to_end: empty
  double memory_bytes = 0;                 ///< peak on each GPU; of end_to_end the largest stage's
  double gpu_memory_bytes = 0;
  bool offload_assumed = false;  ///< asked without offload, but the weights do not fit
  std::string source;            ///< "roofline", with what was assumed
  std::string refused;           ///< why there are no numbers; empty when there are
};

/// A refusal (unknown model, stage, GPU, number format, shape) is not a failure: see `refused`.
Prediction predict(const PredictOptions& options, const Catalogue& catalogue);

/// A table for people.
std::string prediction_text(const PredictOptions& options, const Prediction& prediction);
/// One JSON object, schema disagfusion.prediction/1.
std::string prediction_json(const PredictOptions& options, const Prediction& prediction);

/// Rows in the columns of measured_latencies.csv (any order; id, model, stage, gpu must be there;
/// further columns are ignored; as in that file, stage encoder is the text encoder alone) to
/// `id,predicted_s,lo_s,hi_s,source`. A row that cannot be predicted keeps its id, with empty
/// numbers and `refused: why`. Problems: a missing or doubled column, a row with another number of
/// fields, text where a number belongs; each with line and column.
Result<std::string> predict_csv(const std::string& text, const std::string& file,
                                const Catalogue& catalogue);

/// GPUs of a parallel layout as the data file writes it: "none", "usp4+fsdp",
/// "cfg2xulysses2xring2", "ulysses2+hsdp+vae2". Unknown words count nothing.
struct Layout {
  std::uint32_t sequence = 1, guidance = 1, vae = 1;
};
Layout parse_layout(const std::string& text);

}  // namespace disagfusion::predictor
