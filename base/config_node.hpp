// A parsed YAML value with its place in the file. What reads it declares every key it takes:
// unknown and duplicate keys, wrong types and wrong units become Problems with file, line, column
// and path (base/config_reader.hpp reads maps so).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace disagfusion {

/// Where a value stands. Line and column start at 1; 0 is unknown.
struct Place {
  std::string file;
  std::string path;
  int line = 0;
  int column = 0;
};

/// A Problem at a place.
Problem problem_at(const Place& place, std::string expected, std::string got,
                   std::string nearest = {});

/// A cheap handle on one value of a parsed document; the document lives as long as a handle does.
class ConfigNode {
 public:
  enum class Kind : std::uint8_t { nothing, text, list, map };
  struct Value;

  ConfigNode() = default;
  explicit ConfigNode(std::shared_ptr<const Value> value) : value_(std::move(value)) {}
  /// A map without keys, for what was left out.
  static ConfigNode empty_map(Place place);

  /// False for the default-constructed handle: every query but valid() then answers "nothing".
  [[nodiscard]] bool valid() const { return value_ != nullptr; }
  [[nodiscard]] const Value& value() const { return *value_; }

  [[nodiscard]] Kind kind() const;
  [[nodiscard]] bool is_map() const { return kind() == Kind::map; }
  [[nodiscard]] bool is_list() const { return kind() == Kind::list; }
  [[nodiscard]] bool is_text() const { return kind() == Kind::text; }
  /// The scalar as it stands, quotes removed; empty for everything else.
  [[nodiscard]] const std::string& text() const;
  /// Quoted (or block) text: never a number.
  [[nodiscard]] bool quoted() const;
  /// Items of a list, keys of a map; 0 for everything else.
  [[nodiscard]] std::size_t size() const;
  /// The i-th item of a list or value of a map.
  [[nodiscard]] ConfigNode at(std::size_t i) const;
  /// The i-th key of a map, and its place (its path is that of the value).
  [[nodiscard]] const std::string& key(std::size_t i) const;
  [[nodiscard]] Place key_place(std::size_t i) const;
  /// The value of a key, or an invalid handle.
  [[nodiscard]] ConfigNode find(const std::string& key) const;
  /// The same map without one key.
  [[nodiscard]] ConfigNode without(const std::string& key) const;
  [[nodiscard]] Place place() const;
  /// As messages show it: the text, "a map", "a list", "nothing".
  [[nodiscard]] std::string shown() const;

 private:
  std::shared_ptr<const Value> value_;
};

/// What a handle points to. Immutable once parsed.
struct ConfigNode::Value {
  struct Key {
    std::string text;
    int line = 0, column = 0;
  };
  Kind kind = Kind::nothing;
  bool quoted = false;
  std::string text;
  std::vector<Key> keys;                            ///< map: one for each item
  std::vector<std::shared_ptr<const Value>> items;  ///< list items, map values
  Place place;
};

/// "a.b" for key b under path a; "b" at the root.
std::string path_of_key(const std::string& path, const std::string& key);

/// The document as block-free YAML ({...}, [...]) on one line; it parses to an equal tree.
std::string flow_yaml(const ConfigNode& node);
/// Text as a YAML scalar, quoted where a reader would take it for something else.
std::string yaml_text(const std::string& text);

}  // namespace disagfusion
