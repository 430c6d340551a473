// How fast own measurements on a GPU type never seen improve its predictions.
#pragma once

#include <string>
#include <vector>

#include "predictor/fit.hpp"

namespace disagfusion::predictor {

/// For each GPU type of the DiT rows: a fit without its rows, then 0 to 6 of its rows as a user's
/// own measurements, and the errors on its rows of other models. `gpu,choice,own_rows,draw,id,
/// error` with error = ln(predicted / measured); `choice` is random (10 draws from a fixed seed) or
/// helpful (greedily the row that lowers the mean variance of the GPU's other rows most).
std::string learning_curve_csv(const std::vector<Observation>& rows);

}  // namespace disagfusion::predictor
