// How far the fitted predictor misses what it has not seen: rows predicted by fits that left their
// model, their GPU type or their source out.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "predictor/fit.hpp"

namespace disagfusion::predictor {

enum class LeftOut : std::uint8_t { source, gpu, model };
inline constexpr std::size_t kLeftOut = 3;
const char* name_of(LeftOut what);

/// One row, predicted by a fit without its group.
struct HeldOut {
  std::size_t row = 0;      ///< in the observations
  LogPrediction predicted;  ///< of ln(seconds)
  double error = 0;         ///< predicted - measured, ln
  /// ln(seconds) by the baselines from the same rows.
  double constant_utilisation = 0, nearest_neighbour = 0;
};

/// Refits without each group in turn, spreads and noise estimated anew, and predicts its rows; of a
/// source only those whose model and GPU the others have too. In the order of the rows.
std::vector<HeldOut> leave_out(const std::vector<Observation>& rows, LeftOut what);

/// Held-out rows that it takes to set the reach of intervals.
inline constexpr std::size_t kFewestHeldOut = 10;

/// Share of |z| that a normal interval of 90 % must reach so that it covers 90 % of `held_out`:
/// the ceil(0.9 (n + 1))-th smallest |error| / row_sd (split conformal prediction, Vovk et al.
/// 2005), of one group of stages. 1.645 where there are fewer than kFewestHeldOut.
double conformal_factor(const std::vector<HeldOut>& held_out, const std::vector<Observation>& rows,
                        Group group);

}  // namespace disagfusion::predictor
