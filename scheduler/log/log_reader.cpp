#include "scheduler/log/log_reader.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "scheduler/log/file_container.hpp"
#include "scheduler/log/sqlite_container.hpp"

namespace disagfusion::scheduler::log {

Result<std::unique_ptr<LogReader>> open_log(const std::string& path) {
  constexpr std::string_view kSqliteMagic{"SQLite format 3\0", 16};
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return fail(Problem{path, 0, 0, "", "an event log", std::strerror(errno), ""});
  }
  std::array<char, 16> start{};
  const std::size_t size = std::fread(start.data(), 1, start.size(), file);
  std::fclose(file);
  const std::string_view magic(start.data(), size);
  if (magic == kSqliteMagic) return open_sqlite_log(path);
  return open_file_log(path);
}

}  // namespace disagfusion::scheduler::log
