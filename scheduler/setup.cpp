#include "scheduler/setup.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/placement.hpp"
#include "base/scenario_reader.hpp"

namespace disagfusion::scheduler {

namespace {

/// Seconds of the most specific `startup` line that matches; absent: zero.
template <class Field>
Duration startup_time(const Scenario& scenario, const std::string& gpu, const PoolSpec* pool,
                      Field field) {
  const auto stage_matches = [&](const StartupLine& line) {
    if (!line.stage && !line.model) return true;
    if (pool == nullptr) return false;
    return std::any_of(pool->stages.begin(), pool->stages.end(), [&](const StageRef& ref) {
      const std::size_t slash = ref.text.find('/');
      const std::string stage = slash == std::string::npos ? ref.text : ref.text.substr(slash + 1);
      const std::string model = slash == std::string::npos ? "" : ref.text.substr(0, slash);
      return (!line.stage || *line.stage == stage || *line.stage == ref.text) &&
             (!line.model || model.empty() || *line.model == model);
    });
  };
  int best = -1;
  Duration found;
  for (const StartupLine& line : scenario.startup) {
    const std::optional<Duration>& value = line.*field;
    if (!value || (line.gpu && *line.gpu != gpu) || !stage_matches(line)) continue;
    const int specificity = (line.gpu ? 1 : 0) + (line.stage ? 1 : 0) + (line.model ? 1 : 0);
    if (specificity > best) {
      best = specificity;
      found = *value;
    }
  }
  return found;
}

GpuTypeId type_of(Setup& setup, const std::string& gpu) {
  const auto known = std::find(setup.gpu_types.begin(), setup.gpu_types.end(), gpu);
  if (known == setup.gpu_types.end()) {
    setup.gpu_types.push_back(gpu);
    return GpuTypeId{static_cast<std::uint16_t>(setup.gpu_types.size() - 1)};
  }
  return GpuTypeId{static_cast<std::uint16_t>(known - setup.gpu_types.begin())};
}

Role make_role(const PoolSpec& pool, const Scenario& scenario, Setup& setup) {
  Role role;
  role.gpu = type_of(setup, pool.gpu);
  role.degree = pool.degree;
  role.max_batch = pool.max_batch;
  role.input_slots = input_slots_of(pool, scenario);
  role.output_slots = setup.sync_handoff ? 0 : pool.output_slots;
  role.offload = pool.offload;
  if (!pool.dtype.empty()) role.dtype = pool.dtype;
  role.initial_count = pool.count;
  role.load = startup_time(scenario, pool.gpu, &pool, &StartupLine::load);
  // Serving order: the longest path from the sources first, ties in the order of the model.
  std::vector<NodeId> nodes;
  for (const StageRef& ref : pool.stages) {
    if (!role.name.empty()) role.name += '+';
    role.name += ref.text;
    nodes.insert(nodes.end(), ref.nodes.begin(), ref.nodes.end());
  }
  std::sort(nodes.begin(), nodes.end());
  std::stable_sort(nodes.begin(), nodes.end(), [&](NodeId a, NodeId b) {
    return setup.graph.nodes[a.index()].path_length > setup.graph.nodes[b.index()].path_length;
  });
  for (const NodeId node : nodes) {
    const WeightsId weights = setup.graph.nodes[node.index()].weights;
    if (std::find(role.stages.begin(), role.stages.end(), weights) == role.stages.end()) {
      role.stages.push_back(weights);
    }
  }
  return role;
}

void add_machines(const Scenario& scenario, const Placement& placement, Setup& setup) {
  for (const disagfusion::Machine& placed : placement.machines) {
    const NodeGroupSpec& group = scenario.fleet.nodes[placed.group];
    Machine machine;
    machine.name = group.name;
    machine.group = placed.group;
    machine.gpus.assign(setup.gpu_types.size(), 0);
    machine.host_memory = group.host_memory_bytes;
    std::string gpu;
    for (const auto& [name, count] : group.gpus) {
      gpu = name;
      machine.gpus[type_of(setup, name).index()] = count;
    }
    machine.provision = group.provision
                            ? *group.provision
                            : startup_time(scenario, gpu, nullptr, &StartupLine::provision);
    setup.machines.push_back(std::move(machine));
  }
}

void describe_edges(const Scenario& scenario, bool live, Setup& setup) {
  setup.has_output.assign(setup.graph.nodes.size(), 0);
  for (std::size_t m = 0; m < scenario.models.size(); ++m) {
    const ModelSpec& model = scenario.models[m];
    setup.input_bytes.push_back(model.input_bytes.value_or(0));
    for (std::size_t i = 0; i < model.stages.size(); ++i) {
      const bool sink = model.stages[i].before.empty();
      const bool named = model.stages[i].output_bytes.value_or(0) > 0;
      setup.has_output[setup.graph.first_node[m].index() + i] =
          sink && (live || (named && setup.transfers)) ? 1 : 0;
    }
  }
}

}  // namespace

Result<Setup> make_setup(const Scenario& scenario, bool live) {
  Setup setup;
  setup.graph = make_stage_graph(scenario.models);
  setup.transfers = scenario.network.has_value() || live;
  for (const NodeGroupSpec& group : scenario.fleet.nodes) {
    setup.transfers = setup.transfers || group.nic.has_value();
    for (const auto& [gpu, count] : group.gpus) type_of(setup, gpu);
  }
  if (scenario.network) setup.network = *scenario.network;
  if (!scenario.network) {
    for (const NodeGroupSpec& group : scenario.fleet.nodes) {
      if (group.nic) setup.network = *group.nic;
    }
  }
  setup.sync_handoff = !scenario.policy.async_handoff;
  setup.pull = scenario.policy.pull_dispatch;
  for (const PoolSpec& pool : scenario.fleet.pools) {
    setup.roles.push_back(make_role(pool, scenario, setup));
  }
  const Placement placement = place_instances(scenario.fleet);
  DF_CHECK(placement.unplaced.empty(), "the loader lets no fleet pass that does not fit");
  add_machines(scenario, placement, setup);
  for (const PlacedInstance& placed : placement.instances) {
    setup.instances.push_back({placed.pool, placed.machine});
  }
  describe_edges(scenario, live, setup);
  setup.max_retries = scenario.max_retries;
  setup.request_timeout = scenario.request_timeout;
  setup.policies = scenario.policy;
  setup.learning = learns(scenario);
  return setup;
}

}  // namespace disagfusion::scheduler
