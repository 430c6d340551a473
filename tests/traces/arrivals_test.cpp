#include "traces/arrivals.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/traces/temporary_folder.hpp"

namespace disagfusion::traces {
namespace {

using Process = ArrivalsSpec::Process;

Scenario scenario_of(Process process, double rate, double cv = 1) {
  Scenario scenario;
  ModelSpec model;
  model.name = "toy";
  scenario.models.push_back(model);
  MixEntry small, large;
  small.model = large.model = ModelId(0);
  small.shape = {512, 512, 1, 4, 1};
  large.shape = {1024, 1024, 1, 8, 1};
  scenario.workload.mix = {small, large};
  scenario.workload.arrivals = ArrivalsSpec{process, rate, cv};
  return scenario;
}

std::vector<Request> take_all(const Scenario& scenario, std::uint64_t seed) {
  auto source = make_arrival_source(scenario, seed);
  std::vector<Request> requests;
  if (!source) {
    ADD_FAILURE() << source.error()[0].text();
    return requests;
  }
  Request request;
  while (*(*source)->next(request)) {
    EXPECT_EQ(request.index, requests.size());
    EXPECT_TRUE(requests.empty() || requests.back().arrival <= request.arrival);
    requests.push_back(request);
  }
  return requests;
}

void expect_gaps(const std::vector<Request>& requests, double mean, double cv) {
  double sum = 0, squares = 0;
  std::int64_t before = 0;  // the first arrival is one gap after 0
  for (const Request& request : requests) {
    const double gap = static_cast<double>(request.arrival.ns - before) * 1e-9;
    before = request.arrival.ns;
    sum += gap;
    squares += gap * gap;
  }
  const auto n = static_cast<double>(requests.size());
  EXPECT_NEAR(sum / n, mean, 5 * mean * cv / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n - sum / n * (sum / n)) / mean, cv, 0.03 * cv);
}

TEST(Arrivals, PoissonGaps) {
  Scenario scenario = scenario_of(Process::poisson, 4);
  scenario.workload.requests = 100'000;
  const auto requests = take_all(scenario, 1);
  ASSERT_EQ(requests.size(), 100'000U);
  EXPECT_GT(requests[0].arrival.ns, 0);
  expect_gaps(requests, 0.25, 1);
}

TEST(Arrivals, GammaGaps) {
  for (const double cv : {0.5, 2.0}) {
    Scenario scenario = scenario_of(Process::gamma, 10, cv);
    scenario.workload.requests = 100'000;
    expect_gaps(take_all(scenario, 2), 0.1, cv);
  }
}

TEST(Arrivals, DeterministicWithoutDrift) {
  Scenario scenario = scenario_of(Process::deterministic, 3);
  scenario.workload.duration = from_seconds(10);
  const auto requests = take_all(scenario, 1);
  ASSERT_EQ(requests.size(), 30U);  // 0, 1/3, ..., 29/3; none at 10 s
  EXPECT_EQ(requests[0].arrival.ns, 0);
  EXPECT_EQ(requests[1].arrival.ns, 333'333'333);
  EXPECT_EQ(requests[2].arrival.ns, 666'666'667);
  EXPECT_EQ(requests[3].arrival.ns, 1'000'000'000);
}

TEST(Arrivals, Burst) {
  Scenario scenario = scenario_of(Process::burst, 0);
  EXPECT_FALSE(make_arrival_source(scenario, 1));  // how many?
  scenario.workload.requests = 5;
  const auto requests = take_all(scenario, 1);
  ASSERT_EQ(requests.size(), 5U);
  for (const Request& request : requests) EXPECT_EQ(request.arrival.ns, 0);
}

TEST(Arrivals, FirstLimitEnds) {
  Scenario scenario = scenario_of(Process::deterministic, 1);
  scenario.workload.requests = 7;
  scenario.workload.duration = from_seconds(5);
  EXPECT_EQ(take_all(scenario, 1).size(), 5U);
  scenario.workload.duration = from_seconds(50);
  EXPECT_EQ(take_all(scenario, 1).size(), 7U);
}

TEST(Arrivals, CommonRandomNumbers) {
  // The same seed gives request i the same body under every process; another seed does not.
  Scenario poisson = scenario_of(Process::poisson, 4);
  Scenario burst = scenario_of(Process::burst, 0);
  poisson.workload.requests = burst.workload.requests = 200;
  const auto a = take_all(poisson, 9), b = take_all(burst, 9), c = take_all(poisson, 10);
  int differ = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].shape, b[i].shape);
    differ += a[i].shape != c[i].shape ? 1 : 0;
  }
  EXPECT_GT(differ, 50);
  const auto again = take_all(poisson, 9);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].arrival, again[i].arrival);
  // Pinned: the first arrivals of seed 9.
  EXPECT_EQ(a[0].arrival.ns, 433'035'976);
  EXPECT_EQ(a[1].arrival.ns, 496'969'098);
}

TEST(Arrivals, ClosedLoop) {
  Scenario scenario = scenario_of(Process::poisson, 1);
  scenario.workload.arrivals.reset();
  scenario.workload.closed_loop_concurrency = 3;
  scenario.workload.requests = 5;
  auto source = make_arrival_source(scenario, 1);
  ASSERT_TRUE(source);
  Request request;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(*(*source)->next(request));
    EXPECT_EQ(request.arrival.ns, 0);
  }
  EXPECT_FALSE(*(*source)->next(request));
  EXPECT_TRUE((*source)->on_terminal(TimePoint{70}, request));
  EXPECT_EQ(request.arrival.ns, 70);
  EXPECT_EQ(request.index, 3U);
  EXPECT_FALSE(*(*source)->next(request));
  EXPECT_TRUE((*source)->on_terminal(TimePoint{90}, request));
  EXPECT_FALSE((*source)->on_terminal(TimePoint{95}, request));

  scenario.workload.requests.reset();
  scenario.workload.duration = Duration{100};
  auto timed = make_arrival_source(scenario, 1);
  while (*(*timed)->next(request)) {
  }
  EXPECT_TRUE((*timed)->on_terminal(TimePoint{99}, request));
  EXPECT_FALSE((*timed)->on_terminal(TimePoint{100}, request));
}

TEST(Arrivals, TraceScaledAndCut) {
  const TemporaryFolder folder;
  Scenario scenario = scenario_of(Process::poisson, 1);
  scenario.workload.arrivals.reset();
  scenario.workload.trace = folder.write("t.csv", "arrival_s,tag\n0,a\n10,b\n20,c\n30,d\n");
  scenario.workload.trace_rate = 4;
  const auto all = take_all(scenario, 1);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1].arrival.ns, 2'500'000'000);
  EXPECT_EQ(all[3].extra[0], "d");
  scenario.workload.duration = from_seconds(5);
  EXPECT_EQ(take_all(scenario, 1).size(), 2U);  // 0 and 2.5 s; the third is at 5 s
  scenario.workload.requests = 1;
  EXPECT_EQ(take_all(scenario, 1).size(), 1U);
  scenario.workload.requests.reset();
  scenario.workload.duration.reset();
  scenario.workload.trace_rate = 1e-9;  // 10 s become 317 years
  auto source = make_arrival_source(scenario, 1);
  Request request;
  EXPECT_TRUE(*(*source)->next(request));
  EXPECT_FALSE((*source)->next(request));
}

TEST(Arrivals, TooSlowForTheClock) {
  Scenario scenario = scenario_of(Process::deterministic, 1e-9);
  scenario.workload.requests = 100;
  auto source = make_arrival_source(scenario, 1);
  Request request;
  Result<bool> got = true;
  for (int i = 0; i < 100 && got; ++i) got = (*source)->next(request);
  EXPECT_FALSE(got);
}

TEST(Arrivals, EveryModelWithoutMixGetsItsDefaultShape) {
  Scenario scenario = scenario_of(Process::burst, 0);
  scenario.workload.mix.clear();
  scenario.models[0].architecture.emplace();
  scenario.models[0].architecture->default_width = 832;
  scenario.models[0].architecture->default_height = 480;
  scenario.models[0].architecture->default_frames = 81;
  scenario.models[0].architecture->default_steps = 40;
  scenario.workload.requests = 1;
  EXPECT_EQ(take_all(scenario, 1)[0].shape, (Shape{832, 480, 81, 40, 1}));
}

}  // namespace
}  // namespace disagfusion::traces
