// The `predict` command: one prediction, or one for each row of a CSV file (design 7.1).
#pragma once

#include <string>

#include "base/result.hpp"
#include "predictor/profile.hpp"
#include "predictor/question.hpp"

namespace disagfusion::predictor {

struct Prediction {
  double seconds = 0, lo_s = 0, hi_s = 0;  ///< expected, 5 % and 95 %
  Parts parts;                             ///< of `seconds`; empty for roofline's end_to_end
  double memory_bytes = 0;                 ///< peak on each GPU; of end_to_end the largest stage's
  double tiled_memory_bytes = 0;           ///< decoder: the peak in tiles of kUsualTile; else 0
  double gpu_memory_bytes = 0;
  double load_disk_s = 0, load_host_s = 0;  ///< to bring the stage's weights to the device
  double output_bytes = 0;                  ///< to the next stage, for one request; 0 at the end
  bool offload_assumed = false;             ///< asked without offload, but the weights do not fit
  std::string source;  ///< fitted, extrapolated or roofline, with what was assumed
  Problems problems;   ///< why there are no numbers (see question_of); none when there are
  std::string advice;  ///< the measurement that would help most; empty: none, or roofline

  /// The problems as one line; empty when there are numbers.
  [[nodiscard]] std::string refused() const;
};

/// By the profile, or where there is none by the roofline. A refusal (unknown model, stage, GPU,
/// number format, shape, layout) is not a failure: see `problems`.
Prediction predict(const PredictOptions& options, const Catalogue& catalogue,
                   const Profile* profile = nullptr);

/// The measurement that would narrow the interval of the question most: among a few calls of the
/// catalogue's models on the same GPU type, and the question's own first step.
std::string helpful_measurement(const PredictOptions& options, const Catalogue& catalogue,
                                const Profile& profile);

/// A table for people, with `parts` that of linear layers, attention, communication, overhead, ...
std::string prediction_text(const PredictOptions& options, const Prediction& prediction,
                            bool parts = true);
/// One JSON object, schema disagfusion.prediction/1.
std::string prediction_json(const PredictOptions& options, const Prediction& prediction);

/// Rows in the columns of measured_latencies.csv (any order; id, model, stage, gpu must be there;
/// as in that file, stage encoder is the text encoder alone) to `id,predicted_s,lo_s,hi_s,source`.
/// A row that cannot be predicted, text where a number belongs included, keeps its id, with empty
/// numbers and `refused: why`. Problems: an unknown, missing or doubled column, a row with another
/// number of fields, no row; each with line and column.
Result<std::string> predict_csv(const std::string& text, const std::string& file,
                                const Catalogue& catalogue, const Profile* profile = nullptr);

}  // namespace disagfusion::predictor
