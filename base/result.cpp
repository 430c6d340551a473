#include "base/result.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

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

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  // The beginning of a name is nearer than any misspelling of another: "flux" of "flux.1-dev".
  constexpr std::size_t kBeginning = 3;
  for (const std::string& candidate : known) {
    if (name.size() >= kBeginning && candidate.starts_with(name)) return candidate;
  }
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    // Levenshtein distance, one row at a time.
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < name.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t substitution = diagonal + (name[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({substitution, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace disagfusion
