// What the fitted predictor must beat: two simple ones on the same rows.
#pragma once

#include <vector>

#include "predictor/fit.hpp"

namespace disagfusion::predictor {

/// ln(seconds): the work at the peak rates over one utilisation a kind of stage, the median of
/// `rows`; utilisation 1 where no row has that kind.
double constant_utilisation(const Observation& asked, const std::vector<Observation>& rows);

/// ln(seconds) of the nearest of `rows` in the same kind of stage, a step for a step: distance is
/// |ln(work ratio)| + 1 for another GPU type + 1/2 each for another model and layout + 1/4 for
/// another framework.
double nearest_neighbour(const Observation& asked, const std::vector<Observation>& rows);

}  // namespace disagfusion::predictor
