// Processes of workers: starting them, noticing their end, ending them. Only by descriptor of the
// very process (pidfd): never by name, and never a later process of the same number.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exec/net/asio.hpp"

namespace disagfusion::exec {

/// A process by number and start time: no other process ever has both.
struct ProcessId {
  pid_t pid = 0;
  std::uint64_t started = 0;  ///< clock ticks after boot
  /// Of a living process (zombies are dead); nothing where there is none.
  static std::optional<ProcessId> of(pid_t pid);
  auto operator<=>(const ProcessId&) const = default;
};

/// Watches one process, a child or not. One thread, that of `context`.
class WatchedProcess {
 public:
  /// `ended` is called once, when the process has ended, unless this is destroyed before. Null
  /// where the process is no more.
  static std::unique_ptr<WatchedProcess> watch(asio::io_context& context, ProcessId process,
                                               std::function<void()> ended);
  ~WatchedProcess();
  [[nodiscard]] ProcessId id() const;
  /// SIGKILL, to this very process.
  void kill();
  /// SIGTERM.
  void ask_to_end();

 private:
  struct State;
  explicit WatchedProcess(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

struct SpawnOptions {
  std::vector<std::string> arguments;    ///< after the program's name; the program is this very one
  std::vector<std::string> environment;  ///< "NAME=value", besides our own
  std::string log;                       ///< file that takes stderr, appended
};

/// Starts this program again, in a process group of its own (Ctrl-C does not reach it), without our
/// descriptors. Nothing where the system refuses; `why` says why.
std::optional<ProcessId> spawn_self(const SpawnOptions& options, std::string& why);

}  // namespace disagfusion::exec
