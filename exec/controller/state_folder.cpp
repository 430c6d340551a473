#include "exec/controller/state_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/atomic_file.hpp"
#include "base/check.hpp"

namespace disagfusion::exec {
namespace {

Problem problem(const std::string& path, const std::string& got) {
  Problem p;
  p.path = "serve.state";
  p.expected = "a folder that this program can use alone";
  p.got = path + ": " + got;
  return p;
}

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  DF_CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

}  // namespace

Result<StateFolder> StateFolder::open(const std::string& path) {
  StateFolder folder;
  folder.path_ = path.empty() ? "state" : path;
  while (folder.path_.size() > 1 && folder.path_.back() == '/') folder.path_.pop_back();
  std::error_code error;
  for (const std::string& each : {folder.path_, folder.outputs(), folder.workers()}) {
    std::filesystem::create_directories(each, error);
    if (error) return fail(problem(each, error.message()));
  }
  const std::string name = folder.path_ + "/lock";
  folder.lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (folder.lock_ < 0) return fail(problem(name, std::strerror(errno)));
  if (::flock(folder.lock_, LOCK_EX | LOCK_NB) != 0) {
    return fail(problem(folder.path_,
                        errno == EWOULDBLOCK ? "another serve holds it" : std::strerror(errno)));
  }
  return folder;
}

StateFolder::StateFolder(StateFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

StateFolder& StateFolder::operator=(StateFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

StateFolder::~StateFolder() {
  if (lock_ >= 0) ::close(lock_);
}

bool StateFolder::has_journal() const { return std::filesystem::exists(journal()); }

double StateFolder::journal_age_s() const {
  double age = 0;
  bool any = false;
  for (const char* suffix : {"", "-wal"}) {
    struct stat file {};
    if (::stat((journal() + suffix).c_str(), &file) != 0) continue;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const double written =
        static_cast<double>(file.st_mtim.tv_sec) + 1e-9 * static_cast<double>(file.st_mtim.tv_nsec);
    const double since = std::chrono::duration<double>(now).count() - written;
    age = any ? std::min(age, since) : since;
    any = true;
  }
  return std::max(0.0, age);
}

StateFolder::Meeting StateFolder::meeting() const {
  Meeting found;
  std::ifstream file(path_ + "/meeting");
  if (!(file >> found.control_port >> found.pull_port >> found.token))
    found = {0, 0, random_token()};
  return found;
}

Result<void> StateFolder::keep(const Meeting& meeting) const {
  const mode_t mask = ::umask(0077);
  auto file = AtomicFile::create(path_ + "/meeting");
  ::umask(mask);
  if (!file) return fail(file.error());
  file->write(fmt::format("{} {} {}\n", meeting.control_port, meeting.pull_port, meeting.token));
  return file->commit();
}

}  // namespace disagfusion::exec
