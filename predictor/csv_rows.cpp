#include "predictor/csv_rows.hpp"

#include <fmt/format.h>

#include <utility>

namespace disagfusion::predictor {
namespace {

/// A cursor over the text that knows its line and column.
struct Cursor {
  std::string_view text;
  std::size_t at = 0;
  int line = 1, column = 1;

  [[nodiscard]] bool done() const { return at >= text.size(); }
  [[nodiscard]] char peek() const { return text[at]; }
  [[nodiscard]] bool at_line_end() const { return done() || peek() == '\n' || peek() == '\r'; }
  char take() {
    const char c = text[at++];
    if (c == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
    return c;
  }
};

/// False where a quote is never closed.
bool read_field(Cursor& cursor, CsvField& field) {
  field.column = cursor.column;
  if (cursor.at_line_end() || cursor.peek() != '"') {
    while (!cursor.at_line_end() && cursor.peek() != ',') field.text += cursor.take();
    return true;
  }
  cursor.take();
  while (!cursor.done()) {
    const char c = cursor.take();
    if (c != '"') {
      field.text += c;
    } else if (!cursor.done() && cursor.peek() == '"') {
      field.text += cursor.take();
    } else {
      while (!cursor.at_line_end() && cursor.peek() != ',') field.text += cursor.take();
      return true;
    }
  }
  return false;
}

bool read_row(Cursor& cursor, CsvRow& row) {
  row.line = cursor.line;
  while (true) {
    CsvField field;
    if (!read_field(cursor, field)) return false;
    row.fields.push_back(std::move(field));
    if (cursor.at_line_end()) break;
    cursor.take();  // the comma
  }
  if (!cursor.done() && cursor.peek() == '\r') cursor.take();
  if (!cursor.done() && cursor.peek() == '\n') cursor.take();
  return true;
}

}  // namespace

Result<std::vector<CsvRow>> parse_csv(std::string_view text, const std::string& file) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<CsvRow> rows;
  Problems problems;
  Cursor cursor{text};
  while (!cursor.done()) {
    CsvRow row;
    if (!read_row(cursor, row)) {
      problems.push_back({file, row.line, 1, "", "a closing quote", "the end of the file", ""});
      break;
    }
    if (row.fields.size() == 1 && row.fields[0].text.empty()) continue;
    if (!rows.empty() && row.fields.size() != rows.front().fields.size())
      problems.push_back({file, row.line, 1, "",
                          fmt::format("{} fields, as in the header", rows.front().fields.size()),
                          fmt::format("{}", row.fields.size()), ""});
    rows.push_back(std::move(row));
  }
  if (rows.empty() && problems.empty())
    problems.push_back({file, 1, 1, "", "a header with column names", "an empty file", ""});
  if (!problems.empty()) return fail(std::move(problems));
  return rows;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace disagfusion::predictor
