// What stands before the first record of a log, so that the log needs no other file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"

namespace disagfusion::scheduler::log {

struct LogHeader {
  std::string program_version;
  std::uint64_t seed = 0;           ///< of this run: a replication has its own
  bool live = false;                ///< as make_setup() was told
  std::string belief;               ///< predictor::Belief::description
  std::vector<SourceText> sources;  ///< Scenario::sources: the scenario and every file it read

  [[nodiscard]] std::string encoded() const;
  /// `file` is for the Problem of bytes that are no header.
  static Result<LogHeader> decode(std::string_view bytes, const std::string& file);
};

}  // namespace disagfusion::scheduler::log
