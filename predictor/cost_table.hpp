// The lines of `costs` prepared for asking: for each stage and GPU type the lines that can match,
// the most specific first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "predictor/cost_model.hpp"

namespace disagfusion::predictor {

/// A line reduced to what still has to be compared once stage and GPU type are known.
struct PreparedLine {
  static constexpr std::uint32_t kAny = 0xffffffffU;

  std::uint32_t width = kAny, height = kAny, frames = kAny, steps = kAny, batch = kAny,
                degree = kAny;
  std::string dtype;   ///< empty: any
  bool whole = false;  ///< `seconds`: the same for any number of steps
  double fixed = 0;    ///< seconds; of a `whole` line all of them
  double per_step = 0;
  Distribution distribution = Distribution::constant;
  double cv = 0;
  IntervalFactors interval;
  int specificity = 0;
  std::uint32_t line = 0;  ///< position in the list of lines

  [[nodiscard]] bool matches(const Query& query) const {
    const auto fits = [](std::uint32_t wanted, std::uint32_t is) {
      return wanted == kAny || wanted == is;
    };
    return fits(width, query.shape.width) && fits(height, query.shape.height) &&
           fits(frames, query.shape.frames) && fits(steps, query.shape.steps) &&
           fits(batch, query.batch) && fits(degree, query.degree) &&
           (dtype.empty() || dtype == query.dtype);
  }
  /// How many of the named fields differ from the question's.
  [[nodiscard]] int mismatches(const Query& query) const;
  [[nodiscard]] Estimate estimate(const Shape& shape) const;
};

/// How many match fields a line names. A stage written `model/stage` names the model as well.
int specificity_of(const CostLine& line);

/// Whether the line's model and stage fields admit this stage.
bool admits_node(const CostLine& line, const StageGraph& graph, NodeId node,
                 const std::string& stage_name);

/// Whether the pool serves this stage: by name, or because it serves another with the same weights.
bool hosts(const PoolSpec& pool, const StageGraph& graph, NodeId node);

/// The stage's own name, without its model.
std::string stage_name_of(const Scenario& scenario, const StageGraph& graph, NodeId node);

class CostTable {
 public:
  CostTable(const Scenario& scenario, const StageGraph& graph,
            const std::vector<std::string>& gpu_types, const std::vector<CostLine>& lines);

  /// The most specific line that matches, or none. Of two equally specific ones (which
  /// ambiguous_lines() reports where they can be reached) the first in the file.
  [[nodiscard]] const PreparedLine* find(const Query& query) const {
    for (const PreparedLine& line : row(query.node, query.gpu))
      if (line.matches(query)) return &line;
    return nullptr;
  }
  /// The line for this stage and GPU type with the fewest mismatches, then the most specific; or
  /// none.
  [[nodiscard]] const PreparedLine* nearest(const Query& query) const;
  /// Whether any line is for this stage and GPU type.
  [[nodiscard]] bool mentions(NodeId node, GpuTypeId gpu) const { return !row(node, gpu).empty(); }

  [[nodiscard]] const std::vector<PreparedLine>& row(NodeId node, GpuTypeId gpu) const {
    return rows_[node.index() * gpu_count_ + gpu.index()];
  }

 private:
  std::size_t gpu_count_ = 0;
  std::vector<std::vector<PreparedLine>> rows_;  ///< by node, then GPU type
};

/// Names in the lines that the scenario does not know, with the nearest known one.
Problems unknown_names(const Scenario& scenario, const StageGraph& graph,
                       const std::vector<CostLine>& lines);

/// Pairs of equally specific lines that match one reachable question, unless a more specific line
/// matches all that they share. Reachable: a stage on a GPU type (of its pools while elasticity is
/// static, else any of the fleet), a degree, a number format and a batch that its pools allow, a
/// shape of the mix, or any shape where a trace brings its own.
Problems ambiguous_lines(const Scenario& scenario, const StageGraph& graph,
                         const std::vector<std::string>& gpu_types,
                         const std::vector<CostLine>& lines, const CostTable& table);

}  // namespace disagfusion::predictor
