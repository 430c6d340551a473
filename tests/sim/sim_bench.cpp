// F1, F2, F3 of the first issue: speed of whole simulations, monitor and metrics on, and memory.
// Prints lines `measured: what value unit (reach ...)`; `bench_sim NAME...` runs those named.
#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/random.hpp"
#include "sim/engine.hpp"
#include "sim/kernel/winner_tree.hpp"
#include "tests/sim/scenario_text.hpp"

namespace disagfusion::sim {
namespace {

using testing::chain;
using testing::simulation_of;

double wall() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Of this thread: what a busy neighbour takes does not count.
double cpu() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024e-6;
}

double requests_per_second(const std::string& text, const char* what, double reach) {
  const Simulation simulation = simulation_of(text);
  double best = 0;
  for (std::uint64_t repeat = 0; repeat < 3; ++repeat) {
    const double start = cpu(), start_wall = wall();
    const auto run = simulation.run(repeat);
    const double seconds = cpu() - start, elapsed = wall() - start_wall;
    if (!run) throw std::runtime_error(testing::text_of(run.error()));
    const auto requests = static_cast<double>(run->requests.completed);
    fmt::print(
        "measured: {} {:.3f} M requests/s ({:.0f} ns an event, {:.1f} events a request, "
        "{:.2f} s CPU, {:.2f} s elapsed, reach {:.1f} M)\n",
        what, requests / seconds * 1e-6, seconds / static_cast<double>(run->events) * 1e9,
        static_cast<double>(run->events) / requests, seconds, elapsed, reach);
    best = std::max(best, requests / seconds);
  }
  return best;
}

/// 1 encoder, 6 DiT, 1 decoder at load 0.9 of the DiT.
std::string three_stages(const std::string& rest, long requests) {
  return chain({{"encoder", "0.001", 1, "", "200 kB"},
                {"dit", "0.006", 6, "", "400 kB"},
                {"decoder", "0.001", 1, "", ""}},
               fmt::format("workload: {{arrivals: {{process: poisson, rate: 900 /s}}, "
                           "requests: {}}}\n{}",
                           requests, rest));
}

const char* const kNetwork = "network: {latency: 0.2 ms, bandwidth: 10 GB/s}\n";

void kernel() {
  constexpr std::uint32_t kSlots = 1000;
  constexpr std::uint64_t kHolds = 50'000'000;
  WinnerTree tree(kSlots);
  std::vector<std::int64_t> steps(4096);
  RandomStream random(1, Purpose::test, 0);
  for (std::int64_t& step : steps) step = static_cast<std::int64_t>(random.exponential(1e6));
  std::uint64_t sequence = 0;
  for (std::uint32_t i = 0; i < kSlots; ++i) tree.set(i, TimePoint{steps[i]}, sequence++);
  const double start = cpu();
  for (std::uint64_t i = 0; i < kHolds; ++i) {
    const EventKey top = tree.top();
    tree.set(slot_of(top), time_of(top) + Duration{steps[i & 4095U]}, sequence++);
  }
  const double seconds = cpu() - start;
  fmt::print("measured: kernel {:.1f} M events/s (hold model, 1000 slots, reach 50 M; {})\n",
             kHolds / seconds * 1e-6, slot_of(tree.top()));
}

void f1() {
  requests_per_second(three_stages("", 1'000'000), "F1 without transfers", 1);
  requests_per_second(three_stages(kNetwork, 1'000'000), "F1 with transfers", 1);
}

/// `instances` on four GPU types, one stage, least completion, exponential, load 0.9.
std::string many(int instances, long requests) {
  const std::vector<std::pair<std::string, double>> types{
      {"A10", 1.0}, {"L4", 1.6}, {"RTX4090", 0.5}, {"H100-SXM", 0.2}};
  const int each = instances / 4;
  std::string gpus, pools, costs;
  double rate = 0;
  for (const auto& [gpu, seconds] : types) {
    gpus += fmt::format("{}{}: {}", gpus.empty() ? "" : ", ", gpu, each);
    pools += fmt::format("    - {{stages: [dit], gpu: {}, count: {}}}\n", gpu, each);
    costs += fmt::format("  - {{stage: dit, gpu: {}, seconds: {}, distribution: exponential}}\n",
                         gpu, seconds);
    rate += each / seconds;
  }
  return fmt::format(
      "name: many\nmodels: [{{name: m, stages: [{{name: dit}}]}}]\nfleet:\n  gpus: {{{}}}\n"
      "  pools:\n{}costs:\n{}policy: {{routing: least-completion}}\n"
      "workload: {{arrivals: {{process: poisson, rate: {:.10g} /s}}, requests: {}}}\n",
      gpus, pools, costs, 0.9 * rate, requests);
}

void f2() {
  std::vector<double> cost;
  for (const int instances : {8, 64, 1000}) {
    cost.push_back(1 / requests_per_second(many(instances, 500'000),
                                           fmt::format("F2 {} instances", instances).c_str(), 0.3));
  }
  fmt::print("measured: F2 cost of a request, 1000 instances over 8: {:.2f} (log ratio {:.2f})\n",
             cost[2] / cost[0], std::log(1000.0) / std::log(8.0));
}

void f3() {
  const Simulation simulation = simulation_of(three_stages(kNetwork, 10'000'000));
  const double before = peak_mb(), start = cpu();
  const auto run = simulation.run(0);
  if (!run) throw std::runtime_error(testing::text_of(run.error()));
  fmt::print(
      "measured: F3 10 M requests {:.0f} MB peak ({:.0f} MB before, {:.1f} s, reach 200 MB)\n",
      peak_mb(), before, cpu() - start);
}

}  // namespace
}  // namespace disagfusion::sim

int main(int argc, char** argv) {
  const auto wanted = [&](const char* name) {
    if (argc < 2) return true;
    for (int i = 1; i < argc; ++i) {
      if (std::strcmp(argv[i], name) == 0) return true;
    }
    return false;
  };
  using namespace disagfusion::sim;
  if (wanted("kernel")) kernel();
  if (wanted("F1")) f1();
  if (wanted("F2")) f2();
  if (wanted("F3")) f3();
  return 0;
}
