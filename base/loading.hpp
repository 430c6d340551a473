// What every part of the loader shares: where texts come from, what was read, what was wrong.
#pragma once

#include <string>
#include <vector>

#include "base/config_node.hpp"
#include "base/file_source.hpp"
#include "base/result.hpp"

namespace disagfusion {

/// One load of a scenario or question and the files that it names.
struct Loading {
  FileSource& files;
  Problems problems;
  std::vector<SourceText> sources;

  explicit Loading(FileSource& source) : files(source) {}

  /// Reads and parses a file; where that fails, adds Problems and gives an invalid node. An
  /// unreadable file is reported at `named_at`, the value that names it, as "expected WHAT, got
  /// ...".
  ConfigNode read_config(const std::string& path, const Place& named_at, const std::string& what);
  /// The Problems in the order of the files read, then of lines and columns.
  [[nodiscard]] Problems sorted_problems() const;
};

/// `path` as the file at `base_file` means it: relative paths are relative to its folder.
std::string resolve_path(const std::string& base_file, const std::string& path);

}  // namespace disagfusion
