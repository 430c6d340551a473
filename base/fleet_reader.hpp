// `fleet:`, `network:` and the node groups that questions share with fleets.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/config_reader.hpp"
#include "base/known_names.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

/// The key `fleet`. `elastic`: pools may start empty. Checks that pools fit (base/placement.hpp)
/// and that every stage has a pool.
FleetSpec read_fleet(MapReader& root, KnownNames& known, bool elastic);

/// A list of node groups; `inventory`: a question, where `max` is a key and `count` is none.
std::vector<NodeGroupSpec> read_node_groups(const ConfigNode& list, KnownNames& known,
                                            bool inventory, Problems& problems);

/// Number formats that `dtype` may name.
const std::vector<std::string>& dtype_names();

/// The key `network`: nothing where it is absent or `none`, unless nodes have nics of their own:
/// those then count, and what has none is free.
std::optional<LinkSpec> read_network(MapReader& root, const std::vector<NodeGroupSpec>& nodes);

}  // namespace disagfusion
