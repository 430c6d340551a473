#include "base/fleet_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/placement.hpp"

namespace disagfusion {

namespace {

constexpr std::uint64_t kMostGpusOfANode = 1024;
constexpr std::size_t kMostPools = 1000;
constexpr std::uint64_t kMostMachines = 1'000'000;
constexpr std::uint64_t kMostInstances = 1'000'000;

LinkSpec read_link(const ConfigNode& node, Problems& problems) {
  LinkSpec link;
  MapReader map(node, problems, "a map such as {latency: 24 ms, bandwidth: 10 Gbit/s}");
  if (map.is_map() && !map.has("latency") && !map.has("bandwidth"))
    map.missing("bandwidth", "latency, bandwidth or both");
  link.bandwidth = map.get("bandwidth", as_bandwidth(), 0.0);
  link.latency = map.get("latency", as_duration(), Duration{});
  link.jitter_cv = map.get("jitter_cv", as_number(0, 100), 0.0);
  map.finish();
  return link;
}

/// {A10: 4, L4: 2}: GPU types and how many, checked to exist.
std::map<std::string, std::uint32_t> read_gpu_counts(const ConfigNode& node, KnownNames& known,
                                                     std::uint64_t most, Problems& problems) {
  std::map<std::string, std::uint32_t> gpus;
  if (!node.is_map() || node.size() == 0) {
    problems.push_back(
        problem_at(node.place(), "a map of GPU types such as {A10: 8}", node.shown()));
    return gpus;
  }
  for (std::size_t i = 0; i < node.size(); ++i) {
    known.require_gpu(node.key(i), node.key_place(i));
    gpus[node.key(i)] = as_count(1, most).read(node.at(i), problems).value_or(1);
  }
  return gpus;
}

Bandwidth read_inside(const ConfigNode& node, Problems& problems) {
  if (!node.valid()) return 0;
  MapReader map(node, problems, "a map such as {bandwidth: 16 GB/s}");
  const Bandwidth bandwidth = map.required("bandwidth", as_bandwidth());
  map.finish();
  return bandwidth;
}

NodeGroupSpec read_node_group(const ConfigNode& node, KnownNames& known, bool inventory,
                              Problems& problems) {
  NodeGroupSpec group;
  MapReader map(node, problems, "a map such as {name: a10x4, gpus: {A10: 4}, count: 2}");
  group.place = node.place();
  group.name = map.required("name", as_name());
  const ConfigNode gpus = map.required("gpus", as_node("a map of GPU types such as {A10: 8}"));
  if (gpus.valid()) group.gpus = read_gpu_counts(gpus, known, kMostGpusOfANode, problems);
  if (inventory) {
    group.max = map.required("max", as_count(1));
  } else {
    group.count = map.get("count", as_count(1), std::uint32_t{1});
  }
  group.inside_bandwidth = read_inside(map.take("inside"), problems);
  const ConfigNode nic = map.take("nic");
  if (nic.valid()) group.nic = read_link(nic, problems);
  group.host_memory_bytes = map.get("host_memory", as_bytes(), 0.0);
  if (map.has("host_memory") && group.host_memory_bytes == 0 &&
      parse_quantity(map.take("host_memory").text(), Quantity::bytes))
    map.wrong("host_memory", "a size above 0, such as 256 GB", map.take("host_memory").shown());
  group.price_usd_h = map.optional("price", as_price());
  group.provision = map.optional("provision", as_duration());
  map.finish();
  return group;
}

/// One group of one-GPU nodes for each type, in file order.
void add_short_form(const ConfigNode& node, KnownNames& known, FleetSpec& fleet,
                    Problems& problems) {
  const auto gpus = read_gpu_counts(node, known, kLargestCount, problems);
  for (std::size_t i = 0; i < node.size() && node.is_map(); ++i) {
    NodeGroupSpec group;
    group.name = node.key(i);
    group.gpus[group.name] = 1;
    group.count = gpus.at(group.name);
    group.place = node.key_place(i);
    fleet.nodes.push_back(std::move(group));
  }
}

std::vector<StageRef> read_stage_refs(MapReader& map, const KnownNames& known) {
  std::vector<StageRef> refs;
  const auto names =
      map.required("stages", as_list_of(as_text("a stage"), 1, "a list of stages such as [dit]"));
  const ConfigNode list = map.take("stages");
  std::vector<NodeId> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Place place = list.at(i).place();
    StageRef ref{names[i], known.resolve(names[i], place, map.problems())};
    const bool repeated = std::any_of(ref.nodes.begin(), ref.nodes.end(), [&](NodeId node) {
      return std::find(seen.begin(), seen.end(), node) != seen.end();
    });
    if (repeated)
      map.problems().push_back(problem_at(place, "each stage once in a pool", names[i] + " again"));
    seen.insert(seen.end(), ref.nodes.begin(), ref.nodes.end());
    if (!ref.nodes.empty()) refs.push_back(std::move(ref));
  }
  return refs;
}

std::uint32_t gpus_in_largest_node(const FleetSpec& fleet, const std::string& gpu) {
  std::uint32_t largest = 0;
  for (const NodeGroupSpec& group : fleet.nodes)
    if (const auto found = group.gpus.find(gpu); found != group.gpus.end())
      largest = std::max(largest, found->second);
  return largest;
}

/// A pool's GPU type must be in the fleet and one node must hold `degree` of them.
void check_pool_gpus(MapReader& map, const PoolSpec& pool, const FleetSpec& fleet) {
  if (pool.gpu.empty() || fleet.nodes.empty()) return;
  std::vector<std::string> types;
  for (const NodeGroupSpec& group : fleet.nodes)
    for (const auto& [gpu, count] : group.gpus) types.push_back(gpu);
  const std::uint32_t largest = gpus_in_largest_node(fleet, pool.gpu);
  if (largest == 0) {
    map.wrong("gpu", "a GPU type of the fleet", pool.gpu, nearest_name(pool.gpu, types));
  } else if (pool.degree > largest) {
    map.wrong("degree",
              fmt::format("at most {}, the {} GPUs of the largest node", largest, pool.gpu),
              fmt::format("{}", pool.degree));
  }
}

PoolSpec read_pool(const ConfigNode& node, const KnownNames& known, const FleetSpec& fleet,
                   bool elastic, Problems& problems) {
  PoolSpec pool;
  MapReader map(node, problems, "a map such as {stages: [dit], gpu: A10, count: 6}");
  pool.place = node.place();
  pool.stages = read_stage_refs(map, known);
  pool.gpu = map.required("gpu", as_text("a GPU type of the fleet"));
  pool.count = map.get("count", as_count(0), std::uint32_t{1});
  if (pool.count == 0 && !elastic)
    map.wrong("count", "a count from 1 to 1000000 (0 only where elasticity may fill the pool)",
              "0");
  pool.degree = map.get("degree", as_count(1, kMostGpusOfANode), std::uint32_t{1});
  pool.max_batch = map.get("max_batch", as_count(1, 100'000), std::uint32_t{1});
  pool.input_slots = map.optional("input_slots", as_count_or_unlimited(0));
  pool.output_slots = map.get("output_slots", as_count_or_unlimited(1), kUnlimited);
  pool.dtype = map.get("dtype", as_choice(dtype_names()), std::string());
  pool.offload = map.get("offload", as_on_off(), false);
  map.finish();
  check_pool_gpus(map, pool, fleet);
  return pool;
}

void check_node_groups(const std::vector<NodeGroupSpec>& nodes, Problems& problems) {
  std::uint64_t machines = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    machines += nodes[i].count;
    for (std::size_t j = 0; j < i; ++j)
      if (!nodes[i].name.empty() && nodes[i].name == nodes[j].name)
        problems.push_back(problem_at(nodes[i].place, "a name that no other nodes have",
                                      fmt::format("'{}' again", nodes[i].name)));
    if (machines > kMostMachines)
      problems.push_back(problem_at(nodes[i].place, fmt::format("at most {} nodes", kMostMachines),
                                    fmt::format("{}", machines)));
  }
}

/// Names each pool that does not fit, how many instances found room and how many did not.
void check_fit(const FleetSpec& fleet, const ConfigNode& list, Problems& problems) {
  const auto place_of_count = [&](std::size_t pool) {
    const ConfigNode count = list.at(pool).find("count");
    return count.valid() ? count.place() : fleet.pools[pool].place;
  };
  std::uint64_t instances = 0;
  for (std::size_t p = 0; p < fleet.pools.size(); ++p) {
    instances += fleet.pools[p].count;
    if (instances <= kMostInstances) continue;
    problems.push_back(problem_at(place_of_count(p),
                                  fmt::format("at most {} instances in all", kMostInstances),
                                  fmt::format("{}", instances)));
    return;
  }
  const Placement placement = place_instances(fleet);
  for (const UnplacedPool& unplaced : placement.unplaced) {
    const PoolSpec& pool = fleet.pools[unplaced.pool.index()];
    if (pool.degree > unplaced.largest_node) continue;  // reported at its degree or gpu
    problems.push_back(problem_at(
        place_of_count(unplaced.pool.index()),
        fmt::format("at most {} instances of {} {} (what the pools before it leave free)",
                    unplaced.placed, pool.degree, pool.gpu),
        fmt::format("{}, {} too many", unplaced.wanted, unplaced.wanted - unplaced.placed)));
  }
}

/// A stage is known by its weights: a pool of one model's serves every other with the same ones.
void check_hosted(MapReader& fleet_map, const FleetSpec& fleet, const KnownNames& known) {
  const StageGraph graph = make_stage_graph(known.models());
  std::vector<bool> hosted(graph.weights.size(), false);
  for (const PoolSpec& pool : fleet.pools)
    for (const StageRef& ref : pool.stages)
      for (const NodeId node : ref.nodes) hosted[graph.nodes[node.index()].weights.index()] = true;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (!hosted[graph.nodes[i].weights.index()])
      fleet_map.wrong("pools", "a pool for every stage",
                      "none for " + known.stages().name(NodeId(static_cast<std::uint16_t>(i))));
}

void read_pools(MapReader& map, const KnownNames& known, bool elastic, bool nodes_known,
                FleetSpec& fleet) {
  Problems& problems = map.problems();
  const ConfigNode list = map.required("pools", as_node("a list of pools"));
  if (!list.valid()) return;
  if (!list.is_list() || list.size() == 0 || list.size() > kMostPools) {
    map.wrong("pools", fmt::format("a list of 1 to {} pools", kMostPools), list.shown());
    return;
  }
  const std::size_t before = problems.size();
  for (std::size_t i = 0; i < list.size(); ++i)
    fleet.pools.push_back(read_pool(list.at(i), known, fleet, elastic, problems));
  // Sums over pools say nothing new while a pool itself is wrong.
  if (problems.size() != before || !known.complete() || !nodes_known) return;
  check_fit(fleet, list, problems);
  check_hosted(map, fleet, known);
  const bool empty = std::all_of(fleet.pools.begin(), fleet.pools.end(),
                                 [](const PoolSpec& pool) { return pool.count == 0; });
  if (empty) map.wrong("pools", "one instance or more in all", "0");
}

}  // namespace

const std::vector<std::string>& dtype_names() {
  static const std::vector<std::string> names{"bf16", "fp16", "fp8", "fp4", "int8", "fp32"};
  return names;
}

std::vector<NodeGroupSpec> read_node_groups(const ConfigNode& list, KnownNames& known,
                                            bool inventory, Problems& problems) {
  std::vector<NodeGroupSpec> nodes;
  if (!list.is_list() || list.size() == 0) {
    problems.push_back(problem_at(list.place(), "a list of one or more nodes", list.shown()));
    return nodes;
  }
  for (std::size_t i = 0; i < list.size(); ++i)
    nodes.push_back(read_node_group(list.at(i), known, inventory, problems));
  check_node_groups(nodes, problems);
  return nodes;
}

FleetSpec read_fleet(MapReader& root, KnownNames& known, bool elastic) {
  FleetSpec fleet;
  Problems& problems = root.problems();
  const ConfigNode node = root.required("fleet", as_node("a map of the fleet"));
  if (!node.valid()) return fleet;
  MapReader map(node, problems, "a map of the fleet");
  fleet.place = node.place();
  const std::size_t before = problems.size();
  const ConfigNode nodes = map.take("nodes");
  const ConfigNode gpus = map.take("gpus");
  fleet.short_form = !nodes.valid();
  if (nodes.valid()) fleet.nodes = read_node_groups(nodes, known, false, problems);
  if (gpus.valid()) add_short_form(gpus, known, fleet, problems);
  if (map.is_map() && !nodes.valid() && !gpus.valid())
    map.problems().push_back(
        problem_at(node.place(), "nodes, or gpus such as {A10: 8}", "neither"));
  // Pools are read for their own form; that they do not fit a broken fleet is no news.
  const bool nodes_known = problems.size() == before;
  if (!nodes_known) fleet.nodes.clear();
  read_pools(map, known, elastic, nodes_known, fleet);
  map.finish();
  return fleet;
}

std::optional<LinkSpec> read_network(MapReader& root, const std::vector<NodeGroupSpec>& nodes) {
  const ConfigNode node = root.take("network");
  const auto has_nic = std::find_if(
      nodes.begin(), nodes.end(), [](const NodeGroupSpec& group) { return group.nic.has_value(); });
  if (!node.valid())
    return has_nic == nodes.end() ? std::nullopt : std::optional<LinkSpec>(LinkSpec{});
  if (node.text() == "none") {
    if (has_nic != nodes.end()) root.wrong("network", "a network, as nodes have a nic", "none");
    return std::nullopt;
  }
  if (node.is_map()) return read_link(node, root.problems());
  root.wrong("network", "none, or a map such as {latency: 24 ms, bandwidth: 10 Gbit/s}",
             node.shown());
  return std::nullopt;
}

}  // namespace disagfusion
