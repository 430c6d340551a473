#include "planner/ground.hpp"

namespace disagfusion::planner {

Result<std::unique_ptr<Ground>> Ground::prepare(const Question& question,
                                                const SearchOptions& options) {
  auto ground = std::make_unique<Ground>(question, options);
  ground->graph = make_stage_graph(question.base.models);
  ground->groups = stage_groups(question.base.models, ground->graph);
  ground->gpu_types = ground->market.gpus();
  Result<Demand> demand = read_demand(question.base);
  if (!demand) return fail(std::move(demand.error()));
  ground->demand = std::move(*demand);
  auto truth = predictor::make_cost_model(question.base, ground->graph, ground->gpu_types,
                                          question.base.costs);
  if (!truth) return fail(std::move(truth.error()));
  ground->truth = std::move(*truth);
  ground->budget.events = question.event_budget;
  ground->budget.wall_seconds = options.wall_seconds;
  if (options.wall_seconds != nullptr) {
    ground->budget.deadline_s = options.wall_seconds() + question.time_limit.seconds();
  }
  return ground;
}

}  // namespace disagfusion::planner
