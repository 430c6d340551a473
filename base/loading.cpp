#include "base/loading.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "base/config_parser.hpp"

namespace disagfusion {

ConfigNode Loading::read_config(const std::string& path, const Place& named_at,
                                const std::string& what) {
  auto text = files.read(path);
  if (!text) {
    const std::string got = named_at.line == 0 && !named_at.file.empty()
                                ? text.error()
                                : fmt::format("{} ({})", path, text.error());
    problems.push_back(problem_at(named_at, what, got));
    return {};
  }
  const bool known = std::any_of(sources.begin(), sources.end(),
                                 [&](const SourceText& source) { return source.path == path; });
  if (!known) sources.push_back({path, *text});
  return parse_config(files.shown(path), *text, problems);
}

Problems Loading::sorted_problems() const {
  const auto file_order = [&](const Problem& problem) {
    for (std::size_t i = 0; i < sources.size(); ++i)
      if (files.shown(sources[i].path) == problem.file) return i;
    return sources.size();
  };
  const auto place = [&](const Problem& p) {
    return std::make_tuple(file_order(p), p.line, p.column);
  };
  Problems sorted = problems;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Problem& a, const Problem& b) { return place(a) < place(b); });
  const auto repeated =
      std::unique(sorted.begin(), sorted.end(),
                  [](const Problem& a, const Problem& b) { return a.text() == b.text(); });
  sorted.erase(repeated, sorted.end());
  return sorted;
}

std::string resolve_path(const std::string& base_file, const std::string& path) {
  const std::filesystem::path given(path);
  if (given.is_absolute()) return given.lexically_normal().string();
  const std::filesystem::path folder = std::filesystem::path(base_file).parent_path();
  return (folder / given).lexically_normal().string();
}

}  // namespace disagfusion
