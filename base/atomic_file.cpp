#include "base/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace disagfusion {

namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 18U;

tl::unexpected<Problems> cannot_write(const std::string& path, const std::string& why) {
  return fail(Problem{path, 0, 0, "", "a file that can be written", why, ""});
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

/// A name beside `path` that nobody else uses.
std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path target(path);
  const std::string name =
      fmt::format(".{}.{}.{}.tmp", target.filename().string(), ::getpid(), counter++);
  return (target.parent_path() / name).string();
}

/// Where `path` leads when symbolic links are followed; `path` itself where nothing is there yet.
std::string follow_links(const std::string& path) {
  std::error_code error;
  const std::filesystem::path followed = std::filesystem::weakly_canonical(path, error);
  return error ? path : followed.string();
}

constexpr mode_t kMode = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;  // less umask

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  if (path.empty()) return cannot_write(path, "an empty name");
  AtomicFile file;
  file.path_ = path;
  file.target_ = follow_links(path);
  struct stat status {};
  if (::stat(file.target_.c_str(), &status) == 0) {
    if (!S_ISREG(status.st_mode)) return cannot_write(path, "something that is no regular file");
    if (::access(file.target_.c_str(), W_OK) != 0) return cannot_write(path, std::strerror(errno));
  } else if (errno != ENOENT) {
    return cannot_write(path, std::strerror(errno));
  }
  if (path.back() == '/') return cannot_write(path, "the name of a folder");
  const std::string folder = folder_of(file.target_);
  file.descriptor_ = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, kMode);
  if (file.descriptor_ < 0) {  // no such folder, or a file system without O_TMPFILE
    file.temporary_ = temporary_name(file.target_);
    file.descriptor_ =
        ::open(file.temporary_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kMode);
  }
  if (file.descriptor_ < 0) {
    file.temporary_.clear();
    return cannot_write(path, std::strerror(errno));
  }
  file.buffer_.reserve(kBufferBytes);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      buffer_(std::move(other.buffer_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      error_(other.error_) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this == &other) return *this;
  discard();
  path_ = std::move(other.path_);
  target_ = std::move(other.target_);
  temporary_ = std::exchange(other.temporary_, {});
  buffer_ = std::move(other.buffer_);
  descriptor_ = std::exchange(other.descriptor_, -1);
  error_ = other.error_;
  return *this;
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::write(std::string_view text) {
  if (buffer_.size() + text.size() > kBufferBytes) flush();
  buffer_.append(text);
}

void AtomicFile::flush() {
  const char* data = buffer_.data();
  std::size_t left = buffer_.size();
  while (left > 0 && error_ == 0) {
    const ssize_t written = ::write(descriptor_, data, left);
    if (written < 0) {
      if (errno != EINTR) error_ = errno;
      continue;
    }
    data += written;
    left -= static_cast<std::size_t>(written);
  }
  buffer_.clear();
}

/// Gives the nameless file a name beside the target, for rename() to move over it.
std::string AtomicFile::link_under_temporary_name() {
  if (!temporary_.empty()) return temporary_;
  const std::string from = fmt::format("/proc/self/fd/{}", descriptor_);
  const std::string name = temporary_name(target_);
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    error_ = errno;
  } else {
    temporary_ = name;
  }
  return name;
}

Result<void> AtomicFile::commit() {
  flush();
  if (error_ == 0 && ::fsync(descriptor_) != 0) error_ = errno;
  if (error_ == 0) {
    const std::string name = link_under_temporary_name();
    if (error_ == 0 && ::rename(name.c_str(), target_.c_str()) != 0) error_ = errno;
    if (error_ == 0) temporary_.clear();
  }
  const int error = error_;
  discard();
  if (error != 0) return cannot_write(path_, std::strerror(error));
  return {};
}

}  // namespace disagfusion
