// What stands behind `disagfusion trace import | generate | stats` (design 7.1): options in, exit
// status out (0 done, 2 bad usage or bad input). Problems go to `err`, one line each; what the user
// asked for goes to `out`.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "base/scenario.hpp"
#include "base/time.hpp"

namespace disagfusion::traces {

struct TraceImportOptions {
  std::string format;  ///< a name of importers()
  std::string input, output;
  std::string mapping;  ///< --mapping FILE; empty: the shipped one
};
int run_trace_import(const TraceImportOptions& options, std::ostream& out, std::ostream& err);
/// "  NAME  summary" a line, for --help.
std::string importer_list();

/// Either a scenario, whose workload is written out (traces with their mix drawn and rates scaled),
/// or flags.
struct TraceGenerateOptions {
  std::string scenario;  ///< SCENARIO.yaml; empty: flags
  std::string process;   ///< poisson (also where empty), gamma, deterministic, burst
  std::optional<double> rate_per_s;
  std::optional<double> cv;  ///< gamma only
  std::optional<std::uint64_t> requests;
  std::optional<Duration> duration;
  std::optional<std::uint64_t> seed;  ///< absent: the scenario's, or 0
  std::string model;                  ///< a shipped model; empty: arrivals only
  std::optional<std::uint32_t> width, height, frames, steps, images;  ///< absent: the model's
  std::string output;
};
int run_trace_generate(const TraceGenerateOptions& options, std::ostream& out, std::ostream& err);

struct TraceStatsOptions {
  std::string trace;
  bool json = false;  ///< schema disagfusion.trace-stats/1
};
int run_trace_stats(const TraceStatsOptions& options, std::ostream& out, std::ostream& err);

}  // namespace disagfusion::traces
