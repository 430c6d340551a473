// Where requests come from: a trace, a stochastic process, a burst, or completions (closed loop).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "traces/request.hpp"
#include "traces/request_mix.hpp"

namespace disagfusion::traces {

/// Requests in order of arrival, one at a time. Deterministic: a function of its specification and
/// seed alone. Not thread safe.
class ArrivalSource {
 public:
  virtual ~ArrivalSource() = default;
  /// Fills `request` with the next arrival; false when there is none (for a closed loop: none until
  /// a request ends). Arrivals never go back in time. Fails where a trace turns out wrong in
  /// mid-stream, or an arrival lies beyond what the clock can hold.
  virtual Result<bool> next(Request& request) = 0;
  /// A request of this source ended at `now`. True: `request` is a new arrival, at `now`. Only a
  /// closed loop says true.
  virtual bool on_terminal(TimePoint now, Request& request);
  /// The columns that requests of this source fill.
  [[nodiscard]] virtual const TraceColumns& columns() const = 0;
  /// What the source holds but nothing models: sentences for `not_modelled`.
  [[nodiscard]] virtual std::vector<std::string> notes() const { return {}; }
};

/// When arrivals end: the first that is reached. Arrivals at `duration` or later do not happen.
struct ArrivalLimits {
  std::optional<std::uint64_t> requests;
  std::optional<Duration> duration;
};

/// The source that a scenario's workload names. `seed` is the replication's. Opens the trace and
/// reads its head; `validate` of trace_reader.hpp is the full check.
Result<std::unique_ptr<ArrivalSource>> make_arrival_source(const Scenario& scenario,
                                                           std::uint64_t seed);

/// The same, with these limits instead of the workload's (planner: steady state has none).
Result<std::unique_ptr<ArrivalSource>> make_arrival_source(const Scenario& scenario,
                                                           std::uint64_t seed,
                                                           const ArrivalLimits& limits);

/// Poisson, gamma, deterministic or burst arrivals. Poisson and gamma: independent gaps, the first
/// arrival one gap after 0; deterministic: at 0, 1/rate, 2/rate, ...; burst: all at 0 (`limits`
/// must hold a number of requests). Each request's mix entry is drawn by its own stream.
std::unique_ptr<ArrivalSource> make_process_source(const ArrivalsSpec& spec, RequestMix mix,
                                                   const ArrivalLimits& limits, std::uint64_t seed);

/// `concurrency` arrivals at 0; then one at each end of a request.
std::unique_ptr<ArrivalSource> make_closed_loop_source(std::uint32_t concurrency, RequestMix mix,
                                                       const ArrivalLimits& limits);

}  // namespace disagfusion::traces
