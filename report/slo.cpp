#include "report/slo.hpp"

#include <algorithm>
#include <limits>

namespace disagfusion::report {

namespace {

/// Seconds of the fastest pool that hosts the stage; 0 where none does.
double fastest(const scheduler::Setup& setup, const predictor::CostModel& truth, NodeId node,
               const Shape& shape) {
  double best = std::numeric_limits<double>::infinity();
  const WeightsId weights = setup.graph.nodes[node.index()].weights;
  for (const scheduler::Role& role : setup.roles) {
    if (std::find(role.stages.begin(), role.stages.end(), weights) == role.stages.end()) continue;
    predictor::Query query;
    query.node = node;
    query.shape = shape;
    query.gpu = role.gpu;
    query.degree = static_cast<std::uint16_t>(role.degree);
    query.batch = std::max<std::uint32_t>(1, shape.images);
    query.offload = role.offload;
    query.dtype = role.dtype;
    best = std::min(best, truth.estimate(query).seconds);
  }
  return best == std::numeric_limits<double>::infinity() ? 0 : best;
}

bool hosted_together(const scheduler::Setup& setup, NodeId a, NodeId b) {
  const auto hosts = [&](const scheduler::Role& role, NodeId node) {
    return std::find(role.stages.begin(), role.stages.end(),
                     setup.graph.nodes[node.index()].weights) != role.stages.end();
  };
  return std::any_of(setup.roles.begin(), setup.roles.end(),
                     [&](const scheduler::Role& role) { return hosts(role, a) && hosts(role, b); });
}

}  // namespace

Duration unloaded_latency(const Scenario& scenario, const scheduler::Setup& setup,
                          const predictor::CostModel& truth, ModelId model, const Shape& shape) {
  const auto transfer = [&](double bytes) {
    if (!setup.transfers || !scenario.network) return 0.0;
    const LinkSpec& link = *scenario.network;
    return link.latency.seconds() + (link.bandwidth > 0 ? bytes / link.bandwidth : 0.0);
  };
  const std::size_t first = setup.graph.first_node[model.index()].index();
  const std::size_t past = setup.graph.first_node[model.index() + 1].index();
  std::vector<NodeId> order;
  for (std::size_t i = first; i < past; ++i) order.emplace_back(static_cast<std::uint16_t>(i));
  std::stable_sort(order.begin(), order.end(), [&](NodeId a, NodeId b) {
    return setup.graph.nodes[a.index()].path_length < setup.graph.nodes[b.index()].path_length;
  });
  std::vector<double> finish(past - first, 0);
  double latest = 0;
  for (const NodeId node : order) {
    const StageNode& info = setup.graph.nodes[node.index()];
    double start = 0;
    const double input = setup.input_bytes[model.index()];
    if (info.after.empty() && input > 0) start = transfer(input);
    for (const NodeId before : info.after) {
      double arrives = finish[before.index() - first];
      if (!hosted_together(setup, before, node)) {
        arrives += transfer(truth.output_bytes(before, shape));
      }
      start = std::max(start, arrives);
    }
    double& end = finish[node.index() - first];
    end = start + fastest(setup, truth, node, shape);
    double out = end;
    if (setup.has_output[node.index()] != 0) out += transfer(truth.output_bytes(node, shape));
    latest = std::max(latest, out);
  }
  return from_seconds(latest);
}

Duration Objectives::resolve(const LatencyBound& bound, ModelId model, const Shape& shape) {
  if (bound.absolute) return *bound.absolute;
  const auto [place, fresh] = unloaded_.try_emplace({model, shape});
  if (fresh) place->second = unloaded_latency(scenario_, setup_, truth_, model, shape);
  return from_seconds(place->second.seconds() * bound.times_unloaded.value_or(1));
}

Objectives::Bound Objectives::bound_of(const scheduler::RequestBody& body) {
  for (std::size_t i = 0; i < scenario_.slo.size(); ++i) {
    const SloSpec& slo = scenario_.slo[i];
    if (!slo.latency) continue;
    if (!slo.where_model.empty() &&
        slo.where_model != setup_.graph.model_names[body.model.index()]) {
      continue;
    }
    if (!slo.where_tenant.empty() && slo.where_tenant != body.tenant) continue;
    if (slo.where_priority && *slo.where_priority != body.priority) continue;
    return {static_cast<std::uint16_t>(i), resolve(*slo.latency, body.model, body.shape)};
  }
  return {};
}

}  // namespace disagfusion::report
