// V3: queues whose answers are known. Each case runs 10 replications from a fixed seed; both the
// relative error and the relative half-width of the 95 % interval are at most 1 % (2 % at load
// 0.95).
#include <gtest/gtest.h>

#include <cmath>

#include <fmt/format.h>

#include "tests/sim/scenario_text.hpp"

namespace disagfusion::sim {
namespace {

using testing::chain;
using testing::simulation_of;
using testing::Stage;

constexpr double kService = 0.01;  // seconds

report::Report report_of(const std::string& text) {
  const Simulation simulation = simulation_of(text);
  RunOptions options;
  options.seed = simulation.scenario().seed;
  options.replications = simulation.scenario().run.replications;
  Result<RunOutcome> outcome = run(simulation, options);
  if (!outcome) throw std::runtime_error(testing::text_of(outcome.error()));
  for (const report::RunSummary& summary : outcome->runs) {
    // Little's law, on every run.
    EXPECT_NEAR(summary.mean_in_system, summary.arrivals_times_sojourn,
                1e-9 * summary.mean_in_system);
    EXPECT_EQ(summary.stale_events, 0U);
  }
  return make_report(simulation, options, std::move(*outcome), 0);
}

void expect_within(const report::Figure& figure, double expected, double tolerance,
                   const std::string& what) {
  ASSERT_TRUE(figure.value) << figure.why;
  ASSERT_TRUE(figure.ci95) << figure.why;
  const double error = std::abs(*figure.value / expected - 1);
  const double half = (figure.ci95->hi - figure.ci95->lo) / 2 / expected;
  fmt::print("measured: {} {:.6g} expected {:.6g} error {:.2f} % half-width {:.2f} %\n", what,
             *figure.value, expected, 100 * error, 100 * half);
  EXPECT_LE(error, tolerance) << what;
  EXPECT_LE(half, tolerance) << what;
}

/// Poisson arrivals at `load` of all servers, 10 replications.
std::string workload(double load, int servers, long requests, const std::string& more = "") {
  const double rate = load * servers / kService;
  return fmt::format(
      "workload: {{arrivals: {{process: poisson, rate: {:.10g} /s}}, requests: {}}}\n"
      "run: {{replications: 10, warmup: {:.6g} s}}\n{}",
      rate, requests, 0.02 * static_cast<double>(requests) / rate, more);
}

std::string exponential(double mean) {
  return fmt::format("{:.10g}, distribution: exponential", mean);
}

double tolerance_of(double load) { return load > 0.94 ? 0.02 : 0.01; }

/// Mean sojourn of M/M/c: 1/mu + C(c, a) / (c mu - lambda), with Erlang's C (A. K. Erlang, 1917) by
/// the recursion of his B: B(0) = 1, B(k) = a B(k-1) / (k + a B(k-1)), C = B / (1 - rho (1 - B)).
double mmc_sojourn(double load, int servers) {
  const double a = load * servers;
  double b = 1;
  for (int k = 1; k <= servers; ++k) b = a * b / (k + a * b);
  const double c = b / (1 - load * (1 - b));
  return kService + c * kService / (servers * (1 - load));
}

TEST(ClosedForms, MM1) {
  for (const double load : {0.5, 0.8, 0.9, 0.95}) {
    const long requests = load < 0.7 ? 300'000 : load < 0.85 ? 1'000'000 : 3'500'000;
    const auto report =
        report_of(chain({{"s", exponential(kService), 1, "", ""}}, workload(load, 1, requests)));
    // W = 1 / (mu - lambda)
    expect_within(report.latency_mean, kService / (1 - load), tolerance_of(load),
                  fmt::format("M/M/1 load {}", load));
  }
}

TEST(ClosedForms, MMc) {
  for (const int servers : {8, 64}) {
    for (const double load : {0.7, 0.9, 0.95}) {
      const long requests = load < 0.8 ? 500'000 : load < 0.94 ? 2'000'000 : 4'000'000;
      const auto report = report_of(chain({{"s", exponential(kService), servers, "", ""}},
                                          workload(load, servers, requests)));
      expect_within(report.latency_mean, mmc_sojourn(load, servers), tolerance_of(load),
                    fmt::format("M/M/{} load {}", servers, load));
    }
  }
}

TEST(ClosedForms, MD1) {
  for (const double load : {0.5, 0.8, 0.9, 0.95}) {
    const auto report = report_of(chain({{"s", fmt::format("{}", kService), 1, "", ""}},
                                        workload(load, 1, load < 0.85 ? 500'000 : 2'000'000)));
    // Pollaczek and Khinchine: Wq = rho / (2 mu (1 - rho))
    expect_within(report.latency_mean, kService + load * kService / (2 * (1 - load)),
                  tolerance_of(load), fmt::format("M/D/1 load {}", load));
  }
}

TEST(ClosedForms, TandemJackson) {
  // J. R. Jackson, 1957: each station is an M/M/c by itself; one, then four, then one server.
  const double load = 0.8;
  const auto report = report_of(chain({{"encoder", exponential(kService / 2), 1, "", ""},
                                       {"dit", exponential(kService * 4), 4, "", ""},
                                       {"decoder", exponential(kService * 0.75), 1, "", ""}},
                                      workload(load, 1, 1'500'000)));
  const double lambda = load / kService;
  const double expected =
      1 / (2 / kService - lambda) + 4 * mmc_sojourn(load, 4) + 1 / (1 / (0.75 * kService) - lambda);
  expect_within(report.latency_mean, expected, 0.01, "tandem Jackson load 0.8");
}

TEST(ClosedForms, TwoExponentialStagesUnderSyncKeepTheirRate) {
  // Two exponential stations, K places between them, blocking after service, the first never
  // starved: throughput = mu (K + 2) / (K + 3) (G. C. Hunt, "Sequential arrays of waiting lines",
  // 1956).
  for (const int slots : {0, 1, 2, 4}) {
    const auto report = report_of(
        chain({{"a", exponential(kService), 1, "", ""},
               {"b", exponential(kService), 1, fmt::format("input_slots: {}", slots), ""}},
              fmt::format("workload: {{closed_loop: {{concurrency: {}}}, requests: 300000}}\n"
                          "policy: {{handoff: sync}}\n"
                          "run: {{replications: 10, warmup: 20 s}}\n",
                          slots + 20)));
    expect_within(report.throughput_rps, (slots + 2.0) / (slots + 3.0) / kService, 0.01,
                  fmt::format("sync, {} slots: throughput", slots));
  }
}

}  // namespace
}  // namespace disagfusion::sim
