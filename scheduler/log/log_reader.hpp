// One way to read an event log, whatever holds it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "scheduler/log/codec.hpp"
#include "scheduler/log/header.hpp"

namespace disagfusion::scheduler::log {

/// What a closed log says of itself at its end.
struct LogTrailer {
  std::uint64_t records = 0;
  std::uint64_t decision_hash = 0;  ///< of the whole stream (fold_decisions)
};

/// Reads record after record. Not thread safe.
class LogReader {
 public:
  virtual ~LogReader() = default;
  [[nodiscard]] virtual const LogHeader& header() const = 0;
  /// False at the end of the log. A Problem names the byte (file) or row (SQLite) that is wrong;
  /// after it, reading is over.
  virtual Result<bool> next(Record& record) = 0;
  /// After the end: what the writer said on closing. A journal has none.
  [[nodiscard]] virtual std::optional<LogTrailer> trailer() const = 0;
};

/// Opens a file that FileLog or SqliteLog wrote, told apart by its first bytes. A journal may still
/// be written to: the records committed before this call are read.
Result<std::unique_ptr<LogReader>> open_log(const std::string& path);

}  // namespace disagfusion::scheduler::log
