#include "base/config_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/scenario.hpp"

namespace disagfusion {

namespace {

template <class T>
std::optional<T> refuse(const ConfigNode& node, Problems& problems, std::string expected,
                        std::string nearest = {}) {
  problems.push_back(
      problem_at(node.place(), std::move(expected), node.shown(), std::move(nearest)));
  return std::nullopt;
}

/// The plain number that a node holds, if it does.
std::optional<double> number_in(const ConfigNode& node) {
  if (!node.is_text() || node.quoted()) return std::nullopt;
  const auto number = parse_number(node.text());
  return number ? std::optional<double>(*number) : std::nullopt;
}

struct Range {
  double least = 0;
  double most = 0;
  bool above_least = false;
  std::string text;  ///< "of at most 1e6 s", "above 0"
  [[nodiscard]] bool holds(double value) const {
    return (above_least ? value > least : value >= least) && value <= most;
  }
};

Reader<double> as_quantity(Quantity quantity, const Range& range) {
  const std::string expected = quantity_example(quantity);
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<double> {
            if (!node.is_text()) return refuse<double>(node, problems, expected);
            const auto value = parse_quantity(node.text(), quantity);
            if (!value) return refuse<double>(node, problems, value.error());
            if (!range.holds(*value))
              return refuse<double>(node, problems, fmt::format("{}, {}", expected, range.text));
            return *value;
          }};
}

Reader<Duration> as_duration_in(const Range& range) {
  const Reader<double> quantity = as_quantity(Quantity::time, range);
  return {quantity.expected, [quantity](const ConfigNode& node, Problems& problems) {
            const std::optional<double> ns = quantity.read(node, problems);
            return ns ? std::optional<Duration>(Duration{std::llround(*ns)}) : std::nullopt;
          }};
}

template <class T>
Reader<T> as_whole(double least, double most, const std::string& expected) {
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<T> {
            const std::optional<double> number = number_in(node);
            if (!number || *number < least || *number > most || *number != std::floor(*number))
              return refuse<T>(node, problems, expected);
            return static_cast<T>(*number);
          }};
}

constexpr double kLongestNs = kLongestSeconds * 1e9;

}  // namespace

Reader<std::string> as_text(const std::string& expected) {
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<std::string> {
            if (!node.is_text() || node.text().empty())
              return refuse<std::string>(node, problems, expected);
            return node.text();
          }};
}

Reader<std::string> as_name() {
  const std::string expected = "a name of letters, digits and . _ + -";
  const auto legal = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '+' ||
           c == '-';
  };
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<std::string> {
            constexpr std::size_t kLongestName = 128;
            const std::string& text = node.text();
            const bool fits = node.is_text() && !text.empty() && text.size() <= kLongestName &&
                              std::all_of(text.begin(), text.end(), legal);
            return fits ? std::optional<std::string>(text)
                        : refuse<std::string>(node, problems, expected);
          }};
}

std::string choice_text(const std::vector<std::string>& names,
                        const std::vector<std::string>& unsupported) {
  std::string text = fmt::format("{}", fmt::join(names, ", "));
  if (!unsupported.empty())
    text += fmt::format(" ({} {} not yet supported)", fmt::join(unsupported, ", "),
                        unsupported.size() == 1 ? "is" : "are");
  return text;
}

Reader<std::string> as_choice(std::vector<std::string> names,
                              std::vector<std::string> unsupported) {
  const std::string expected = (names.size() == 1 ? "" : "one of ") + choice_text(names, {});
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<std::string> {
            const std::string& text = node.text();
            const auto among = [&](const std::vector<std::string>& list) {
              return node.is_text() && std::find(list.begin(), list.end(), text) != list.end();
            };
            if (among(names)) return text;
            if (among(unsupported))
              return refuse<std::string>(
                  node, problems, fmt::format("{} ({} is not yet supported)", expected, text));
            const std::string nearest = node.is_text() ? nearest_name(text, names) : "";
            return refuse<std::string>(node, problems, expected, nearest);
          }};
}

Reader<bool> as_on_off() {
  const std::string expected = "on or off";
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<bool> {
            const std::string& text = node.text();
            if (text == "on" || text == "true") return true;
            if (text == "off" || text == "false") return false;
            return refuse<bool>(node, problems, expected);
          }};
}

Reader<std::uint64_t> as_large_count(std::uint64_t least, std::uint64_t most) {
  return as_whole<std::uint64_t>(static_cast<double>(least), static_cast<double>(most),
                                 fmt::format("a count from {} to {}", least, most));
}

Reader<std::uint32_t> as_count(std::uint64_t least, std::uint64_t most) {
  return as_whole<std::uint32_t>(static_cast<double>(least), static_cast<double>(most),
                                 fmt::format("a count from {} to {}", least, most));
}

Reader<std::uint32_t> as_count_or_unlimited(std::uint64_t least) {
  const std::string expected =
      fmt::format("unlimited or a count from {} to {}", least, kLargestCount);
  const Reader<std::uint32_t> count = as_whole<std::uint32_t>(
      static_cast<double>(least), static_cast<double>(kLargestCount), expected);
  return {expected, [=](const ConfigNode& node, Problems& problems) {
            if (node.text() == "unlimited") return std::optional<std::uint32_t>(kUnlimited);
            return count.read(node, problems);
          }};
}

Reader<std::int32_t> as_integer(std::int32_t least, std::int32_t most) {
  return as_whole<std::int32_t>(least, most,
                                fmt::format("a whole number from {} to {}", least, most));
}

Reader<double> as_number(double least, double most) {
  const std::string expected = fmt::format("a number from {} to {}", least, most);
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<double> {
            const std::optional<double> number = number_in(node);
            if (number && *number >= least && *number <= most) return number;
            return refuse<double>(node, problems, expected);
          }};
}

Reader<double> as_positive_number(double most) {
  const std::string expected = fmt::format("a number above 0, at most {}", most);
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<double> {
            const std::optional<double> number = number_in(node);
            if (number && *number > 0 && *number <= most) return number;
            return refuse<double>(node, problems, expected);
          }};
}

Reader<double> as_seconds() {
  Reader<double> reader = as_number(0, kLongestSeconds);
  const std::string expected = "plain seconds from 0 to 1e6, such as 74.2";
  return {expected, [=](const ConfigNode& node, Problems& problems) {
            const std::size_t before = problems.size();
            auto value = reader.read(node, problems);
            if (problems.size() > before) problems.back().expected = expected;
            return value;
          }};
}

Reader<Duration> as_duration() {
  return as_duration_in({0, kLongestNs, false, "from 0 s to 1e6 s"});
}
Reader<Duration> as_positive_duration() {
  // Half a nanosecond rounds to one: what is read is never zero.
  return as_duration_in({0.5, kLongestNs, false, "above 0 s, at most 1e6 s"});
}
Reader<double> as_bytes() {
  return as_quantity(Quantity::bytes, {0, 1e15, false, "from 0 B to 1000 TB"});
}
Reader<double> as_bandwidth() {
  return as_quantity(Quantity::bandwidth, {0, 1e15, true, "above 0, at most 1000 TB/s"});
}
Reader<double> as_price() {
  return as_quantity(Quantity::price, {0, 1e6, false, "from 0 to 1e6 USD/h"});
}
Reader<double> as_rate() {
  return as_quantity(Quantity::rate, {0, 1e9, true, "above 0, at most 1e9 /s"});
}
Reader<double> as_share() {
  return as_quantity(Quantity::share, {0, 1, false, "from 0 % to 100 %"});
}
Reader<double> as_factor() {
  return as_quantity(Quantity::factor, {0, 1e6, true, "above 0, at most 1e6x"});
}

Reader<ConfigNode> as_node(const std::string& expected) {
  return {expected,
          [](const ConfigNode& node, Problems&) { return std::optional<ConfigNode>(node); }};
}

MapReader::MapReader(ConfigNode node, Problems& problems, const std::string& expected)
    : node_(std::move(node)), problems_(&problems) {
  if (!node_.valid() || node_.is_map()) return;
  problems.push_back(problem_at(node_.place(), expected, node_.shown()));
  node_ = ConfigNode::empty_map(node_.place());
  broken_ = true;
}

ConfigNode MapReader::take(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  return node_.find(key);
}

void MapReader::unsupported(const std::string& key) {
  const ConfigNode value = take(key);
  if (value.valid())
    wrong(key, fmt::format("no '{}' (it is not yet supported)", key), value.shown());
}

Place MapReader::place_of(const std::string& key) const {
  const ConfigNode value = node_.find(key);
  if (value.valid()) return value.place();
  Place place = node_.place();
  place.path = path_of_key(place.path, key);
  return place;
}

void MapReader::missing(const std::string& key, const std::string& expected) {
  if (!broken_) problems_->push_back(problem_at(place_of(key), expected, "nothing"));
}

void MapReader::wrong(const std::string& key, std::string expected, std::string got,
                      std::string nearest) {
  problems_->push_back(
      problem_at(place_of(key), std::move(expected), std::move(got), std::move(nearest)));
}

void MapReader::finish() {
  for (std::size_t i = 0; i < node_.size(); ++i) {
    const std::string& key = node_.key(i);
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string nearest = nearest_name(key, known_);
    std::string expected = "a known key";
    if (nearest.empty())
      expected = known_.empty() ? "no key"
                                : (known_.size() == 1 ? "" : "one of ") + choice_text(known_, {});
    problems_->push_back(problem_at(node_.key_place(i), expected, "'" + key + "'", nearest));
  }
}

}  // namespace disagfusion
