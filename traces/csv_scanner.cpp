#include "traces/csv_scanner.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>

namespace disagfusion::traces {

namespace {

/// The bytes at which an unquoted field cannot simply go on.
constexpr std::array<bool, 256> kStops = [] {
  std::array<bool, 256> stops{};
  for (const char c : {',', '\n', '\r', '"', '\0'}) stops[static_cast<unsigned char>(c)] = true;
  return stops;
}();

/// Doubled quotes become single ones, in place.
void unescape(CsvField& field) {
  char* out = field.data;
  const char* const end = field.data + field.size;
  for (const char* p = field.data; p != end; ++p) {
    *out++ = *p;
    if (*p == '"') ++p;
  }
  field.size = static_cast<std::uint32_t>(out - field.data);
}

}  // namespace

tl::unexpected<Problems> CsvScanner::stop(Problem problem) {
  finished_ = true;
  return fail(std::move(problem));
}

Result<bool> CsvScanner::next(std::vector<CsvField>& fields) {
  if (finished_) return false;
  while (file_.error() == 0) {
    if (file_.cursor() == file_.end() && !file_.fill()) break;
    switch (scan_record(fields)) {
      case Scan::record:
        if (fields.size() == 1 && fields[0].size == 0 && !fields[0].quoted) continue;
        return true;
      case Scan::wrong:
        return stop(problem_);
      case Scan::incomplete:
        if (!file_.fill() && file_.error() == 0 && !file_.at_end_of_file()) {
          return stop({file_.path(), line_, 0, "", "a record of at most 16 MiB",
                       "a longer one (a quote that is never closed?)", ""});
        }
    }
  }
  finished_ = true;
  if (file_.error() != 0) {
    return fail(Problem{file_.path(), line_, 0, "", "a file that can be read to its end",
                        std::strerror(file_.error()), ""});
  }
  return false;
}

/// One record from the cursor on. Nothing is changed unless the record is complete.
CsvScanner::Scan CsvScanner::scan_record(std::vector<CsvField>& fields) {
  fields.clear();
  char* const end = file_.end();
  *end = '\n';  // stops every unquoted field; at the end of the file it ends the last record
  Cursor at{file_.cursor(), file_.cursor(), 0};
  bool escaped = false;
  for (;;) {
    CsvField field;
    field.column = static_cast<std::uint32_t>(at.p - at.line_begin) + 1;
    field.line_offset = at.lines;
    if (*at.p == '"') {
      if (const Scan scan = scan_quoted(at, field); scan != Scan::record) return scan;
      escaped |= field.escaped;
    } else {
      field.data = at.p;
      while (!kStops[static_cast<unsigned char>(*at.p)]) ++at.p;
      field.size = static_cast<std::uint32_t>(at.p - field.data);
    }
    fields.push_back(field);
    char* stop_at = at.p;
    if (*stop_at == ',') {
      ++at.p;
      continue;
    }
    if (*stop_at == '\r' && stop_at + 1 <= end && stop_at[1] == '\n') ++stop_at;
    if (*stop_at == '\n') {
      if (stop_at >= end && !file_.at_end_of_file()) return Scan::incomplete;
      record_line_ = line_;
      line_ += static_cast<int>(at.lines) + 1;
      file_.consume(stop_at < end ? stop_at + 1 : end);
      if (escaped) {
        for (CsvField& each : fields) {
          if (each.escaped) unescape(each);
        }
      }
      return Scan::record;
    }
    if (*stop_at == '\r') return wrong(at, stop_at, "a line feed after a carriage return", "");
    if (*stop_at == '\0') return wrong(at, stop_at, "text", "a NUL byte");
    return wrong(at, stop_at, "a quote only around a whole field, doubled inside",
                 std::string(field.data, field.size) + "\"");
  }
}

/// A quoted field; at.p goes behind its closing quote, where the field must end.
CsvScanner::Scan CsvScanner::scan_quoted(Cursor& at, CsvField& field) {
  const char* const end = file_.end();
  const Cursor opening = at;
  field.quoted = true;
  field.data = ++at.p;
  for (;;) {
    while (at.p < end && *at.p != '"' && *at.p != '\n' && *at.p != '\0') ++at.p;
    if (at.p >= end) {
      if (!file_.at_end_of_file()) return Scan::incomplete;
      return wrong(opening, opening.p, "a closing quote", "the end of the file");
    }
    if (*at.p == '\0') return wrong(at, at.p, "text", "a NUL byte");
    if (*at.p == '\n') {
      ++at.lines;
      at.line_begin = ++at.p;
      continue;
    }
    if (at.p + 1 >= end && !file_.at_end_of_file()) return Scan::incomplete;
    if (at.p[1] != '"') break;
    field.escaped = true;
    at.p += 2;
  }
  field.size = static_cast<std::uint32_t>(at.p - field.data);
  ++at.p;
  if (*at.p != ',' && *at.p != '\n' && *at.p != '\r') {
    return wrong(at, at.p, "a comma or the end of the line after a closing quote",
                 std::string(1, *at.p));
  }
  return Scan::record;
}

CsvScanner::Scan CsvScanner::wrong(const Cursor& at, const char* p, const char* expected,
                                   const std::string& got) {
  problem_ = Problem{file_.path(),
                     line_ + static_cast<int>(at.lines),
                     static_cast<int>(p - at.line_begin) + 1,
                     "",
                     expected,
                     got,
                     ""};
  return Scan::wrong;
}

void append_csv(std::string& out, std::string_view text) {
  const bool blank_ends = !text.empty() && (text.front() == ' ' || text.back() == ' ');
  if (!blank_ends && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out.append(text);
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace disagfusion::traces
