// An event log as one file: what `simulate --log` writes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/result.hpp"
#include "scheduler/log/codec.hpp"
#include "scheduler/log/log_reader.hpp"
#include "scheduler/session.hpp"

namespace disagfusion::scheduler::log {

/// The first eight bytes of such a file; the version follows.
inline constexpr std::string_view kFileMagic{"DFEVLOG\n", 8};

/// Running checksum of the bytes of a file: eight at a time, multiplied and folded.
class Checksum {
 public:
  void add(std::string_view bytes);
  [[nodiscard]] std::uint64_t value() const;

 private:
  void take(std::uint64_t word);
  std::uint64_t state_ = 0, length_ = 0;
  std::string tail_;  ///< fewer than eight bytes
};

/// Writes through a buffer of its own; the file appears whole at close() or not at all. Not thread
/// safe.
class FileLog final : public EventSink {
 public:
  static Result<std::unique_ptr<FileLog>> create(const std::string& path, const LogHeader& header);

  void record(TimePoint now, const Event& event, std::uint64_t actions_hash) override;
  /// Writes the trailer and puts the file in place. Without it nothing is left behind.
  Result<void> close();
  [[nodiscard]] std::uint64_t records() const { return records_; }

 private:
  explicit FileLog(AtomicFile file);
  void put(std::string_view bytes);
  /// Room for so many bytes at the end of the buffer.
  char* room(std::size_t bytes);
  void flush();

  AtomicFile file_;
  Encoder encoder_;
  Checksum checksum_;
  std::vector<char> buffer_;
  std::size_t used_ = 0;
  std::uint64_t records_ = 0, decision_hash_ = 0;
};

/// Reads such a file block by block.
Result<std::unique_ptr<LogReader>> open_file_log(const std::string& path);

}  // namespace disagfusion::scheduler::log
