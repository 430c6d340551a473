#include "traces/arrivals.hpp"

#include <utility>

#include "base/check.hpp"
#include "base/random.hpp"
#include "traces/trace_reader.hpp"

namespace disagfusion::traces {

bool ArrivalSource::on_terminal(TimePoint, Request&) { return false; }

namespace {

bool reached(const ArrivalLimits& limits, std::uint64_t requests, TimePoint now) {
  return (limits.requests && requests >= *limits.requests) ||
         (limits.duration && now.ns >= limits.duration->ns);
}

/// A new request whose body the mix decides.
void fill(Request& request, std::uint64_t index, TimePoint arrival, const RequestMix& mix) {
  request.clear();
  RequestMix::apply(mix.pick(index), request);
  request.index = index;
  request.arrival = arrival;
}

TraceColumns columns_of(const RequestMix& mix) {
  TraceColumns columns = mix.columns();
  columns.add(Column::arrival_s);
  return columns;
}

// ---- processes ---------------------------------------------------------------------------------

constexpr double kNsPerSecond = 1e9;
/// The clock's end, about 292 years, less a little for rounding.
constexpr double kLatestNs = 9.2e18;

tl::unexpected<Problems> beyond_the_clock(const char* path) {
  return fail(
      Problem{"", 0, 0, path, "arrivals within 290 years", "later ones (too slow a rate)", ""});
}

/// Arrivals whose instants a rule gives one after another.
class ProcessSource : public ArrivalSource {
 public:
  ProcessSource(RequestMix mix, const ArrivalLimits& limits)
      : mix_(std::move(mix)), limits_(limits), columns_(columns_of(mix_)) {}

  Result<bool> next(Request& request) override {
    if (limits_.requests && count_ >= *limits_.requests) return false;
    const double at = next_ns();
    if (limits_.duration && at >= static_cast<double>(limits_.duration->ns)) return false;
    if (at >= kLatestNs) return beyond_the_clock("workload.arrivals");
    fill(request, count_++, TimePoint{static_cast<std::int64_t>(at)}, mix_);
    return true;
  }
  [[nodiscard]] const TraceColumns& columns() const override { return columns_; }

 protected:
  /// The next arrival in whole nanoseconds. (Doubles hold them exactly up to 104 days, and to 1 us
  /// up to the clock's end.)
  virtual double next_ns() = 0;
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  RequestMix mix_;
  ArrivalLimits limits_;
  TraceColumns columns_;
  std::uint64_t count_ = 0;
};

/// Nearest whole number of a number from 0 to the clock's end (floor() is a call, this is not).
double rounded(double ns) {
  constexpr double kHalf = 0.5;
  return ns < kLatestNs ? static_cast<double>(static_cast<std::int64_t>(ns + kHalf)) : ns;
}

/// Poisson process: independent gaps, exponential with mean 1/rate.
class PoissonSource : public ProcessSource {
 public:
  PoissonSource(double rate, RequestMix mix, const ArrivalLimits& limits, std::uint64_t seed)
      : ProcessSource(std::move(mix), limits),
        stream_(seed, Purpose::arrivals, 0),
        mean_gap_ns_(kNsPerSecond / rate) {}

 private:
  double next_ns() override { return at_ns_ += rounded(stream_.exponential(mean_gap_ns_)); }
  RandomStream stream_;
  double mean_gap_ns_, at_ns_ = 0;
};

/// Renewal process: independent gaps, gamma with mean 1/rate and the given coefficient of
/// variation.
class GammaSource : public ProcessSource {
 public:
  GammaSource(double rate, double cv, RequestMix mix, const ArrivalLimits& limits,
              std::uint64_t seed)
      : ProcessSource(std::move(mix), limits),
        stream_(seed, Purpose::arrivals, 0),
        gap_ns_(kNsPerSecond / rate, cv) {}

 private:
  double next_ns() override { return at_ns_ += rounded(gap_ns_(stream_)); }
  RandomStream stream_;
  GammaDistribution gap_ns_;
  double at_ns_ = 0;
};

/// Arrival i at i / rate, each rounded by itself: no drift.
class DeterministicSource : public ProcessSource {
 public:
  DeterministicSource(double rate, RequestMix mix, const ArrivalLimits& limits)
      : ProcessSource(std::move(mix), limits), rate_(rate) {}

 private:
  double next_ns() override { return rounded(static_cast<double>(count()) * kNsPerSecond / rate_); }
  double rate_;
};

class BurstSource : public ProcessSource {
 public:
  using ProcessSource::ProcessSource;

 private:
  double next_ns() override { return 0; }
};

// ---- closed loop -------------------------------------------------------------------------------

class ClosedLoopSource : public ArrivalSource {
 public:
  ClosedLoopSource(std::uint32_t concurrency, RequestMix mix, const ArrivalLimits& limits)
      : concurrency_(concurrency),
        mix_(std::move(mix)),
        limits_(limits),
        columns_(columns_of(mix_)) {}

  Result<bool> next(Request& request) override {
    return count_ < concurrency_ && issue(TimePoint{}, request);
  }
  bool on_terminal(TimePoint now, Request& request) override { return issue(now, request); }
  [[nodiscard]] const TraceColumns& columns() const override { return columns_; }

 private:
  bool issue(TimePoint now, Request& request) {
    if (reached(limits_, count_, now)) return false;
    fill(request, count_++, now, mix_);
    return true;
  }
  std::uint32_t concurrency_;
  RequestMix mix_;
  ArrivalLimits limits_;
  TraceColumns columns_;
  std::uint64_t count_ = 0;
};

// ---- traces ------------------------------------------------------------------------------------

/// A trace, `rate_scale` times as fast: arrival t happens at t / rate_scale.
class TraceSource : public ArrivalSource {
 public:
  TraceSource(std::unique_ptr<TraceReader> reader, double rate_scale, const ArrivalLimits& limits)
      : reader_(std::move(reader)), rate_scale_(rate_scale), limits_(limits) {}

  Result<bool> next(Request& request) override {
    if (limits_.requests && count_ >= *limits_.requests) return false;
    Result<bool> got = reader_->next(request);
    if (!got || !*got) return got;
    if (rate_scale_ != 1) {
      const double at = rounded(static_cast<double>(request.arrival.ns) / rate_scale_);
      if (at >= kLatestNs) return beyond_the_clock("workload.rate_scale");
      request.arrival.ns = static_cast<std::int64_t>(at);
    }
    if (reached(limits_, count_, request.arrival)) return false;
    ++count_;
    return true;
  }
  [[nodiscard]] const TraceColumns& columns() const override { return reader_->columns(); }
  [[nodiscard]] std::vector<std::string> notes() const override { return reader_->notes(); }

 private:
  std::unique_ptr<TraceReader> reader_;
  double rate_scale_;
  ArrivalLimits limits_;
  std::uint64_t count_ = 0;
};

Result<std::unique_ptr<ArrivalSource>> make_trace_source(const Scenario& scenario,
                                                         std::uint64_t seed,
                                                         const ArrivalLimits& limits) {
  const WorkloadSpec& workload = scenario.workload;
  auto reader = open_trace(workload.trace, TraceContext::of(scenario, seed));
  if (!reader) return tl::unexpected(reader.error());
  return std::make_unique<TraceSource>(std::move(*reader), workload.trace_rate, limits);
}

}  // namespace

std::unique_ptr<ArrivalSource> make_process_source(const ArrivalsSpec& spec, RequestMix mix,
                                                   const ArrivalLimits& limits,
                                                   std::uint64_t seed) {
  using Process = ArrivalsSpec::Process;
  const bool burst = spec.process == Process::burst;
  DF_CHECK(burst ? limits.requests.has_value() : spec.rate_per_s > 0, "rate {}", spec.rate_per_s);
  switch (spec.process) {
    case Process::poisson:
      return std::make_unique<PoissonSource>(spec.rate_per_s, std::move(mix), limits, seed);
    case Process::gamma:
      return std::make_unique<GammaSource>(spec.rate_per_s, spec.cv, std::move(mix), limits, seed);
    case Process::deterministic:
      return std::make_unique<DeterministicSource>(spec.rate_per_s, std::move(mix), limits);
    case Process::burst:
      break;
  }
  return std::make_unique<BurstSource>(std::move(mix), limits);
}

std::unique_ptr<ArrivalSource> make_closed_loop_source(std::uint32_t concurrency, RequestMix mix,
                                                       const ArrivalLimits& limits) {
  return std::make_unique<ClosedLoopSource>(concurrency, std::move(mix), limits);
}

Result<std::unique_ptr<ArrivalSource>> make_arrival_source(const Scenario& scenario,
                                                           std::uint64_t seed) {
  return make_arrival_source(scenario, seed,
                             {scenario.workload.requests, scenario.workload.duration});
}

Result<std::unique_ptr<ArrivalSource>> make_arrival_source(const Scenario& scenario,
                                                           std::uint64_t seed,
                                                           const ArrivalLimits& limits) {
  const WorkloadSpec& workload = scenario.workload;
  if (!workload.trace.empty()) return make_trace_source(scenario, seed, limits);
  const auto wrong = [&](const char* expected, const char* got) {
    return fail(Problem{workload.place.file, workload.place.line, workload.place.column,
                        workload.place.path, expected, got, ""});
  };
  RequestMix mix(workload.mix, scenario.models, seed);
  if (workload.closed_loop_concurrency) {
    return make_closed_loop_source(*workload.closed_loop_concurrency, std::move(mix), limits);
  }
  if (!workload.arrivals) return wrong("a trace, arrivals or a closed loop", "none");
  const bool burst = workload.arrivals->process == ArrivalsSpec::Process::burst;
  if (burst && !limits.requests) return wrong("requests: how many a burst has", "no number");
  return make_process_source(*workload.arrivals, std::move(mix), limits, seed);
}

}  // namespace disagfusion::traces
