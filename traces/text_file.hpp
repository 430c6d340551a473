// A text file read in blocks through a window: the part between cursor and end is contiguous.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/result.hpp"

namespace disagfusion::traces {

/// Sequential reading. Pointers into the window are valid until fill(). Not thread safe.
class TextFile {
 public:
  /// Opens a regular file and reads its first block; a UTF-8 byte order mark is skipped. Fails on
  /// what cannot be read, is no regular file, or is no text (compressed, UTF-16).
  static Result<TextFile> open(const std::string& path);
  TextFile(TextFile&& other) noexcept;
  TextFile& operator=(TextFile&& other) noexcept;
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;
  ~TextFile();

  /// The bytes not yet consumed. Beyond end() lie kPadding bytes that may be written.
  [[nodiscard]] char* cursor() const { return buffer_.get() + begin_; }
  [[nodiscard]] char* end() const { return buffer_.get() + end_; }
  /// Consumes everything before `p`.
  void consume(const char* p) { begin_ = static_cast<std::size_t>(p - buffer_.get()); }
  /// Makes the window longer by reading; false where the file has no more bytes, the window is at
  /// its longest (kLongestWindow), or reading failed. Moves the window.
  bool fill();
  /// The last byte of the file is in the window.
  [[nodiscard]] bool at_end_of_file() const { return at_end_; }
  /// errno of a failed read, or 0.
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  static constexpr std::size_t kPadding = 128;
  static constexpr std::size_t kLongestWindow = std::size_t{16} << 20U;

 private:
  TextFile() = default;
  void grow();

  std::string path_;
  int descriptor_ = -1;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
  bool at_end_ = false;
  int error_ = 0;
};

}  // namespace disagfusion::traces
