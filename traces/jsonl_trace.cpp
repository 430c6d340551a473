// Traces as JSONL: one object a line, keys named as the columns.
#include <fmt/format.h>
#define SIMDJSON_EXCEPTIONS 0  // errors are codes: an implicit conversion does not compile
#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "traces/csv_scanner.hpp"
#include "traces/decimal.hpp"
#include "traces/row_builder.hpp"
#include "traces/trace_formats.hpp"

namespace disagfusion::traces {

namespace {

namespace json = simdjson::ondemand;
static_assert(TextFile::kPadding >= simdjson::SIMDJSON_PADDING);

/// Lines that are not blank, one at a time, with their numbers.
class LineScanner {
 public:
  explicit LineScanner(TextFile file) : file_(std::move(file)) {}

  /// The next line, without its end; valid until the next call. False at the end.
  Result<bool> next(std::string_view& line) {
    while (!finished_ && file_.error() == 0) {
      const char* const begin = file_.cursor();
      const auto left = static_cast<std::size_t>(file_.end() - begin);
      const void* const stop = left > 0 ? std::memchr(begin, '\n', left) : nullptr;
      if (stop == nullptr && !file_.at_end_of_file()) {
        if (!file_.fill() && file_.error() == 0 && !file_.at_end_of_file()) {
          finished_ = true;
          return fail(Problem{file_.path(), line_ + 1, 0, "", "a line of at most 16 MiB",
                              "a longer one", ""});
        }
        continue;
      }
      if (left == 0) break;
      const char* const end = stop != nullptr ? static_cast<const char*>(stop) : file_.end();
      file_.consume(stop != nullptr ? end + 1 : end);
      ++line_;
      line = std::string_view(begin, static_cast<std::size_t>(end - begin));
      if (line.find_first_not_of(" \t\r") != std::string_view::npos) return true;
    }
    const bool tell = !std::exchange(finished_, true) && file_.error() != 0;
    if (!tell) return false;
    return fail(Problem{file_.path(), line_, 0, "", "a file that can be read to its end",
                        std::strerror(file_.error()), ""});
  }
  [[nodiscard]] int number() const { return line_; }
  [[nodiscard]] const std::string& path() const { return file_.path(); }

 private:
  TextFile file_;
  int line_ = 0;
  bool finished_ = false;
};

/// Parses one object and hands its members to `take(key, value)`, which returns an error code of
/// its own reading. Anything but one whole object is an error.
template <class Take>
simdjson::error_code each_member(json::parser& parser, std::string_view line, Take take) {
  json::document document;
  const std::size_t capacity = line.size() + simdjson::SIMDJSON_PADDING;
  if (auto error = parser.iterate(line.data(), line.size(), capacity).get(document)) return error;
  json::object object;
  if (auto error = document.get_object().get(object)) return error;
  for (auto member : object) {
    json::field field;
    if (auto error = std::move(member).get(field)) return error;
    std::string_view key;
    if (auto error = field.unescaped_key().get(key)) return error;
    if (auto error = take(key, field.value())) return error;
  }
  const char* rest = nullptr;
  const bool more = document.current_location().get(rest) == simdjson::SUCCESS;
  return more ? simdjson::TAPE_ERROR : simdjson::SUCCESS;
}

/// The names of all keys of the file, in order of appearance. Lines that are no objects are left to
/// the reading proper.
Result<TraceColumns> collect_keys(const std::string& path, std::uint64_t& rows) {
  Result<TextFile> file = TextFile::open(path);
  if (!file) return tl::unexpected(file.error());
  LineScanner lines(std::move(*file));
  json::parser parser;
  TraceColumns columns;
  std::string_view line;
  for (;;) {
    const Result<bool> got = lines.next(line);
    if (!got) return tl::unexpected(got.error());
    if (!*got) return columns;
    ++rows;
    const auto error = each_member(parser, line, [&](std::string_view key, json::value) {
      auto& extra = columns.extra;
      if (const std::optional<Column> column = column_of(key)) {
        columns.add(*column);
      } else if (std::find(extra.begin(), extra.end(), key) == extra.end()) {
        if (extra.size() > kMostColumns) return simdjson::CAPACITY;
        extra.emplace_back(key);
      }
      return simdjson::SUCCESS;
    });
    if (error == simdjson::CAPACITY) {
      return fail(Problem{path, lines.number(), 0, "", fmt::format("at most {} keys", kMostColumns),
                          "more", ""});
    }
  }
}

std::string_view kind_name(json::json_type type) {
  switch (type) {
    case json::json_type::array:
      return "an array";
    case json::json_type::object:
      return "an object";
    case json::json_type::number:
      return "a number";
    case json::json_type::string:
      return "a string";
    case json::json_type::boolean:
      return "true or false";
    case json::json_type::null:
      return "null";
  }
  return "something else";
}

class JsonlTraceReader : public TraceReader {
 public:
  JsonlTraceReader(LineScanner lines, TraceColumns columns, TraceContext context)
      : lines_(std::move(lines)),
        file_columns_(std::move(columns)),
        builder_(std::move(context), file_columns_) {}

  Result<bool> next(Request& request) override {
    Result<bool> got = lines_.next(line_);
    if (!got || !*got) return got;
    builder_.begin(request);
    seen_ = 0;
    seen_extra_.assign(file_columns_.extra.size(), false);
    const auto error = each_member(parser_, line_, [&](std::string_view key, json::value value) {
      return take(request, key, value);
    });
    if (error != simdjson::SUCCESS) {
      problems_ = {{lines_.path(), lines_.number(), 0, "", "one JSON object a line",
                    error == simdjson::INCORRECT_TYPE ? "another kind of value" : describe(error),
                    ""}};
    } else if (problems_.empty()) {
      if (const std::optional<RowProblem> problem = builder_.finish(request)) add(*problem, 0);
    }
    if (problems_.empty()) return true;
    return fail(std::exchange(problems_, {}));
  }

  [[nodiscard]] int line() const override { return lines_.number(); }
  [[nodiscard]] const TraceColumns& columns() const override { return builder_.columns(); }
  [[nodiscard]] const std::vector<std::string>& model_names() const override {
    return builder_.model_names();
  }
  [[nodiscard]] std::vector<std::string> notes() const override { return notes_on(file_columns_); }

 private:
  static std::string describe(simdjson::error_code error) {
    return fmt::format("broken JSON ({})", simdjson::error_message(error));
  }

  void add(const RowProblem& problem, int column) {
    problems_.push_back({lines_.path(), lines_.number(), column,
                         std::string(column_name(*problem.column)), problem.expected, problem.got,
                         problem.nearest});
  }

  /// The column, from 1, at which a token of the current line begins.
  [[nodiscard]] int column_of_token(std::string_view token) const {
    return static_cast<int>(token.data() - line_.data()) + 1;
  }

  simdjson::error_code take(Request& request, std::string_view key, json::value& value) {
    const std::optional<Column> column = column_of(key);
    std::string_view token = value.raw_json_token();
    const std::size_t last = token.find_last_not_of(" \t\r\n");
    token = token.substr(0, last + 1);
    if (repeated(key, column)) {
      problems_.push_back({lines_.path(), lines_.number(), column_of_token(token), std::string(key),
                           "each key once", "it again", ""});
    }
    if (!column) return take_extra(request, key, value);
    json::json_type type{};
    if (auto error = value.type().get(type)) return error;
    if (type == json::json_type::null) {
      return check_null(value);
    }
    const bool number = type == json::json_type::number;
    const int at = column_of_token(token);
    if (is_number(*column)) {
      if (!number) return wrong_type(*column, type, at);
      return store(request, *column, token, at);
    }
    if (*column == Column::id && number) return store(request, *column, token, at);
    if (*column == Column::loras && type == json::json_type::array) {
      return take_list(request, value);
    }
    if (type != json::json_type::string) return wrong_type(*column, type, at);
    std::string_view text;
    if (auto error = value.get_string().get(text)) return error;
    return text.empty() ? simdjson::SUCCESS : store(request, *column, text, at);
  }

  simdjson::error_code store(Request& request, Column column, std::string_view text, int at) {
    if (!builder_.set(request, column, text)) add(builder_.problem_of(column, text), at);
    return simdjson::SUCCESS;
  }

  simdjson::error_code wrong_type(Column column, json::json_type type, int at) {
    RowProblem problem = builder_.problem_of(column, "");
    problem.got = kind_name(type);
    problem.nearest.clear();
    add(problem, at);
    return simdjson::SUCCESS;
  }

  /// loras: ["a", "b"] is "a;b".
  simdjson::error_code take_list(Request& request, json::value& value) {
    json::array array;
    if (auto error = value.get_array().get(array)) return error;
    for (auto element : array) {
      std::string_view text;
      if (auto error = element.get_string().get(text)) return error;
      if (!request.loras.empty()) request.loras += ';';
      request.loras += text;
    }
    return simdjson::SUCCESS;
  }

  static simdjson::error_code check_null(json::value& value) {
    bool null = false;
    if (auto error = value.is_null().get(null)) return error;
    return null ? simdjson::SUCCESS : simdjson::N_ATOM_ERROR;
  }

  /// Strings as they are, null as nothing, everything else as its JSON text.
  simdjson::error_code take_extra(Request& request, std::string_view key, json::value& value) {
    const auto& names = file_columns_.extra;
    const auto at =
        static_cast<std::size_t>(std::find(names.begin(), names.end(), key) - names.begin());
    if (at == names.size()) return simdjson::TAPE_ERROR;  // collect_keys could not read this line
    std::string& cell = request.extra[at];
    json::json_type type{};
    if (auto error = value.type().get(type)) return error;
    std::string_view text;
    if (type == json::json_type::string) {
      if (auto error = value.get_string().get(text)) return error;
    } else if (type == json::json_type::array || type == json::json_type::object) {
      if (auto error = simdjson::to_json_string(value).get(text)) return error;
    } else if (type == json::json_type::null) {
      if (auto error = check_null(value)) return error;
    } else {
      text = value.raw_json_token();
      text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
      if (type == json::json_type::number) {
        double number = 0;
        if (auto error = value.get_double().get(number)) return error;
      } else {
        bool on = false;
        if (auto error = value.get_bool().get(on)) return error;
      }
    }
    cell.assign(text);
    return simdjson::SUCCESS;
  }

  bool repeated(std::string_view key, std::optional<Column> column) {
    if (column) {
      const std::uint32_t bit = 1U << static_cast<unsigned>(*column);
      return (std::exchange(seen_, seen_ | bit) & bit) != 0;
    }
    const auto& names = file_columns_.extra;
    const auto at =
        static_cast<std::size_t>(std::find(names.begin(), names.end(), key) - names.begin());
    if (at == names.size()) return false;
    const bool before = seen_extra_[at];
    seen_extra_[at] = true;
    return before;
  }

  LineScanner lines_;
  TraceColumns file_columns_;
  RowBuilder builder_;
  json::parser parser_;
  std::string_view line_;
  std::uint32_t seen_ = 0;  ///< columns met in this line
  std::vector<bool> seen_extra_;
  Problems problems_;
};

}  // namespace

Result<std::unique_ptr<TraceReader>> open_jsonl_trace(TextFile file, TraceContext context) {
  const std::string path = file.path();
  std::uint64_t rows = 0;
  Result<TraceColumns> columns = collect_keys(path, rows);
  if (!columns) return tl::unexpected(columns.error());
  if (rows == 0) return no_rows(path, 1);
  // A file of broken lines alone names no keys: its lines tell more than "no column arrival_s".
  if (columns->known != 0 || !columns->extra.empty()) {
    Problems problems = problems_of_columns(path, 1, *columns, context);
    if (!problems.empty()) return fail(std::move(problems));
  }
  return std::make_unique<JsonlTraceReader>(LineScanner(std::move(file)), std::move(*columns),
                                            std::move(context));
}

}  // namespace disagfusion::traces
