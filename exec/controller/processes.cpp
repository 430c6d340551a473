#include "exec/controller/processes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstring>
#include <fstream>
#include <sstream>

extern char** environ;

namespace disagfusion::exec {

std::optional<ProcessId> ProcessId::of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  // pid (name) state ppid ...; the name may hold anything, so count from its last parenthesis.
  const auto close = text.rfind(')');
  if (close == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(close + 1));
  std::string state, skipped;
  fields >> state;
  if (state == "Z" || state == "X") return std::nullopt;
  constexpr int kBetweenStateAndStart = 18;
  for (int i = 0; i < kBetweenStateAndStart; ++i) fields >> skipped;
  ProcessId process;
  process.pid = pid;
  if (!(fields >> process.started)) return std::nullopt;
  return process;
}

struct WatchedProcess::State {
  State(asio::io_context& context, int descriptor) : pidfd(context, descriptor) {}
  asio::posix::stream_descriptor pidfd;
  ProcessId process;
  std::function<void()> ended;
};

WatchedProcess::WatchedProcess(std::shared_ptr<State> state) : state_(std::move(state)) {}

// The wait goes on without us: a child that ends leaves no zombie.
WatchedProcess::~WatchedProcess() { state_->ended = nullptr; }

std::unique_ptr<WatchedProcess> WatchedProcess::watch(asio::io_context& context, ProcessId process,
                                                      std::function<void()> ended) {
  const auto descriptor = static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0));
  if (descriptor < 0) return nullptr;
  auto state = std::make_shared<State>(context, descriptor);
  // The descriptor holds whoever has the number now: is it still the same?
  if (ProcessId::of(process.pid) != process) return nullptr;
  state->process = process;
  state->ended = std::move(ended);
  state->pidfd.async_wait(asio::posix::stream_descriptor::wait_read, [state](error_code error) {
    if (error) return;
    ::waitpid(state->process.pid, nullptr, WNOHANG);
    if (state->ended) std::exchange(state->ended, nullptr)();
  });
  return std::unique_ptr<WatchedProcess>(new WatchedProcess(std::move(state)));
}

ProcessId WatchedProcess::id() const { return state_->process; }

void WatchedProcess::kill() {
  ::syscall(SYS_pidfd_send_signal, state_->pidfd.native_handle(), SIGKILL, nullptr, 0);
}

void WatchedProcess::ask_to_end() {
  ::syscall(SYS_pidfd_send_signal, state_->pidfd.native_handle(), SIGTERM, nullptr, 0);
}

std::optional<ProcessId> spawn_self(const SpawnOptions& options, std::string& why) {
  std::vector<std::string> arguments{"disagfusion"};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> environment = options.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (std::string& text : texts) list.push_back(text.data());
    list.push_back(nullptr);
    return list;
  };
  std::vector<char*> argv = pointers(arguments), envp = pointers(environment);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const char* log = options.log.empty() ? "/dev/null" : options.log.c_str();
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_APPEND,
                                   0600);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    why = std::strerror(error);
    return std::nullopt;
  }
  auto process = ProcessId::of(pid);
  if (!process) {
    ::waitpid(pid, nullptr, 0);
    why = "it ended at once";
  }
  return process;
}

}  // namespace disagfusion::exec
