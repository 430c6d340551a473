#include "exec/deployment.hpp"

#include "predictor/belief.hpp"

namespace disagfusion::exec {
namespace {

std::vector<StageIdentity> identify_stages(const Scenario& scenario, const StageGraph& graph) {
  std::vector<StageIdentity> stages(graph.weights.size());
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {  // backwards: the first model's name stays
    const StageNode& node = graph.nodes[i];
    const ModelSpec& model = scenario.models[node.model.index()];
    StageIdentity& stage = stages[node.weights.index()];
    stage.weights = node.weights;
    stage.weights_name = graph.weights[node.weights.index()];
    stage.model = model.name;
    stage.stage = model.stages[node.stage].name;
    stage.kind = model.stages[node.stage].kind;
  }
  return stages;
}

}  // namespace

Result<std::shared_ptr<const Deployment>> make_deployment(Scenario scenario, bool live) {
  auto deployment = std::make_shared<Deployment>();
  deployment->scenario = std::move(scenario);
  const Scenario& kept = deployment->scenario;
  auto setup = scheduler::make_setup(kept, live);
  if (!setup) return fail(std::move(setup.error()));
  deployment->setup = std::move(*setup);
  const StageGraph& graph = deployment->setup.graph;
  deployment->stages = identify_stages(kept, graph);
  auto truth = predictor::make_cost_model(kept, graph, deployment->setup.gpu_types, kept.costs);
  if (!truth) return fail(std::move(truth.error()));
  deployment->truth = std::move(*truth);
  auto belief = predictor::make_belief(kept, graph, deployment->setup.gpu_types);
  if (!belief) return fail(std::move(belief.error()));
  deployment->belief = std::move(belief->costs);
  deployment->belief_name = belief->description;
  return std::shared_ptr<const Deployment>(std::move(deployment));
}

EmulatedCosts emulated_costs(const Deployment& deployment, PoolId role, double speed) {
  const scheduler::Role& hosted = deployment.setup.roles[role.index()];
  EmulatedCosts costs;
  costs.truth = deployment.truth;
  costs.gpu = hosted.gpu;
  costs.degree = hosted.degree;
  costs.offload = hosted.offload;
  costs.dtype = hosted.dtype;
  costs.seed = deployment.scenario.seed;
  costs.load = hosted.load;
  costs.speed = speed;
  costs.nodes = deployment.setup.graph.nodes;
  return costs;
}

BackendContext backend_context(const Deployment& deployment, const std::string& gpu) {
  BackendContext context;
  context.stages = deployment.stages;
  if (deployment.scenario.serve) context.models_dir = deployment.scenario.serve->models;
  context.seed = deployment.scenario.seed;
  context.gpu = gpu;
  return context;
}

}  // namespace disagfusion::exec
