// The request trace of design 7.3, CSV or JSONL, read as a stream and strictly.
//
// arrival_s is always there; `model` where the scenario has more than one. What else a trace does
// not say comes from the workload's mix: the entry is drawn among those of the row's model, by the
// mix stream of the row's index, and fills the missing shape cells and, where the trace lacks the
// column, guidance, priority, deadline and tenant. So a trace of arrivals alone gets a request mix.
// An empty cell (JSONL: null or no key) means "not said". Columns of other names are carried as
// text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "traces/request.hpp"
#include "traces/request_mix.hpp"

namespace disagfusion::traces {

/// Against what a trace is read.
struct TraceContext {
  /// By ModelId; empty: any name is taken and numbered by appearance (`trace stats`).
  std::vector<std::string> model_names;
  RequestMix mix;

  static TraceContext of(const Scenario& scenario, std::uint64_t seed);
  /// Any model; no mix.
  static TraceContext any_model();
};

/// The latest arrival a trace may hold, in seconds: three years. (Scenario files stop at
/// kLongestSeconds; public traces are longer and are scaled by `rate_scale`.)
inline constexpr double kLatestArrivalSeconds = 1e8;

/// A trace as a stream. Memory does not grow with the file. Not thread safe.
class TraceReader {
 public:
  virtual ~TraceReader() = default;
  /// Fills `request` with the next row; false at the end. A failure holds every problem of that row
  /// (file, line, column); the next call goes on with the following row where that is possible.
  virtual Result<bool> next(Request& request) = 0;
  /// Where the row read last begins, from 1.
  [[nodiscard]] virtual int line() const = 0;
  [[nodiscard]] virtual const TraceColumns& columns() const = 0;
  /// By ModelId: the context's names, or those met so far.
  [[nodiscard]] virtual const std::vector<std::string>& model_names() const = 0;
  /// Sentences on what was read but means nothing here: `variant`, `loras`, columns whose names are
  /// nearly known ones.
  [[nodiscard]] virtual std::vector<std::string> notes() const = 0;
};

/// Opens a trace and reads its head: JSONL where the name ends in .jsonl or .ndjson or the text
/// begins with '{', else CSV (RFC 4180; LF or CRLF; UTF-8, byte order mark allowed). A JSONL file
/// is read through once for the names of its keys. Fails on what is no regular file, no rows, a
/// missing or duplicate column.
Result<std::unique_ptr<TraceReader>> open_trace(const std::string& path, TraceContext context);

/// What a whole trace holds.
struct TraceFacts {
  std::uint64_t rows = 0;
  TimePoint first, last;
  TraceColumns columns;
  std::vector<std::string> notes;
};

/// Reads the whole trace, to be called before anything is written. Besides what next() refuses,
/// duplicate ids. At most kMostProblems problems are listed, then their number.
Result<TraceFacts> validate(const std::string& path, const TraceContext& context);
inline constexpr std::size_t kMostProblems = 20;

}  // namespace disagfusion::traces
