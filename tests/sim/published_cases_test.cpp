// Cases 1 and 2 of the published system (arXiv 2605.25550 and its public code): what a queue
// without transfers says, against what was measured there.
#include <gtest/gtest.h>

#include <cmath>

#include <fmt/format.h>

#include "tests/sim/scenario_text.hpp"

namespace disagfusion::sim {
namespace {

using testing::chain;
using testing::run_of;

struct Burst {
  const char* model;
  double encoder, dit, decoder;
  int requests;
  double p50, p95, p99;  ///< measured seconds; 0: not published
  double throughput;     ///< measured; 0: not published
  double tolerance;
};

TEST(PublishedCases, BurstOnAChain) {
  const Burst bursts[] = {
      {"Wan2.1-I2V-14B", 4.08, 76.08, 5.22, 2, 125.83, 160.18, 163.23, 0.0122, 0.02},
      {"Wan2.1-I2V-14B", 4.08, 76.08, 5.22, 4, 201.85, 305.73, 314.94, 0.0126, 0.02},
      {"Wan2.1-I2V-14B", 4.08, 76.08, 5.22, 8, 358.20, 595.12, 616.48, 0.0129, 0.02},
      {"Qwen-Image-2512", 0.40, 18.8, 2.91, 2, 29.68, 38.25, 0, 0, 0.062},
      {"Qwen-Image-2512", 0.40, 18.8, 2.91, 4, 48.52, 73.00, 0, 0, 0.062},
      {"Qwen-Image-2512", 0.40, 18.8, 2.91, 8, 85.78, 143.37, 0, 0, 0.062},
  };
  for (const Burst& b : bursts) {
    const auto run = run_of(chain(
        {{"encoder", fmt::format("{}", b.encoder), 1, "", ""},
         {"dit", fmt::format("{}", b.dit), 1, "", ""},
         {"decoder", fmt::format("{}", b.decoder), 1, "", ""}},
        fmt::format("workload: {{arrivals: {{process: burst}}, requests: {}}}\n", b.requests)));
    const std::string what = fmt::format("{} N = {}", b.model, b.requests);
    const auto close = [&](double simulated, double measured, const char* name) {
      if (measured == 0) return;
      fmt::print("measured: {} {} simulated {:.5g} published {:.5g} ({:+.1f} %)\n", what, name,
                 simulated, measured, 100 * (simulated / measured - 1));
      EXPECT_NEAR(simulated, measured, b.tolerance * measured) << what << " " << name;
    };
    close(*run.latency[0], b.p50, "P50");
    close(*run.latency[2], b.p95, "P95");
    close(*run.latency[3], b.p99, "P99");
    close(*run.throughput_rps, b.throughput, "throughput");
    // Exactly: request k (1, 2, ...) leaves at encoder + k dit + decoder.
    EXPECT_NEAR(*run.makespan_s, b.encoder + b.requests * b.dit + b.decoder, 1e-6);
  }
}

TEST(PublishedCases, RatioArithmetic) {
  struct Fleet {
    int encoders, dits;
    double rate;
  };
  for (const Fleet& f :
       {Fleet{1, 15, 1.0}, Fleet{10, 790, 25}, Fleet{20, 780, 50}, Fleet{21, 779, 51.93}}) {
    const int requests = static_cast<int>(f.rate * 1500);
    const auto run =
        run_of(chain({{"encoder", "0.4", f.encoders, "", ""}, {"dit", "15", f.dits, "", ""}},
                     fmt::format("workload: {{closed_loop: {{concurrency: {}}}, requests: {}}}\n"
                                 "run: {{warmup: 100 s}}\n",
                                 2 * f.dits, requests)));
    fmt::print("measured: {} encoders {} DiT {:.4g} request/s, arithmetic {}\n", f.encoders, f.dits,
               *run.throughput_rps, f.rate);
    EXPECT_NEAR(*run.throughput_rps, f.rate, 0.015 * f.rate);
  }
}

}  // namespace
}  // namespace disagfusion::sim
