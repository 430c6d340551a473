#include "traces/text_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace disagfusion::traces {

namespace {

constexpr std::size_t kBlock = std::size_t{256} << 10U;

tl::unexpected<Problems> cannot_read(const std::string& path, const std::string& why) {
  return fail(Problem{path, 0, 0, "", "a text file that can be read", why, ""});
}

/// What a binary file seems to be, or empty for text.
std::string binary_kind(std::string_view head) {
  if (head.starts_with("\x1f\x8b")) return "a gzip file";
  if (head.starts_with("\x28\xb5\x2f\xfd")) return "a zstd file";
  if (head.starts_with("PK\x03\x04")) return "a zip file";
  if (head.starts_with("PAR1")) return "a Parquet file";
  if (head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff")) return "UTF-16 text";
  return "";
}

}  // namespace

Result<TextFile> TextFile::open(const std::string& path) {
  TextFile file;
  file.path_ = path;
  file.descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file.descriptor_ < 0) return cannot_read(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.descriptor_, &status) != 0) return cannot_read(path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) return cannot_read(path, "a folder");
  if (!S_ISREG(status.st_mode)) return cannot_read(path, "something that is no regular file");
  file.fill();
  if (file.error_ != 0) return cannot_read(path, std::strerror(file.error_));
  const std::string_view head(file.cursor(), file.end_);
  if (const std::string kind = binary_kind(head); !kind.empty()) return cannot_read(path, kind);
  if (head.starts_with("\xef\xbb\xbf")) file.begin_ = 3;
  return file;
}

TextFile::TextFile(TextFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      buffer_(std::move(other.buffer_)),
      capacity_(std::exchange(other.capacity_, 0)),
      begin_(std::exchange(other.begin_, 0)),
      end_(std::exchange(other.end_, 0)),
      at_end_(other.at_end_),
      error_(other.error_) {}

TextFile& TextFile::operator=(TextFile&& other) noexcept {
  if (this == &other) return *this;
  if (descriptor_ >= 0) ::close(descriptor_);
  path_ = std::move(other.path_);
  descriptor_ = std::exchange(other.descriptor_, -1);
  buffer_ = std::move(other.buffer_);
  capacity_ = std::exchange(other.capacity_, 0);
  begin_ = std::exchange(other.begin_, 0);
  end_ = std::exchange(other.end_, 0);
  at_end_ = other.at_end_;
  error_ = other.error_;
  return *this;
}

TextFile::~TextFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

/// Makes room behind end_: by moving the window to the front, else by a larger buffer.
void TextFile::grow() {
  const std::size_t size = end_ - begin_;
  if (capacity_ != 0 && size <= capacity_ / 2) {
    std::memmove(buffer_.get(), cursor(), size);
  } else {
    const std::size_t capacity = capacity_ == 0 ? kBlock : capacity_ * 2;
    auto larger = std::make_unique_for_overwrite<char[]>(capacity + kPadding);
    if (size > 0) std::memcpy(larger.get(), cursor(), size);
    buffer_ = std::move(larger);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = size;
}

bool TextFile::fill() {
  if (at_end_ || error_ != 0 || end_ - begin_ >= kLongestWindow) return false;
  if (end_ == capacity_ || begin_ > 0) grow();
  for (;;) {
    const ssize_t got = ::read(descriptor_, end(), capacity_ - end_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error_ = errno;
    if (got <= 0) at_end_ = true;
    if (got > 0) end_ += static_cast<std::size_t>(got);
    std::memset(end(), 0, kPadding);
    return got > 0;
  }
}

}  // namespace disagfusion::traces
