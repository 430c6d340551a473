// What the searches of one question share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "planner/candidate.hpp"
#include "planner/demand.hpp"
#include "planner/judge.hpp"
#include "planner/search.hpp"
#include "predictor/cost_model.hpp"

namespace disagfusion::planner {

struct Ground {
  /// Problems: of the workload's trace, of stages that nothing can cost.
  static Result<std::unique_ptr<Ground>> prepare(const Question& question,
                                                 const SearchOptions& options);

  const Question& question;
  const SearchOptions& options;
  Market market;
  StageGraph graph;
  std::vector<StageGroup> groups;
  Demand demand;
  std::unique_ptr<predictor::CostModel> truth;
  std::vector<std::string> gpu_types;
  Budget budget;

  explicit Ground(const Question& asked, const SearchOptions& how)
      : question(asked), options(how), market(asked) {}
};

/// A question in steady state may name no end, a scenario must: the requests and the warm-up that
/// the judgement rests on.
void give_end(Scenario& scenario, const Judgement& judgement);

/// Objective throughput: the best use of a fixed inventory (search.hpp).
Result<Plan> search_throughput(Ground& ground);

}  // namespace disagfusion::planner
