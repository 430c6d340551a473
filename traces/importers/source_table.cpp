#include "traces/importers/source_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "traces/decimal.hpp"
#include "traces/text_file.hpp"

namespace disagfusion::traces {

Result<SourceTable> SourceTable::open(const std::string& path, std::vector<std::string> columns) {
  Result<TextFile> file = TextFile::open(path);
  if (!file) return tl::unexpected(file.error());
  SourceTable table{CsvScanner(std::move(*file))};
  table.columns_ = std::move(columns);
  Result<bool> got = table.scanner_.next(table.fields_);
  if (!got) return tl::unexpected(got.error());
  std::vector<std::string> names;
  if (*got) {
    for (const CsvField& field : table.fields_) names.emplace_back(trim(field.text()));
  }
  table.width_ = names.size();
  Problems problems;
  for (const std::string& column : table.columns_) {
    const auto at = std::find(names.begin(), names.end(), column);
    if (at == names.end()) {
      problems.push_back({path, 1, 0, "", fmt::format("the column {}", column),
                          *got ? "no such column" : "an empty file", nearest_name(column, names)});
    }
    table.at_.push_back(static_cast<std::size_t>(at - names.begin()));
  }
  if (!problems.empty()) return fail(std::move(problems));
  return table;
}

Result<bool> SourceTable::next() {
  Result<bool> got = scanner_.next(fields_);
  if (got && *got && fields_.size() != width_) {
    return fail(Problem{scanner_.path(), scanner_.line(), 0, "",
                        fmt::format("{} cells, as in the header", width_),
                        std::to_string(fields_.size()), ""});
  }
  return got;
}

tl::unexpected<Problems> SourceTable::wrong(std::size_t i, const std::string& expected) const {
  const CsvField& field = fields_[at_[i]];
  return fail(Problem{scanner_.path(), scanner_.line() + static_cast<int>(field.line_offset),
                      static_cast<int>(field.column), columns_[i], expected,
                      field.size == 0 ? "nothing" : std::string(field.text()), ""});
}

std::optional<std::int64_t> parse_timestamp(std::string_view text) {
  // YYYY-MM-DD HH:MM:SS, then a fraction of a second.
  constexpr std::string_view kForm = "dddd-dd-dd dd:dd:dd";
  if (text.size() < kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const char c = text[i];
    const bool fits = kForm[i] == 'd'   ? c >= '0' && c <= '9'
                      : kForm[i] == ' ' ? c == ' ' || c == 'T'
                                        : c == kForm[i];
    if (!fits) return std::nullopt;
  }
  const auto number = [text](std::size_t from, std::size_t digits) {
    int value = 0;
    for (std::size_t i = from; i < from + digits; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  const std::chrono::year_month_day date{std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  if (date.year() < std::chrono::year(1970) || date.year() > std::chrono::year(2200)) {
    return std::nullopt;
  }
  Duration fraction;
  if (text.size() > kForm.size()) {
    const std::string_view rest = text.substr(kForm.size());
    const std::optional<Duration> parsed = parse_seconds(rest, Duration{999'999'999});
    if (rest[0] != '.' || !parsed) return std::nullopt;
    fraction = *parsed;
  }
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
  return seconds * 1'000'000'000 + fraction.ns;
}

}  // namespace disagfusion::traces
