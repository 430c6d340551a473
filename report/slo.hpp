// Which latency bound a request has, and what "times the unloaded latency" means.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/scenario.hpp"
#include "predictor/cost_model.hpp"
#include "scheduler/event.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::report {

/// The latency of a request that meets an empty system:
///
///   finish(s) = max over predecessors p of (finish(p) + transfer(p, s)) + seconds(s)
///
/// with the means of the truth, each stage on its fastest pool, one request a batch, no control
/// delay; transfer = latency + bytes / bandwidth of `network`, none where one pool hosts both
/// stages; the request's input comes before the first stages, a last stage's output after it.
Duration unloaded_latency(const Scenario& scenario, const scheduler::Setup& setup,
                          const predictor::CostModel& truth, ModelId model, const Shape& shape);

/// The objectives of a scenario that bound single requests.
class Objectives {
 public:
  Objectives(const Scenario& scenario, const scheduler::Setup& setup,
             const predictor::CostModel& truth)
      : scenario_(scenario), setup_(setup), truth_(truth) {}

  static constexpr std::uint16_t kNone = 0xffff;
  struct Bound {
    std::uint16_t objective = kNone;  ///< position in Scenario::slo
    std::optional<Duration> latency;
  };
  /// The first objective with a latency bound that names the request.
  Bound bound_of(const scheduler::RequestBody& body);
  /// A bound in seconds; a factor is of the unloaded latency of this model and shape.
  Duration resolve(const LatencyBound& bound, ModelId model, const Shape& shape);

 private:
  const Scenario& scenario_;
  const scheduler::Setup& setup_;
  const predictor::CostModel& truth_;
  std::map<std::pair<ModelId, Shape>, Duration> unloaded_;
};

}  // namespace disagfusion::report
