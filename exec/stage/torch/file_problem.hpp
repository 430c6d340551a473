// Problems of files and buffers, which have no line and column.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace disagfusion::exec::torch_stage {

/// "file: path: expected ..., got ...". `path` is the name of a tensor or key, or empty.
inline Problem file_problem(std::string_view file, std::string path, std::string expected,
                            std::string got) {
  Problem problem;
  problem.file = file;
  problem.path = std::move(path);
  problem.expected = std::move(expected);
  problem.got = std::move(got);
  return problem;
}

}  // namespace disagfusion::exec::torch_stage
