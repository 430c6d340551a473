// A published CSV file read by column names, and its timestamps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "traces/csv_scanner.hpp"

namespace disagfusion::traces {

/// Rows of a CSV file whose header must hold the wanted columns; others are ignored.
class SourceTable {
 public:
  static Result<SourceTable> open(const std::string& path, std::vector<std::string> columns);
  /// The next row; false at the end. A ragged row is a Problem.
  Result<bool> next();
  /// The cell of the i-th wanted column in the current row.
  [[nodiscard]] std::string_view cell(std::size_t i) const { return fields_[at_[i]].text(); }
  /// A Problem at that cell.
  [[nodiscard]] tl::unexpected<Problems> wrong(std::size_t i, const std::string& expected) const;

 private:
  explicit SourceTable(CsvScanner scanner) : scanner_(std::move(scanner)) {}
  CsvScanner scanner_;
  std::vector<std::string> columns_;
  std::vector<std::size_t> at_;  ///< position in the file, by wanted column
  std::vector<CsvField> fields_;
  std::size_t width_ = 0;
};

/// "2023-11-16 18:15:46.6805900" (also with a T; up to nine decimals) to nanoseconds since 1970,
/// all days having 86,400 s. Nothing where the text is no such time.
std::optional<std::int64_t> parse_timestamp(std::string_view text);

}  // namespace disagfusion::traces
