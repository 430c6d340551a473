#include "traces/requests_csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "traces/csv_scanner.hpp"
#include "traces/decimal.hpp"
#include "traces/row_builder.hpp"
#include "traces/text_file.hpp"

namespace disagfusion::traces {

namespace {

constexpr std::array<std::string_view, 6> kOutcomes{"completed", "rejected", "timed_out",
                                                    "cancelled", "failed",   "in_flight"};

/// What follows a stage's name in its columns.
constexpr std::array<std::string_view, 8> kStageFields{
    "_ready_s", "_transfer_start_s", "_transfer_end_s", "_start_s",
    "_end_s",   "_instance",         "_attempt",        "_batch"};

/// Columns of this file's own, which a trace's column must not repeat.
constexpr std::array<std::string_view, 6> kOwn{"state",  "reason",    "admitted_s",
                                               "done_s", "latency_s", "slo_met"};

bool is_own_column(std::string_view name, const std::vector<std::string>& stages) {
  if (std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end()) return true;
  return std::any_of(stages.begin(), stages.end(), [name](const std::string& stage) {
    return name.starts_with(stage) && std::find(kStageFields.begin(), kStageFields.end(),
                                                name.substr(stage.size())) != kStageFields.end();
  });
}

void append_time(std::string& out, const std::optional<TimePoint>& time) {
  out += ',';
  if (time) append_seconds(out, time->ns);
}

void append_number(std::string& out, std::uint32_t number, bool present) {
  out += ',';
  if (present) out += std::to_string(number);
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  return kOutcomes[static_cast<std::size_t>(outcome)];
}

std::optional<Outcome> outcome_of(std::string_view name) {
  const auto at = std::find(kOutcomes.begin(), kOutcomes.end(), name);
  if (at == kOutcomes.end()) return std::nullopt;
  return static_cast<Outcome>(at - kOutcomes.begin());
}

void RequestRow::clear() {
  state = Outcome::in_flight;
  reason.clear();
  admitted.reset();
  std::fill(stages.begin(), stages.end(), StageTimes{});
  done.reset();
  latency.reset();
  slo_met.reset();
}

// ---- writing -----------------------------------------------------------------------------------

Result<RequestsCsvWriter> RequestsCsvWriter::create(const std::string& path,
                                                    RequestsCsvColumns columns) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return tl::unexpected(file.error());
  return RequestsCsvWriter(std::move(*file), std::move(columns));
}

RequestsCsvWriter::RequestsCsvWriter(AtomicFile file, RequestsCsvColumns columns)
    : file_(std::move(file)), columns_(std::move(columns)) {
  for (std::size_t i = 0; i < kColumnCount; ++i) {
    const auto column = static_cast<Column>(i);
    const bool apart =
        column == Column::arrival_s || column == Column::model || column == Column::id;
    if (!apart && columns_.trace.has(column)) known_.push_back(column);
  }
  write_header();
}

void RequestsCsvWriter::write_header() {
  line_ = "id,model";
  for (const Column column : known_) (line_ += ',') += column_name(column);
  for (const std::string& name : columns_.trace.extra) {
    line_ += ',';
    append_csv(line_, is_own_column(name, columns_.stages) ? "trace_" + name : name);
  }
  line_ += ",state,reason,arrival_s,admitted_s";
  for (const std::string& stage : columns_.stages) {
    for (const std::string_view field : kStageFields) {
      line_ += ',';
      append_csv(line_, fmt::format("{}{}", stage, field));
    }
  }
  line_ += ",done_s,latency_s,slo_met\n";
  file_.write(line_);
}

void RequestsCsvWriter::append_trace_cells(const Request& request) {
  append_csv(line_, request.id_text());
  line_ += ',';
  cell_.clear();
  append_cell(cell_, request, Column::model, columns_.model_names);
  append_csv(line_, cell_);
  for (const Column column : known_) {
    line_ += ',';
    cell_.clear();
    append_cell(cell_, request, column, columns_.model_names);
    append_csv(line_, cell_);
  }
  for (std::size_t i = 0; i < columns_.trace.extra.size(); ++i) {
    line_ += ',';
    if (i < request.extra.size()) append_csv(line_, request.extra[i]);
  }
}

void RequestsCsvWriter::append_stage(const StageTimes& stage) {
  append_time(line_, stage.ready);
  append_time(line_, stage.transfer_start);
  append_time(line_, stage.transfer_end);
  append_time(line_, stage.start);
  append_time(line_, stage.end);
  append_number(line_, stage.instance.value, stage.instance.valid());
  append_number(line_, stage.attempt, stage.attempt != 0);
  append_number(line_, stage.batch, stage.batch != 0);
}

void RequestsCsvWriter::write(const Request& request, const RequestRow& row) {
  line_.clear();
  append_trace_cells(request);
  (line_ += ',') += outcome_name(row.state);
  line_ += ',';
  append_csv(line_, row.reason);
  append_time(line_, request.arrival);
  append_time(line_, row.admitted);
  for (std::size_t i = 0; i < columns_.stages.size(); ++i) {
    append_stage(i < row.stages.size() ? row.stages[i] : StageTimes{});
  }
  append_time(line_, row.done);
  line_ += ',';
  if (row.latency) append_seconds(line_, row.latency->ns);
  line_ += ',';
  if (row.slo_met) line_ += *row.slo_met ? "true" : "false";
  line_ += '\n';
  file_.write(line_);
}

Result<void> RequestsCsvWriter::commit() { return file_.commit(); }

// ---- reading -----------------------------------------------------------------------------------

namespace {

/// What a column of the file fills.
struct Target {
  enum class Kind : std::uint8_t {
    known,
    extra,
    state,
    reason,
    admitted,
    done,
    latency,
    slo,
    stage
  };
  Kind kind = Kind::extra;
  Column column{};
  std::size_t at = 0;     ///< position among the extra columns, or stage
  std::size_t field = 0;  ///< position in kStageFields
};

/// Times of results may run longer than those of scenarios.
constexpr Duration kLatestTime{9'000'000'000'000'000'000};

bool store_time(std::optional<TimePoint>& target, std::string_view text) {
  const std::optional<Duration> time = parse_seconds(text, kLatestTime);
  if (time) target = TimePoint{time->ns};
  return time.has_value();
}

bool store_number(std::uint32_t& target, std::string_view text) {
  const std::optional<std::int64_t> number = parse_whole(text, 0, 0xfffffffe);
  if (number) target = static_cast<std::uint32_t>(*number);
  return number.has_value();
}

bool store_stage(StageTimes& stage, std::size_t field, std::string_view text) {
  switch (field) {
    case 0:
      return store_time(stage.ready, text);
    case 1:
      return store_time(stage.transfer_start, text);
    case 2:
      return store_time(stage.transfer_end, text);
    case 3:
      return store_time(stage.start, text);
    case 4:
      return store_time(stage.end, text);
    case 5:
      return store_number(stage.instance.value, text);
    case 6:
      return store_number(stage.attempt, text);
    default:
      return store_number(stage.batch, text);
  }
}

bool store(RequestRow& row, const Target& target, std::string_view text) {
  switch (target.kind) {
    case Target::Kind::state: {
      const std::optional<Outcome> outcome = outcome_of(text);
      if (outcome) row.state = *outcome;
      return outcome.has_value();
    }
    case Target::Kind::reason:
      row.reason.assign(text);
      return true;
    case Target::Kind::admitted:
      return store_time(row.admitted, text);
    case Target::Kind::done:
      return store_time(row.done, text);
    case Target::Kind::latency:
      row.latency = parse_seconds(text, kLatestTime);
      return row.latency.has_value();
    case Target::Kind::slo:
      row.slo_met = text == "true";
      return text == "true" || text == "false";
    default:
      return store_stage(row.stages[target.at], target.field, text);
  }
}

std::string expected_of(const Target& target) {
  switch (target.kind) {
    case Target::Kind::state:
      return fmt::format("one of {}", fmt::join(kOutcomes, ", "));
    case Target::Kind::slo:
      return "true or false";
    case Target::Kind::stage:
      return target.field < 5 ? "seconds" : "a whole number";
    default:
      return "seconds";
  }
}

class Reader : public RequestsCsvReader {
 public:
  explicit Reader(CsvScanner scanner) : scanner_(std::move(scanner)) {}

  /// Reads the header.
  Result<void> begin() {
    Result<bool> got = scanner_.next(fields_);
    if (!got) return tl::unexpected(got.error());
    Problems problems;
    if (*got) {
      for (const CsvField& field : fields_) names_.emplace_back(field.text());
    }
    if (std::find(names_.begin(), names_.end(), "state") == names_.end() ||
        std::find(names_.begin(), names_.end(), "arrival_s") == names_.end()) {
      return fail(Problem{scanner_.path(), 1, 0, "",
                          "the header of a requests.csv (id, model, ..."
                          ", state, reason, arrival_s, ...)",
                          *got ? "another" : "an empty file", ""});
    }
    if (names_.size() > kMostColumns) {
      return fail(Problem{scanner_.path(), 1, 0, "",
                          fmt::format("at most {} columns", kMostColumns),
                          std::to_string(names_.size()), ""});
    }
    for (std::size_t i = 0; i < names_.size(); ++i) add_column(i, problems);
    if (!problems.empty()) return fail(std::move(problems));
    builder_.emplace(TraceContext::any_model(), columns_.trace);
    return {};
  }

  Result<bool> next(Request& request, RequestRow& row) override {
    Result<bool> got = scanner_.next(fields_);
    if (!got || !*got) return got;
    if (fields_.size() != targets_.size()) {
      return fail(Problem{scanner_.path(), scanner_.line(), 0, "",
                          fmt::format("{} cells, as in the header", targets_.size()),
                          std::to_string(fields_.size()), ""});
    }
    builder_->begin(request);
    row.stages.resize(columns_.stages.size());
    row.clear();
    Problems problems;
    for (std::size_t i = 0; i < fields_.size(); ++i) take(i, request, row, problems);
    if (!problems.empty()) return fail(std::move(problems));
    request.index = rows_++;
    if (columns_.model_names.size() != builder_->model_names().size()) {
      columns_.model_names = builder_->model_names();
    }
    return true;
  }

  [[nodiscard]] const RequestsCsvColumns& columns() const override { return columns_; }

 private:
  void add_column(std::size_t at, Problems& problems) {
    const std::string& name = names_[at];
    if (std::find(names_.begin(), names_.begin() + static_cast<std::ptrdiff_t>(at), name) !=
        names_.begin() + static_cast<std::ptrdiff_t>(at)) {
      problems.push_back({scanner_.path(), 1, static_cast<int>(fields_[at].column), "",
                          "each column once", name + " again", ""});
    }
    targets_.push_back(target_of(name));
  }

  Target target_of(const std::string& name) {
    using Kind = Target::Kind;
    constexpr std::array<Kind, 6> kKinds{Kind::state, Kind::reason,  Kind::admitted,
                                         Kind::done,  Kind::latency, Kind::slo};
    const auto own = std::find(kOwn.begin(), kOwn.end(), name);
    if (own != kOwn.end()) return {kKinds[static_cast<std::size_t>(own - kOwn.begin())], {}, 0, 0};
    if (const std::optional<Column> column = column_of(name)) {
      columns_.trace.add(*column);
      return {Kind::known, *column, 0, 0};
    }
    if (const std::optional<Target> target = stage_target(name)) return *target;
    columns_.trace.extra.push_back(name);
    return {Kind::extra, {}, columns_.trace.extra.size() - 1, 0};
  }

  /// S_start_s and its like, where S also has the column S_ready_s.
  std::optional<Target> stage_target(const std::string& name) {
    // Longest first: "_transfer_start_s" ends in "_start_s".
    for (const std::size_t field : {1U, 2U, 0U, 3U, 4U, 5U, 6U, 7U}) {
      if (!name.ends_with(kStageFields[field])) continue;
      const std::string stage = name.substr(0, name.size() - kStageFields[field].size());
      if (std::find(names_.begin(), names_.end(), stage + "_ready_s") == names_.end()) continue;
      auto& stages = columns_.stages;
      auto at = std::find(stages.begin(), stages.end(), stage);
      if (at == stages.end()) at = stages.insert(stages.end(), stage);
      return Target{Target::Kind::stage, {}, static_cast<std::size_t>(at - stages.begin()), field};
    }
    return std::nullopt;
  }

  void take(std::size_t i, Request& request, RequestRow& row, Problems& problems) {
    const Target& target = targets_[i];
    const std::string_view text = fields_[i].text();
    if (target.kind == Target::Kind::extra) {
      request.extra[target.at].assign(text);
      return;
    }
    if (text.empty()) {
      const bool needed =
          target.kind == Target::Kind::state ||
          (target.kind == Target::Kind::known && target.column == Column::arrival_s);
      if (needed) add(i, {{}, "a value", "nothing", ""}, problems);
      return;
    }
    if (target.kind == Target::Kind::known) {
      if (target.column == Column::arrival_s) {
        std::optional<TimePoint> arrival;
        if (!store_time(arrival, text)) add(i, {{}, "seconds", std::string(text), ""}, problems);
        request.arrival = arrival.value_or(TimePoint{});
      } else if (!builder_->set(request, target.column, text)) {
        add(i, builder_->problem_of(target.column, text), problems);
      }
    } else if (!store(row, target, text)) {
      add(i, {{}, expected_of(target), std::string(text), ""}, problems);
    }
  }

  void add(std::size_t i, const RowProblem& problem, Problems& problems) const {
    problems.push_back({scanner_.path(), scanner_.line() + static_cast<int>(fields_[i].line_offset),
                        static_cast<int>(fields_[i].column), names_[i], problem.expected,
                        problem.got, problem.nearest});
  }

  CsvScanner scanner_;
  std::vector<CsvField> fields_;
  std::vector<std::string> names_;
  std::vector<Target> targets_;
  RequestsCsvColumns columns_;
  std::optional<RowBuilder> builder_;
  std::uint64_t rows_ = 0;
};

}  // namespace

Result<std::unique_ptr<RequestsCsvReader>> open_requests_csv(const std::string& path) {
  Result<TextFile> file = TextFile::open(path);
  if (!file) return tl::unexpected(file.error());
  auto reader = std::make_unique<Reader>(CsvScanner(std::move(*file)));
  const Result<void> begun = reader->begin();
  if (!begun) return tl::unexpected(begun.error());
  return reader;
}

}  // namespace disagfusion::traces
