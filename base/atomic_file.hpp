// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace disagfusion {

/// Buffered writing to a file without a name (O_TMPFILE; where the file system has none, a hidden
/// neighbour), which commit() renames over `path`. Without commit() nothing is left behind and an
/// older file stays as it was. Not thread safe.
class AtomicFile {
 public:
  /// Fails where the folder is missing or not writable, or `path` is there and no regular file.
  static Result<AtomicFile> create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Errors are kept and told by commit().
  void write(std::string_view text);
  /// Flushes to the disk, then puts the file in place.
  Result<void> commit();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  AtomicFile() = default;
  void flush();
  void discard();
  [[nodiscard]] std::string link_under_temporary_name();

  std::string path_;       ///< as asked for
  std::string target_;     ///< symbolic links followed
  std::string temporary_;  ///< name of the hidden neighbour, or empty
  std::string buffer_;
  int descriptor_ = -1;
  int error_ = 0;  ///< errno of the first failed write
};

}  // namespace disagfusion
