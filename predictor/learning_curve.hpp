// How fast own measurements on a GPU type never seen improve its predictions.
#pragma once

#include <string>
#include <vector>

#include "predictor/fit.hpp"

namespace disagfusion::predictor {

/// For each GPU type and framework with DiT rows of two models: a fit without any row of the GPU
/// type, then 0 to 6 rows of that GPU type and framework as a user's own measurements, and the
/// errors on the rows of their other models. `gpu,framework,choice,own_rows,draw,id,error` with
/// error = ln(predicted / measured); `choice` is random (10 draws from a fixed seed) or helpful
/// (greedily the row that lowers the mean variance of the other rows most).
std::string learning_curve_csv(const std::vector<Observation>& rows);

}  // namespace disagfusion::predictor
