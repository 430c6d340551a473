// The `calibrate` command: measured rows to a profile.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "predictor/cross_validation.hpp"
#include "predictor/profile.hpp"
#include "predictor/question.hpp"

namespace disagfusion::predictor {

/// What a file of rows gives a fit.
struct MeasuredRows {
  std::vector<Observation> observations;
  std::size_t left_out = 0;  ///< rows that say they are for reference, transfers, memory
  std::string sha256;        ///< of the whole text
};

/// Rows in the columns of measured_latencies.csv. Fitted are rows whose `split` is calibrate,
/// reference_offload or not given, and whose stage takes time on a GPU. Problems, a line each: no
/// rows, seconds that are missing, zero or negative, unknown models, GPUs, stages and formats, an
/// id twice, the same setting with seconds that differ by more than a quarter, and seconds that are
/// 150 times (or a 150th of) what `expected` predicts, as where units were confused.
Result<MeasuredRows> read_measured_rows(const std::string& text, const std::string& file,
                                        const Catalogue& catalogue, const Posterior& expected);

/// The priors of effects() alone, as a posterior.
Posterior priors();

struct CalibrateOptions {
  std::string date;                ///< written into the profile
  const Profile* prior = nullptr;  ///< none: fit from the priors of effects()
  std::vector<std::vector<HeldOut>>* held_out = nullptr;  ///< filled, by LeftOut; no prior only
};

/// Fits. Without a prior the intervals' reach and the errors come from leaving each source, GPU and
/// model out; with one they are the prior's. Problems: rows that the prior was made from already; a
/// fit whose condition is beyond 1e10 or whose rows count less than half on average.
Result<Profile> calibrate(const MeasuredRows& rows, const std::string& file,
                          const CalibrateOptions& options);

/// What a user must know who takes the profile's intervals for measured ones; empty where held-out
/// rows judged them.
std::string doubt_of(const Profile& profile);

/// `id,left_out,stage,model,gpu,layout,framework,streamed,measured_s,predicted_s,lo_s,hi_s,
/// constant_utilisation_s,nearest_neighbour_s` of every held-out row. Each interval's reach comes
/// from the other groups' rows alone.
std::string held_out_csv(const std::vector<std::vector<HeldOut>>& held_out,
                         const std::vector<Observation>& rows);

}  // namespace disagfusion::predictor
