// Reading CSV text with a header (RFC 4180: quoted fields, doubled quotes, LF or CRLF).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace disagfusion::predictor {

struct CsvField {
  std::string text;
  int column = 1;  ///< character of the line, from 1
};
struct CsvRow {
  std::vector<CsvField> fields;
  int line = 1;
};

/// All rows, the header first; blank lines are left out. Problems: a quote that is not closed, a
/// row with more or fewer fields than the header, no header.
Result<std::vector<CsvRow>> parse_csv(std::string_view text, const std::string& file);

/// The text as one field, quoted where it must be.
std::string csv_field(const std::string& text);

}  // namespace disagfusion::predictor
