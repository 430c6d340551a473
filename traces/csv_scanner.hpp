// CSV (RFC 4180) as a stream of records.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "traces/text_file.hpp"

namespace disagfusion::traces {

/// One cell, unquoted. Valid until the next record is read.
struct CsvField {
  char* data = nullptr;
  std::uint32_t size = 0;
  std::uint32_t column = 0;       ///< of its first byte in its line, from 1
  std::uint32_t line_offset = 0;  ///< lines below the record's first
  bool quoted = false;
  bool escaped = false;  ///< holds doubled quotes (until unescaped)

  [[nodiscard]] std::string_view text() const { return {data, size}; }
};

/// Commas; fields may be quoted, with doubled quotes, commas and line ends inside; LF or CRLF;
/// blank lines are skipped. A quote inside an unquoted field, text after a closing quote, a lone
/// CR, a NUL byte, a record longer than TextFile::kLongestWindow are Problems, after which the
/// scanner is at its end.
class CsvScanner {
 public:
  explicit CsvScanner(TextFile file) : file_(std::move(file)) {}
  /// The next record's cells; false at the end.
  Result<bool> next(std::vector<CsvField>& fields);
  /// The line, from 1, on which the record read last begins.
  [[nodiscard]] int line() const { return record_line_; }
  [[nodiscard]] const std::string& path() const { return file_.path(); }

 private:
  enum class Scan : std::uint8_t { record, incomplete, wrong };
  struct Cursor {
    char* p = nullptr;
    char* line_begin = nullptr;
    std::uint32_t lines = 0;  ///< line ends passed inside the record
  };
  Scan scan_record(std::vector<CsvField>& fields);
  Scan scan_quoted(Cursor& at, CsvField& field);
  Scan wrong(const Cursor& at, const char* p, const char* expected, const std::string& got);
  tl::unexpected<Problems> stop(Problem problem);

  TextFile file_;
  int line_ = 1;  ///< of the cursor
  int record_line_ = 0;
  bool finished_ = false;
  Problem problem_;
};

/// The most columns (JSONL: keys) that a file may have.
inline constexpr std::size_t kMostColumns = 1000;

/// Appends `text` as one CSV cell: quoted where it must be.
void append_csv(std::string& out, std::string_view text);

}  // namespace disagfusion::traces
