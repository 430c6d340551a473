// YAML text to a tree of ConfigNodes with places. Strict: one document, whose root is a map; UTF-8;
// duplicate keys, anchors, aliases, tags and keys that are no text are Problems.
#pragma once

#include <string>

#include "base/config_node.hpp"
#include "base/result.hpp"

namespace disagfusion {

/// `file` is what messages name. Broken YAML is one Problem at its place, and no node. Duplicate
/// keys are a Problem each; the tree can be read on for others, with the first value of each.
ConfigNode parse_config(const std::string& file, const std::string& text, Problems& problems);
/// The same, or all Problems.
Result<ConfigNode> parse_config(const std::string& file, const std::string& text);

}  // namespace disagfusion
