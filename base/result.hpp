// Failures that are the user's: what was wrong, where, what was expected and what to do.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace disagfusion {

/// One problem in the user's input. Line and column start at 1; 0 is unknown and left out.
struct Problem {
  std::string file;
  int line = 0;
  int column = 0;
  std::string path;      ///< e.g. "fleet.pools[1].count"; may be empty
  std::string expected;  ///< "a duration such as 24 ms"
  std::string got;       ///< "24"
  std::string nearest;   ///< the nearest known name, or empty

  /// "file:line:column: path: expected ..., got ... (did you mean ...?)", one line.
  [[nodiscard]] std::string text() const;
};

/// Every problem found, in the order of the file. Never empty inside a failed Result.
using Problems = std::vector<Problem>;

template <class T>
using Result = tl::expected<T, Problems>;

/// A failed Result from one problem.
inline tl::unexpected<Problems> fail(Problem problem) {
  Problems problems;
  problems.push_back(std::move(problem));
  return tl::unexpected<Problems>(std::move(problems));
}
inline tl::unexpected<Problems> fail(Problems problems) {
  return tl::unexpected<Problems>(std::move(problems));
}

/// Refuses `name` (in the message as `shown`): it is none of `names`, or one of `later`, which are
/// not yet supported.
Problem unknown_command(const std::string& path, const std::string& name, const std::string& shown,
                        const std::vector<std::string>& names,
                        const std::vector<std::string>& later);

/// The known name with the smallest edit distance to `name`, or empty when none is near
/// (distance above a third of the length).
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);

}  // namespace disagfusion
