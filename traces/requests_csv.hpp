// requests.csv of design 7.4: one row a request, from simulate and load alike; read by compare.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "traces/request.hpp"

namespace disagfusion::traces {

/// How a request ended, or that it has not.
enum class Outcome : std::uint8_t { completed, rejected, timed_out, cancelled, failed, in_flight };
std::string_view outcome_name(Outcome outcome);
std::optional<Outcome> outcome_of(std::string_view name);

/// One stage of one request. What did not happen is absent and becomes an empty cell.
struct StageTimes {
  std::optional<TimePoint> ready;  ///< its inputs exist (queued from here on)
  std::optional<TimePoint> transfer_start, transfer_end;  ///< of its input
  std::optional<TimePoint> start, end;                    ///< of compute
  InstanceId instance;                                    ///< none: not placed
  std::uint32_t attempt = 0;                              ///< 1, 2, ...; 0: none
  std::uint32_t batch = 0;  ///< requests in the batch that computed it; 0: none
};

/// What became of a request.
struct RequestRow {
  Outcome state = Outcome::in_flight;
  std::string reason;  ///< why rejected, failed, ...; may be empty
  std::optional<TimePoint> admitted;
  std::vector<StageTimes> stages;   ///< by position in RequestsCsvColumns::stages
  std::optional<TimePoint> done;    ///< the terminal state's instant
  std::optional<Duration> latency;  ///< done - arrival, where it completed
  std::optional<bool> slo_met;      ///< absent: no objective applies

  /// Back to a new row, keeping memory and the number of stages.
  void clear();
};

/// The header: id, model, the trace's columns, state, ...
struct RequestsCsvColumns {
  TraceColumns trace;                    ///< arrival_s, id and model are written anyway
  std::vector<std::string> stages;       ///< StageGraph::node_names
  std::vector<std::string> model_names;  ///< by ModelId
};

/// Writes requests.csv. Nothing is at `path` until commit(); an older file stays until then.
class RequestsCsvWriter {
 public:
  static Result<RequestsCsvWriter> create(const std::string& path, RequestsCsvColumns columns);
  /// Rows may come in any order; buffered.
  void write(const Request& request, const RequestRow& row);
  /// Puts the file in place. Fails where the disk did (at any earlier time, too).
  Result<void> commit();

 private:
  RequestsCsvWriter(AtomicFile file, RequestsCsvColumns columns);
  void write_header();
  void append_trace_cells(const Request& request);
  void append_stage(const StageTimes& stage);
  AtomicFile file_;
  RequestsCsvColumns columns_;
  std::vector<Column> known_;  ///< the trace's columns that are written, in order
  std::string line_, cell_;
};

/// Reads requests.csv as a stream; strict as trace_reader.hpp.
class RequestsCsvReader {
 public:
  virtual ~RequestsCsvReader() = default;
  /// False at the end.
  virtual Result<bool> next(Request& request, RequestRow& row) = 0;
  /// Known once opened; model_names grow while reading.
  [[nodiscard]] virtual const RequestsCsvColumns& columns() const = 0;
};
Result<std::unique_ptr<RequestsCsvReader>> open_requests_csv(const std::string& path);

}  // namespace disagfusion::traces
