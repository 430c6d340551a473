// Traces as CSV.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "traces/csv_scanner.hpp"
#include "traces/decimal.hpp"
#include "traces/row_builder.hpp"
#include "traces/trace_formats.hpp"

namespace disagfusion::traces {

namespace {

/// What a column of the file fills.
struct Target {
  bool known = false;
  Column column{};
  std::size_t extra = 0;  ///< position in TraceColumns::extra
};

struct Header {
  std::vector<Target> targets;  ///< by position in the file
  TraceColumns columns;
};

int line_of(const CsvScanner& scanner, const CsvField& field) {
  return scanner.line() + static_cast<int>(field.line_offset);
}

Result<Header> read_header(CsvScanner& scanner) {
  std::vector<CsvField> fields;
  const Result<bool> got = scanner.next(fields);
  if (!got) return tl::unexpected(got.error());
  if (!*got) {
    return fail(Problem{scanner.path(), 1, 0, "", "a header with the column arrival_s",
                        "an empty file", ""});
  }
  if (fields.size() > kMostColumns) {
    return fail(Problem{scanner.path(), scanner.line(), 0, "",
                        fmt::format("at most {} columns", kMostColumns),
                        std::to_string(fields.size()), ""});
  }
  Header header;
  Problems problems;
  for (const CsvField& field : fields) {
    const std::string name(trim(field.text()));
    const auto wrong = [&](const char* expected, const std::string& what) {
      problems.push_back({scanner.path(), line_of(scanner, field), static_cast<int>(field.column),
                          "", expected, what, ""});
    };
    Target target;
    if (const std::optional<Column> column = column_of(name)) {
      target.known = true;
      target.column = *column;
      if (header.columns.has(*column)) wrong("each column once", name + " again");
      header.columns.add(*column);
    } else {
      auto& extra = header.columns.extra;
      if (name.empty()) wrong("a column name", "nothing");
      if (std::find(extra.begin(), extra.end(), name) != extra.end()) {
        wrong("each column once", name + " again");
      }
      target.extra = extra.size();
      extra.push_back(name);
    }
    header.targets.push_back(target);
  }
  if (!problems.empty()) return fail(std::move(problems));
  return header;
}

class CsvTraceReader : public TraceReader {
 public:
  CsvTraceReader(CsvScanner scanner, Header header, TraceContext context)
      : scanner_(std::move(scanner)),
        header_(std::move(header)),
        builder_(std::move(context), header_.columns) {}

  /// Reads the first row ahead: a trace without rows is refused at once.
  Result<bool> read_ahead() {
    const Result<bool> got = scanner_.next(fields_);
    ahead_ = got && *got;
    return got;
  }

  Result<bool> next(Request& request) override {
    if (!std::exchange(ahead_, false)) {
      Result<bool> got = scanner_.next(fields_);
      if (!got || !*got) return got;
    }
    builder_.begin(request);
    if (fields_.size() != header_.targets.size()) return ragged();
    for (std::size_t i = 0; i < fields_.size(); ++i) take(request, header_.targets[i], fields_[i]);
    if (problems_.empty()) {
      if (const std::optional<RowProblem> problem = builder_.finish(request)) {
        add(*problem, field_of(*problem->column));
      }
    }
    if (problems_.empty()) [[likely]]
      return true;
    return fail(std::exchange(problems_, {}));
  }

  [[nodiscard]] int line() const override { return scanner_.line(); }
  [[nodiscard]] const TraceColumns& columns() const override { return builder_.columns(); }
  [[nodiscard]] const std::vector<std::string>& model_names() const override {
    return builder_.model_names();
  }
  [[nodiscard]] std::vector<std::string> notes() const override {
    return notes_on(header_.columns);
  }

 private:
  void take(Request& request, const Target& target, const CsvField& field) {
    if (!target.known) {
      request.extra[target.extra].assign(field.text());
      return;
    }
    const std::string_view text =
        target.column == Column::prompt ? field.text() : trim(field.text());
    if (text.empty() || builder_.set(request, target.column, text)) [[likely]]
      return;
    add(builder_.problem_of(target.column, text), &field);
  }

  void add(const RowProblem& problem, const CsvField* field) {
    problems_.push_back({scanner_.path(), field ? line_of(scanner_, *field) : scanner_.line(),
                         field ? static_cast<int>(field->column) : 0,
                         std::string(column_name(*problem.column)), problem.expected, problem.got,
                         problem.nearest});
  }

  const CsvField* field_of(Column column) const {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (header_.targets[i].known && header_.targets[i].column == column) return &fields_[i];
    }
    return nullptr;
  }

  tl::unexpected<Problems> ragged() const {
    return fail(Problem{scanner_.path(), scanner_.line(), 0, "",
                        fmt::format("{} cells, as in the header", header_.targets.size()),
                        std::to_string(fields_.size()), ""});
  }

  CsvScanner scanner_;
  Header header_;
  RowBuilder builder_;
  std::vector<CsvField> fields_;
  Problems problems_;
  bool ahead_ = false;
};

}  // namespace

Result<std::unique_ptr<TraceReader>> open_csv_trace(TextFile file, TraceContext context) {
  CsvScanner scanner(std::move(file));
  Result<Header> header = read_header(scanner);
  if (!header) return tl::unexpected(header.error());
  Problems problems = problems_of_columns(scanner.path(), scanner.line(), header->columns, context);
  if (!problems.empty()) return fail(std::move(problems));
  const std::string path = scanner.path();
  auto reader =
      std::make_unique<CsvTraceReader>(std::move(scanner), std::move(*header), std::move(context));
  const Result<bool> row = reader->read_ahead();
  if (!row) return tl::unexpected(row.error());
  if (!*row) return no_rows(path, 1);
  return reader;
}

}  // namespace disagfusion::traces
