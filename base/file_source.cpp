#include "base/file_source.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace disagfusion {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".yaml";

bool is_shipped(const std::string& path) {
  return path.compare(0, kShippedPrefix.size(), kShippedPrefix) == 0;
}

tl::expected<std::string, std::string> read_disk(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return tl::unexpected<std::string>("no such file");
  if (error) return tl::unexpected<std::string>("unreadable: " + error.message());
  if (fs::is_directory(status)) return tl::unexpected<std::string>("a folder");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return tl::unexpected<std::string>("a file that cannot be opened");
  std::string text(kLargestConfigBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return tl::unexpected<std::string>("a file that cannot be read");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kLargestConfigBytes) return tl::unexpected<std::string>("a file above 4 MiB");
  return text;
}

}  // namespace

std::string running_program() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? "" : program.string();
}

Result<std::string> find_configs_root() {
  constexpr const char* kVariable = "DISAGFUSION_CONFIGS";
  std::error_code error;
  // Read at start-up, before there are threads.
  if (const char* named = std::getenv(kVariable); named != nullptr && *named != '\0') {
    if (fs::is_directory(fs::path(named) / "models", error)) return std::string(named);
    return fail(Problem{kVariable, 0, 0, "", "a folder that holds models/", named, ""});
  }
  for (fs::path folder = fs::path(running_program()).parent_path(); !folder.empty();
       folder = folder.parent_path()) {
    if (fs::is_directory(folder / "configs" / "models", error))
      return (folder / "configs").string();
    if (folder == folder.root_path()) break;
  }
  return fail(Problem{kVariable, 0, 0, "", "the folder of shipped models and hardware",
                      "none above the program", ""});
}

DiskFiles::DiskFiles() {
  if (auto root = find_configs_root()) configs_root_ = std::move(*root);
}

std::string DiskFiles::shown(const std::string& path) const {
  if (!is_shipped(path)) return path;
  return (fs::path(configs_root_) / path.substr(kShippedPrefix.size())).string();
}

tl::expected<std::string, std::string> DiskFiles::read(const std::string& path) {
  if (is_shipped(path) && configs_root_.empty())
    return tl::unexpected<std::string>("no folder of shipped files (set DISAGFUSION_CONFIGS)");
  return read_disk(shown(path));
}

std::vector<std::string> DiskFiles::shipped_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(fs::path(configs_root_) / folder, error), end; !error && it != end;
       it.increment(error))
    if (it->path().extension() == kExtension) names.push_back(it->path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

tl::expected<std::string, std::string> TextFiles::read(const std::string& path) {
  for (const SourceText& source : texts_)
    if (source.path == path) return source.text;
  return tl::unexpected<std::string>("no such file");
}

std::vector<std::string> TextFiles::shipped_names(const std::string& folder) {
  const std::string prefix = std::string(kShippedPrefix) + folder + "/";
  std::vector<std::string> names;
  for (const SourceText& source : texts_) {
    const std::string& path = source.path;
    if (path.size() <= prefix.size() + kExtension.size() ||
        path.compare(0, prefix.size(), prefix) != 0)
      continue;
    names.push_back(path.substr(prefix.size(), path.size() - prefix.size() - kExtension.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace disagfusion
