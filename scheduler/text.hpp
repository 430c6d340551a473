// Events and actions as lines for people: golden logs, `verify --print`, failures of the monitor.
// The same input always gives the same text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::scheduler {

/// Seconds as an exact decimal without trailing zeros: "74.2", "0.000000001", "0".
std::string seconds_text(std::int64_t ns);
/// Bytes with the largest SI prefix that leaves at least one, exact: "4.2 MB", "1.048576 MB", "0
/// B".
std::string bytes_text(std::uint64_t bytes);

/// Writes keys as r5 (request 5), c17 (command 17; c2.17 of the second controller), i3.1 (instance
/// 3, its first incarnation), h12.1 (the first handle in slot 12), and stages, models, roles and
/// machines by name (copied from the setup). It remembers what the commands were that it was shown,
/// and says so where an event names one. Safe for keys that mean nothing.
class TextWriter {
 public:
  explicit TextWriter(const Setup& setup);

  /// One line without its end: seconds with nine digits, kind, what it is about.
  [[nodiscard]] std::string event(TimePoint now, const Event& event) const;
  /// One line without its end and without indent.
  [[nodiscard]] std::string action(const ActionBuffer& buffer, const Action& action) const;
  /// The event's line, then its actions, two spaces in; each line ended. Remembers the commands.
  [[nodiscard]] std::string block(TimePoint now, const Event& event, const ActionBuffer& buffer);
  void remember(const ActionBuffer& buffer);

 private:
  struct Known {
    std::uint64_t id = 0;
    ActionKind kind = ActionKind::cancel_timer;
    NodeId node;
    HandleKey handle;
  };

  void write_subject(std::string& out, const Event& event) const;
  void write_arrival(std::string& out, const Event& event) const;
  void write_outcomes(std::string& out, const Event& event) const;
  void write_inventory(std::string& out, const Inventory& inventory) const;
  void write_order(std::string& out, const Event& event) const;
  void write_members(std::string& out, const ActionBuffer& buffer, const Action& action) const;
  void write_enqueue(std::string& out, const ActionBuffer& buffer, const Action& action) const;
  void write_preempt(std::string& out, const ActionBuffer& buffer, const Action& action) const;
  /// The command and, where it is remembered, what it was.
  [[nodiscard]] std::string described(CommandKey key) const;

  std::vector<std::string> stages_, weights_, models_, gpus_, roles_, machines_;
  std::vector<Known> commands_;  ///< by slot
};

}  // namespace disagfusion::scheduler
