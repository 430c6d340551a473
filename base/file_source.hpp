// Where the texts of configuration come from: the disk, or the texts that an event log carries, so
// that a log can be verified on a machine that has none of the files.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/result.hpp"

namespace disagfusion {

/// A file that a scenario was made of.
struct SourceText {
  std::string path;  ///< as it was asked for; "configs:models/NAME.yaml" for shipped files
  std::string text;
};

/// Paths that begin so are looked up in the configs root, wherever that is on this machine.
inline constexpr std::string_view kShippedPrefix = "configs:";

/// Reads texts by path. Not thread-safe.
class FileSource {
 public:
  virtual ~FileSource() = default;
  /// The whole text, or why there is none ("no such file"). At most kLargestConfigBytes.
  virtual tl::expected<std::string, std::string> read(const std::string& path) = 0;
  /// Names (without ".yaml") of the shipped files of `folder` ("models"), sorted; for nearest
  /// names.
  virtual std::vector<std::string> shipped_names(const std::string& folder) = 0;
  /// The path as messages show it.
  [[nodiscard]] virtual std::string shown(const std::string& path) const { return path; }
};

/// Path of the program that runs; empty where the system does not say.
std::string running_program();

inline constexpr std::size_t kLargestConfigBytes = std::size_t{4} << 20U;

/// The folder that holds models/ and hardware/: $DISAGFUSION_CONFIGS, else the `configs` folder
/// beside the first ancestor of the running program that has `configs/models`. A Problem where
/// neither is.
Result<std::string> find_configs_root();

/// Files on disk; shipped files from `configs_root` (empty: there are none).
class DiskFiles : public FileSource {
 public:
  explicit DiskFiles(std::string configs_root) : configs_root_(std::move(configs_root)) {}
  /// With find_configs_root(), or without shipped files where that fails.
  DiskFiles();
  tl::expected<std::string, std::string> read(const std::string& path) override;
  std::vector<std::string> shipped_names(const std::string& folder) override;
  [[nodiscard]] std::string shown(const std::string& path) const override;

 private:
  std::string configs_root_;
};

/// Texts in memory, by the paths they were asked for.
class TextFiles : public FileSource {
 public:
  explicit TextFiles(std::vector<SourceText> texts) : texts_(std::move(texts)) {}
  tl::expected<std::string, std::string> read(const std::string& path) override;
  std::vector<std::string> shipped_names(const std::string& folder) override;

 private:
  std::vector<SourceText> texts_;
};

}  // namespace disagfusion
