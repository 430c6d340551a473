// The lockstep check: the events of a log through a fresh scheduler must give the same actions.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "predictor/cost_model.hpp"
#include "scheduler/log/log_reader.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::scheduler::log {

/// The first event at which log and scheduler part.
struct Mismatch {
  std::uint64_t number = 0;  ///< of the event, from 1
  std::string event;         ///< its line: time, kind, subject
  std::string what;          ///< "the actions differ", or what the protocol says against it
  std::uint64_t logged = 0,
                computed = 0;  ///< hashes of the actions; 0 where the protocol stopped it

  /// Lines for people, ended.
  [[nodiscard]] std::string text() const;
};

struct VerifyReport {
  std::uint64_t events = 0;         ///< that agreed
  std::uint64_t decision_hash = 0;  ///< of these
  std::optional<Mismatch> mismatch;
};

/// Replays what is left in `reader` through a scheduler made from `setup` and `belief`; stops at
/// the first mismatch. `print`: every event and its recomputed actions as text, the mismatching one
/// included. Problems: of the log (Problem names the place), of the policies.
Result<VerifyReport> replay(LogReader& reader, const Setup& setup,
                            std::shared_ptr<const predictor::CostModel> belief,
                            std::ostream* print);

/// The same, with everything made from the texts in the log's header.
Result<VerifyReport> verify(const std::string& path, std::ostream* print);

}  // namespace disagfusion::scheduler::log
