#include "base/result.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>

namespace disagfusion {

namespace {

/// Values in messages stay on one line and readable.
std::string on_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) line += (c == '\n' || c == '\r' || c == '\t') ? ' ' : c;
  constexpr std::size_t kLongest = 160;
  if (line.size() > kLongest) line = line.substr(0, kLongest - 3) + "...";
  return line;
}

/// Edits that make one name of the other: a letter more, less or other, or two neighbours swapped.
std::size_t edits_between(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before, last, row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t other = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({other, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

std::size_t common_beginning(const std::string& a, const std::string& b) {
  std::size_t length = 0;
  while (length < a.size() && length < b.size() && a[length] == b[length]) ++length;
  return length;
}

/// How far a name may be from what was written: a third of it, and where they do not even begin
/// alike a quarter.
std::size_t most_edits(const std::string& name, bool alike) {
  if (!alike) return std::max<std::size_t>(1, name.size() / 4);
  constexpr std::size_t kShort = 3;
  return name.size() <= kShort ? 1 : std::max<std::size_t>(2, name.size() / 3);
}

}  // namespace

std::string Problem::text() const {
  std::string where = file;
  if (line > 0) where += fmt::format(":{}", line);
  if (line > 0 && column > 0) where += fmt::format(":{}", column);
  std::string out = where.empty() ? "" : where + ": ";
  if (!path.empty()) out += path + ": ";
  out += "expected " + on_one_line(expected);
  if (!got.empty()) out += ", got " + on_one_line(got);
  if (!nearest.empty()) out += fmt::format(" (did you mean '{}'?)", nearest);
  return out;
}

Problem unknown_command(const std::string& path, const std::string& name, const std::string& shown,
                        const std::vector<std::string>& names,
                        const std::vector<std::string>& later) {
  Problem problem;
  problem.path = path;
  if (std::find(later.begin(), later.end(), name) != later.end()) {
    problem.expected = "a command that this version has";
    problem.got = name + ", which is not yet supported";
    return problem;
  }
  problem.expected = fmt::format("one of {}", fmt::join(names, ", "));
  problem.got = shown;
  problem.nearest = nearest_name(name, names);
  return problem;
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  // The beginning of a name is nearer than any misspelling of another: "flux" of "flux.1-dev".
  constexpr std::size_t kBeginning = 3;
  for (const std::string& candidate : known) {
    if (name.size() >= kBeginning && candidate.starts_with(name)) return candidate;
  }
  // Nearest first: fewest edits (to "H100" of "H100-SXM" as well), longest common beginning, fewest
  // edits to the whole.
  using Distance = std::tuple<std::size_t, std::size_t, std::size_t>;
  std::optional<Distance> best_distance;
  std::string best;
  for (const std::string& candidate : known) {
    const std::size_t whole = edits_between(name, candidate);
    const std::string family = candidate.substr(0, candidate.find('-'));
    const std::size_t nearest = std::min(whole, edits_between(name, family));
    const std::size_t alike = common_beginning(name, candidate);
    if (nearest > most_edits(name, alike > 0)) continue;
    const Distance distance{nearest, name.size() - alike, whole};
    if (best_distance && *best_distance <= distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

}  // namespace disagfusion
