// Typed reading of maps. A MapReader takes keys one by one, collects Problems instead of stopping,
// and at finish() reports every key that nobody took:
//
//   MapReader map(policy.parameters, problems);
//   const Duration horizon = map.get("horizon", as_duration(), from_seconds(120));
//   const std::uint32_t limit = map.required("limit", as_count(1, 1000));
//   map.finish();
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/config_node.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "base/units.hpp"

namespace disagfusion {

/// How to read one value: what is expected, for messages, and the reading itself, which either
/// gives a value or adds at least one Problem.
template <class T>
struct Reader {
  std::string expected;
  std::function<std::optional<T>(const ConfigNode&, Problems&)> read;
};

/// Counts are plain whole numbers; this is the most a file may ask for where nothing says less.
inline constexpr std::uint64_t kLargestCount = 1'000'000;

/// Text that is not empty; `expected` says what it names.
Reader<std::string> as_text(const std::string& expected = "text");
/// Letters, digits and . _ + -, at most 128: what names files, columns and metrics.
Reader<std::string> as_name();
/// One of `names`; `unsupported` are names that exist but are not built yet, and refused so.
Reader<std::string> as_choice(std::vector<std::string> names,
                              std::vector<std::string> unsupported = {});
/// "a, b, c (d is not yet supported)".
std::string choice_text(const std::vector<std::string>& names,
                        const std::vector<std::string>& unsupported);
/// on, off, true, false.
Reader<bool> as_on_off();
/// A plain whole number in [least, most].
Reader<std::uint64_t> as_large_count(std::uint64_t least, std::uint64_t most);
Reader<std::uint32_t> as_count(std::uint64_t least = 0, std::uint64_t most = kLargestCount);
/// A count or `unlimited` (kUnlimited of base/scenario.hpp: 0xffffffff).
Reader<std::uint32_t> as_count_or_unlimited(std::uint64_t least = 0);
/// A plain whole number of either sign.
Reader<std::int32_t> as_integer(std::int32_t least, std::int32_t most);
/// A plain number in [least, most].
Reader<double> as_number(double least, double most);
/// A plain number above 0, at most `most`.
Reader<double> as_positive_number(double most = 1e12);
/// Plain seconds (keys seconds, fixed, per_step): 0 to 1e6.
Reader<double> as_seconds();
/// A time with its unit, 0 to 1e6 s.
Reader<Duration> as_duration();
/// The same, but above 0.
Reader<Duration> as_positive_duration();
/// Bytes, 0 to 1e15.
Reader<double> as_bytes();
/// Bytes a second, above 0, at most 1e15.
Reader<double> as_bandwidth();
/// USD an hour, 0 to 1e6.
Reader<double> as_price();
/// Per second, above 0, at most 1e9.
Reader<double> as_rate();
/// "95 %" is 0.95; 0 % to 100 %.
Reader<double> as_share();
/// "1.5x", above 0, at most 1e6.
Reader<double> as_factor();
/// The node itself, whatever it is; `expected` is said where it is missing.
Reader<ConfigNode> as_node(const std::string& expected = "a value");

/// A list of values, read each by `item`; at least `least` of them. `what` describes the list.
template <class T>
Reader<std::vector<T>> as_list_of(Reader<T> item, std::size_t least = 0, std::string what = {}) {
  const std::string expected = what.empty() ? "a list, each item " + item.expected : what;
  return {expected, [expected, least, item](const ConfigNode& node, Problems& problems) {
            std::optional<std::vector<T>> values;
            if (!node.is_list() || node.size() < least) {
              problems.push_back(problem_at(node.place(), expected, node.shown()));
              return values;
            }
            bool complete = true;
            std::vector<T> read;
            for (std::size_t i = 0; i < node.size(); ++i) {
              std::optional<T> value = item.read(node.at(i), problems);
              complete = complete && value.has_value();
              if (value) read.push_back(std::move(*value));
            }
            if (complete) values = std::move(read);
            return values;
          }};
}

/// Takes the keys of one map. An invalid node reads as an empty map; anything but a map is a
/// Problem at once, and then reads as an empty map whose missing keys are not reported again.
class MapReader {
 public:
  /// `expected` describes the map in the message for something that is none.
  MapReader(ConfigNode node, Problems& problems, const std::string& expected = "a map");

  /// The value; a missing key or a wrong value is a Problem, and T{} comes back.
  template <class T>
  T required(const std::string& key, const Reader<T>& reader) {
    const ConfigNode value = take(key);
    if (!value.valid()) {
      missing(key, reader.expected);
      return T{};
    }
    return reader.read(value, *problems_).value_or(T{});
  }

  /// The value; nothing where the key is absent or (with a Problem) wrong.
  template <class T>
  std::optional<T> optional(const std::string& key, const Reader<T>& reader) {
    const ConfigNode value = take(key);
    if (!value.valid()) return std::nullopt;
    return reader.read(value, *problems_);
  }

  /// The value, or `otherwise` where the key is absent or (with a Problem) wrong.
  template <class T>
  T get(const std::string& key, const Reader<T>& reader, T otherwise) {
    return optional(key, reader).value_or(std::move(otherwise));
  }

  /// Marks the key as known and gives its raw value, invalid where absent.
  ConfigNode take(const std::string& key);
  /// Refuses a key that the format has but this program lacks so far: "not yet supported".
  void unsupported(const std::string& key);
  [[nodiscard]] bool has(const std::string& key) const { return node_.find(key).valid(); }
  /// Place of a present key's value, else of the map with the key's path.
  [[nodiscard]] Place place_of(const std::string& key) const;
  [[nodiscard]] const ConfigNode& node() const { return node_; }
  [[nodiscard]] bool is_map() const { return !broken_; }
  [[nodiscard]] Problems& problems() { return *problems_; }

  /// A Problem for an absent key.
  void missing(const std::string& key, const std::string& expected);
  /// A Problem about a key's value.
  void wrong(const std::string& key, std::string expected, std::string got,
             std::string nearest = {});
  /// Reports every key that was not taken, with the nearest known one.
  void finish();

 private:
  ConfigNode node_;
  Problems* problems_;
  std::vector<std::string> known_;
  bool broken_ = false;
};

}  // namespace disagfusion
