#include "traces/trace_reader.hpp"

#include <fmt/format.h>

#include <unordered_set>
#include <utility>

#include "traces/trace_formats.hpp"

namespace disagfusion::traces {

TraceContext TraceContext::of(const Scenario& scenario, std::uint64_t seed) {
  TraceContext context;
  for (const ModelSpec& model : scenario.models) context.model_names.push_back(model.name);
  context.mix = RequestMix(scenario.workload.mix, scenario.models, seed);
  return context;
}

TraceContext TraceContext::any_model() { return {}; }

Problems problems_of_columns(const std::string& path, int line, const TraceColumns& columns,
                             const TraceContext& context) {
  Problems problems;
  const auto missing = [&](Column column, std::string expected) {
    std::string nearest = nearest_name(std::string(column_name(column)), columns.extra);
    Problem problem{path, line, 0, "", std::move(expected), "no such column", ""};
    if (!nearest.empty()) problem.got += fmt::format(", but {}", nearest);
    problems.push_back(std::move(problem));
  };
  if (!columns.has(Column::arrival_s)) missing(Column::arrival_s, "the column arrival_s");
  if (context.model_names.size() > 1 && !columns.has(Column::model)) {
    missing(Column::model, "the column model (the scenario has more than one)");
  }
  return problems;
}

tl::unexpected<Problems> no_rows(const std::string& path, int line) {
  return fail(Problem{path, line, 0, "", "at least one request", "none", ""});
}

namespace {

bool is_jsonl(const TextFile& file) {
  if (file.path().ends_with(".jsonl") || file.path().ends_with(".ndjson")) return true;
  const char* p = file.cursor();
  while (p < file.end() && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) ++p;
  return p < file.end() && *p == '{';
}

/// The first problems, and how many there were.
class ProblemList {
 public:
  void add(Problems problems) {
    for (Problem& problem : problems) {
      if (++count_ <= kMostProblems) first_.push_back(std::move(problem));
    }
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  Problems take(const std::string& path) {
    if (count_ > kMostProblems) {
      first_.push_back({path, 0, 0, "", "no further problems",
                        fmt::format("{} more", count_ - kMostProblems), ""});
    }
    return std::move(first_);
  }

 private:
  std::size_t count_ = 0;
  Problems first_;
};

/// Remembers ids by their hashes (two different ids of one hash: once in 10^6 traces of 10^7 rows).
class IdSet {
 public:
  /// False where the id was met before.
  bool insert(const std::string& id) { return seen_.insert(std::hash<std::string>{}(id)).second; }

 private:
  std::unordered_set<std::size_t> seen_;
};

}  // namespace

Result<std::unique_ptr<TraceReader>> open_trace(const std::string& path, TraceContext context) {
  Result<TextFile> file = TextFile::open(path);
  if (!file) return tl::unexpected(file.error());
  return is_jsonl(*file) ? open_jsonl_trace(std::move(*file), std::move(context))
                         : open_csv_trace(std::move(*file), std::move(context));
}

Result<TraceFacts> validate(const std::string& path, const TraceContext& context) {
  Result<std::unique_ptr<TraceReader>> reader = open_trace(path, context);
  if (!reader) return tl::unexpected(reader.error());
  TraceFacts facts;
  ProblemList problems;
  IdSet ids;
  Request request;
  for (;;) {
    Result<bool> got = (*reader)->next(request);
    if (!got) {
      problems.add(std::move(got.error()));
      continue;
    }
    if (!*got) break;
    if (!request.id.empty() && !ids.insert(request.id)) {
      problems.add({{path, (*reader)->line(), 0, "id", "each id once", request.id + " again", ""}});
    }
    if (facts.rows++ == 0) facts.first = request.arrival;
    facts.last = request.arrival;
  }
  if (!problems.empty()) return fail(problems.take(path));
  facts.columns = (*reader)->columns();
  facts.notes = (*reader)->notes();
  return facts;
}

}  // namespace disagfusion::traces
