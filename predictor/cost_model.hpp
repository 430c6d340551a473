// What a stage costs on a GPU: seconds, bytes, memory, and where the answer comes from.
// The truth of a simulated world and the belief of the scheduler are two objects of this one type.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/scenario.hpp"

namespace disagfusion::predictor {

/// Where an answer comes from.
enum class Source : std::uint8_t { measured, fitted, roofline, extrapolated };
const char* name_of(Source source);

/// One question. `batch` counts images (requests x images a request). `steps` is what the request
/// asks for; a part of them costs Estimate::seconds_of().
struct Query {
  NodeId node;
  Shape shape;
  GpuTypeId gpu;
  std::uint16_t degree = 1;
  std::uint32_t batch = 1;
  bool offload = false;  ///< weights streamed from host memory
  std::string_view dtype = "bf16";
};

struct Estimate {
  double seconds = 0;         ///< expected; constant distribution: exact
  double lo_s = 0, hi_s = 0;  ///< 5 % and 95 %
  Distribution distribution = Distribution::constant;
  double cv = 0;                       ///< of the distribution
  double fixed_s = 0, per_step_s = 0;  ///< seconds = fixed + per_step x steps where known;
                                       ///< otherwise fixed 0 and per_step = seconds / steps
  Source source = Source::measured;

  /// Expected seconds of a call that does `steps` of the steps, the fixed part included.
  /// too.
  [[nodiscard]] double seconds_of(std::uint32_t steps) const {
    return fixed_s + per_step_s * steps;
  }
};

/// Where the costs of a stage on a GPU type come from: rows of the result's `costs_used`.
struct CostUse {
  NodeId node;
  GpuTypeId gpu;
  std::string stage;  ///< as StageGraph::node_names
  std::string gpu_name;
  Source source = Source::measured;
};

/// Costs by (model, stage, shape, GPU type, ...). Pure: same inputs, same outputs. Const member
/// functions may be called from several threads at once.
class CostModel {
 public:
  virtual ~CostModel() = default;

  /// Expected seconds of one batch. Every (node, gpu) that a pool hosts was checked when the model
  /// was made, so this never fails for those; for any other pair, ask supports() first (CHECK). A
  /// shape that no line covers, without an architecture, gets the nearest line's seconds, marked
  /// extrapolated: whoever reads shapes from a trace asks covers() once a shape.
  [[nodiscard]] virtual Estimate estimate(const Query& query) const = 0;
  /// Whether the stage can be costed on that GPU type at all.
  [[nodiscard]] virtual bool supports(NodeId node, GpuTypeId gpu) const = 0;
  /// Whether estimate() of this question is measured or predicted, not extrapolated.
  [[nodiscard]] virtual bool covers(const Query& query) const = 0;

  /// Bytes that this stage hands to a successor for one request; of a last stage: what the model
  /// names as its output, else 0.
  [[nodiscard]] virtual double output_bytes(NodeId node, const Shape& shape) const = 0;
  /// Peak device memory of one instance that hosts this stage alone: weights, activations of the
  /// batch. Bytes a GPU; 0 where the model has no architecture (see not_modelled()). An instance
  /// that hosts several stages needs the sum of the weights and the largest activations.
  [[nodiscard]] virtual double weight_bytes(NodeId node, std::string_view dtype) const = 0;
  [[nodiscard]] virtual double activation_bytes(const Query& query) const = 0;
  /// Weights on the device at once: weight_bytes(), or two blocks of them where they are streamed.
  [[nodiscard]] virtual double resident_weight_bytes(const Query& query) const = 0;

  /// One row for each stage and GPU type that a pool hosts, in the order of the graph.
  [[nodiscard]] virtual std::vector<CostUse> costs_used() const = 0;
  /// What the answers leave out, as sentences for the result's `not_modelled`.
  [[nodiscard]] virtual std::vector<std::string> not_modelled() const = 0;
};

/// Looks costs up in `lines` (the most specific match wins), and predicts what no line covers: by
/// the profile that the scenario's belief names, else by roofline. `gpu_types` gives the names
/// behind GpuTypeId. Problems: two equally specific lines match a reachable question; a stage that
/// neither a line nor an architecture covers, named with its pool. Without pools (plan questions)
/// every stage must be possible on at least one GPU type. The scenario is copied from, not kept.
Result<std::unique_ptr<CostModel>> make_cost_model(const Scenario& scenario,
                                                   const StageGraph& graph,
                                                   const std::vector<std::string>& gpu_types,
                                                   const std::vector<CostLine>& lines);

/// The other way round: predicted by the scenario's profile, and by `lines` only what it cannot
/// predict. Precondition: belief.source is profile. Problems: also those of the profile's text.
Result<std::unique_ptr<CostModel>> make_profile_costs(const Scenario& scenario,
                                                      const StageGraph& graph,
                                                      const std::vector<std::string>& gpu_types,
                                                      const std::vector<CostLine>& lines);

/// The 5 % and 95 % points of a distribution of mean 1. Exact for constant, exponential, lognormal;
/// gamma by Wilson and Hilferty's cube-root approximation (1931), within 1 % for cv <= 1.
struct IntervalFactors {
  double lo = 1, hi = 1;
};
IntervalFactors interval_of(Distribution distribution, double cv);

}  // namespace disagfusion::predictor
