// serve.state: the lock, the journal, outputs and what lets a restarted controller find its
// workers.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace disagfusion::exec {

/// Holds the lock as long as it lives. Movable.
class StateFolder {
 public:
  /// Makes the folder where it is missing. A Problem where another `serve` holds it or the disk
  /// refuses.
  static Result<StateFolder> open(const std::string& path);
  StateFolder(StateFolder&& other) noexcept;
  StateFolder& operator=(StateFolder&& other) noexcept;
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;
  ~StateFolder();

  [[nodiscard]] std::string journal() const { return path_ + "/journal.sqlite"; }
  [[nodiscard]] std::string outputs() const { return path_ + "/outputs"; }
  [[nodiscard]] std::string workers() const { return path_ + "/workers"; }
  [[nodiscard]] bool has_journal() const;
  /// Seconds by the system clock since the journal was last written; at least 0.
  [[nodiscard]] double journal_age_s() const;

  /// How workers reach the controller.
  struct Meeting {
    std::uint16_t control_port = 0, pull_port = 0;
    std::string token;
  };
  /// As the last controller left it; without ports and with a new random token where there was
  /// none.
  [[nodiscard]] Meeting meeting() const;
  /// Readable by the owner alone.
  Result<void> keep(const Meeting& meeting) const;

 private:
  StateFolder() = default;
  std::string path_;
  int lock_ = -1;
};

}  // namespace disagfusion::exec
