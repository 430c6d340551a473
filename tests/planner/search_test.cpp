// `plan` against exhaustive search with a queue of its own, and what it says when there is no
// answer.
#include "planner/search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <queue>
#include <vector>

#include <fmt/format.h>

#include "base/scenario_reader.hpp"
#include "base/scenario_writer.hpp"
#include "tests/base/one_text.hpp"

namespace disagfusion::planner {
namespace {

Plan plan_of(const std::string& text) {
  test::OneText files(text);
  const Result<Question> question = load_question("test.yaml", files);
  if (!question) throw std::runtime_error(question.error().front().text());
  Result<Plan> plan = search(*question, {});
  if (!plan) throw std::runtime_error(plan.error().front().text());
  return std::move(*plan);
}

// ---- the queue of the test ---------------------------------------------------------------------

/// Departures of a first-come-first-served station with c servers and constant service:
///   begin(k) = max(arrival(k), earliest free server), departure(k) = begin(k) + s.
std::vector<double> departures(std::vector<double> arrivals, int servers, double service) {
  std::sort(arrivals.begin(), arrivals.end());
  std::priority_queue<double, std::vector<double>, std::greater<>> free;
  for (int i = 0; i < servers; ++i) free.push(0);
  for (double& instant : arrivals) {
    const double begin = std::max(instant, free.top());
    free.pop();
    instant = begin + service;
    free.push(instant);
  }
  return arrivals;
}

/// Longest latency of a burst of `requests` at 0 through stations in series.
double longest(int requests, const std::vector<int>& servers, const std::vector<double>& seconds) {
  std::vector<double> instants(static_cast<std::size_t>(requests), 0.0);
  for (std::size_t i = 0; i < servers.size(); ++i) {
    instants = departures(instants, servers[i], seconds[i]);
  }
  return instants.back();
}

struct Type {
  const char* gpu;
  double price;
  int most;
  std::vector<double> seconds;  // by stage
};

/// The cheapest price over all counts and types by trying every one.
double exhaustive(int requests, double limit, const std::vector<Type>& types) {
  double best = std::numeric_limits<double>::infinity();
  const int n = static_cast<int>(types.size());
  for (int a = 0; a < n; ++a) {
    for (int b = 0; b < n; ++b) {
      const Type& first = types[static_cast<std::size_t>(a)];
      const Type& second = types[static_cast<std::size_t>(b)];
      for (int i = 1; i <= first.most; ++i) {
        for (int j = 1; j <= second.most; ++j) {
          if (a == b && i + j > first.most) continue;
          const double price = i * first.price + j * second.price;
          if (price >= best) continue;
          if (longest(requests, {i, j}, {first.seconds[0], second.seconds[1]}) <= limit)
            best = price;
        }
      }
    }
  }
  return best;
}

std::string burst_question(int requests, double limit, const std::vector<Type>& types) {
  std::string costs, catalogue;
  for (const Type& type : types) {
    costs += fmt::format(
        "  - {{stage: a, gpu: {0}, seconds: {1}}}\n  - {{stage: b, gpu: {0}, seconds: {2}}}\n",
        type.gpu, type.seconds[0], type.seconds[1]);
    catalogue +=
        fmt::format("  {}: {{price: {} USD/h, max: {}}}\n", type.gpu, type.price, type.most);
  }
  return fmt::format(
             "models: [{{name: m, stages: [{{name: a}}, {{name: b, after: [a]}}]}}]\n"
             "workload: {{arrivals: {{process: burst}}, requests: {}}}\n"
             "slo: {{latency: {{max: {} s}}}}\nobjective: cost\nsearch: {{colocate: false}}\n",
             requests, limit) +
         "costs:\n" + costs + "catalogue:\n" + catalogue;
}

TEST(Plan, EqualsExhaustiveSearchWithAnIndependentQueue) {
  for (const int requests : {1, 7, 20}) {
    for (const double limit : {6.0, 11.0, 19.0, 33.0, 60.0}) {
      const std::vector<Type> types{{"A10", 0.5, 6, {1.5, 4}}, {"L4", 0.3, 8, {2.5, 9}}};
      const double best = exhaustive(requests, limit, types);
      const Plan plan = plan_of(burst_question(requests, limit, types));
      SCOPED_TRACE(fmt::format("{} requests within {} s", requests, limit));
      if (std::isinf(best)) {
        EXPECT_EQ(plan.answer, Answer::infeasible);
        EXPECT_FALSE(plan.why.empty());
        continue;
      }
      ASSERT_EQ(plan.answer, Answer::feasible) << plan.why;
      EXPECT_NEAR(plan.best->price.usd_per_hour.value(), best, 1e-9);
      EXPECT_LE(plan.lower_bound.usd_per_hour.value(), best + 1e-9);
      for (const Considered& fewer : plan.neighbours) {
        EXPECT_EQ(fewer.judgement.verdict, Verdict::rejected) << fewer.judgement.why;
        EXPECT_FALSE(fewer.judgement.why.empty());
      }
    }
  }
}

TEST(Plan, SaysWhyThereIsNoFleet) {
  const std::vector<Type> slow{{"A10", 0.5, 2, {1.5, 4}}};
  const Plan plan = plan_of(burst_question(50, 5.4, slow));
  EXPECT_EQ(plan.answer, Answer::infeasible);
  EXPECT_NE(plan.why.find("without any queue"), std::string::npos) << plan.why;
  const Plan crowded = plan_of(burst_question(50, 20, slow));
  EXPECT_EQ(crowded.answer, Answer::infeasible);
  EXPECT_NE(crowded.why.find("capacity"), std::string::npos) << crowded.why;
}

TEST(Plan, ASteadyLoadNeedsMoreThanItsWork) {
  // M/D/c with 3.2 erlangs: three servers can never do it, and four are measured.
  const std::string question = R"(
models: [{name: m, stages: [{name: a}]}]
workload: {arrivals: {process: poisson, rate: 0.8 /s}, requests: 10}
costs: [{stage: a, seconds: 4}]
slo: {latency: {mean: 9 s}}
catalogue: {A10: {price: 1 USD/h, max: 9}}
objective: cost
)";
  const Plan plan = plan_of(question);
  ASSERT_EQ(plan.answer, Answer::feasible) << plan.why;
  EXPECT_EQ(plan.best->candidate.counts, std::vector<std::uint32_t>{4});
  ASSERT_EQ(plan.neighbours.size(), 1U);
  EXPECT_NE(plan.neighbours[0].judgement.why.find("capacity"), std::string::npos);
}

TEST(Plan, WithoutBudgetItIsUndecided) {
  const std::string question = R"(
models: [{name: m, stages: [{name: a}]}]
workload: {arrivals: {process: poisson, rate: 0.8 /s}, requests: 10}
costs: [{stage: a, seconds: 4, distribution: exponential}]
slo: {latency: {mean: 6.5 s}}
catalogue: {A10: {price: 1 USD/h, max: 4}}
objective: cost
search: {budget: 1e4 events}
)";
  EXPECT_EQ(plan_of(question).answer, Answer::undecided);
}

TEST(Plan, DividesAnInventoryInProportionToTheWork) {
  // Published case 2: encoder 0.4 s, DiT 15 s.
  const auto question = [](int gpus) {
    return fmt::format(R"(
models: [{{name: m, stages: [{{name: encoder}}, {{name: dit, after: [encoder]}}]}}]
workload: {{arrivals: {{process: poisson, rate: 1 /s}}, requests: 10}}
costs: [{{stage: encoder, seconds: 0.4}}, {{stage: dit, seconds: 15}}]
catalogue: {{H100-SXM: {{max: {}}}}}
search: {{colocate: false}}
objective: throughput
)",
                       gpus);
  };
  const Plan small = plan_of(question(16));
  ASSERT_TRUE(small.best);
  EXPECT_EQ(small.best->candidate.counts, (std::vector<std::uint32_t>{1, 15}));
  EXPECT_NEAR(*small.best->judgement.report->throughput_rps.value, 1.0, 0.01);
  const Plan large = plan_of(question(800));
  ASSERT_TRUE(large.best);
  EXPECT_EQ(large.best->candidate.counts, (std::vector<std::uint32_t>{21, 779}));
  EXPECT_NEAR(*large.best->judgement.report->throughput_rps.value, 51.93, 0.3);
}

/// Three stages; `more` says arrivals, objective and offer.
std::string toy_question(const std::string& more) {
  return "models: [{name: m, stages: [{name: encoder}, {name: dit, after: [encoder]}, "
         "{name: decoder, after: [dit]}]}]\n"
         "costs: [{stage: encoder, seconds: 0.5}, {stage: dit, seconds: 5}, "
         "{stage: decoder, seconds: 1}]\n" +
         more;
}

TEST(Plan, ThroughputIsNoCountOverAWindow) {
  // Eight instances of everything, in step: eight completions every 6.5 s without a network; with
  // one, inputs are prefetched and sixteen end every 13 s.
  for (const char* network : {"none", "{latency: 24 ms, bandwidth: 1 Gbit/s}"}) {
    SCOPED_TRACE(network);
    const Plan plan = plan_of(toy_question("workload: {arrivals: {process: poisson, rate: 1 /s}}\n"
                                           "catalogue: {A10: {max: 8}}\nobjective: throughput\n"
                                           "network: ") +
                              network + "\n");
    ASSERT_TRUE(plan.best);
    const report::Figure& rate = plan.best->judgement.report->throughput_rps;
    constexpr double kBound = 8 / 6.5;
    EXPECT_NEAR(rate.value.value(), kBound, 1e-4 * kBound);
    ASSERT_TRUE(rate.ci95);
    EXPECT_LE(rate.ci95->lo, kBound * (1 + 1e-9));
    EXPECT_GE(rate.ci95->hi, kBound * (1 - 1e-9));
    EXPECT_FALSE(plan.best->price.usd_per_hour);
    EXPECT_FALSE(plan.best->price.why.empty());
    EXPECT_FALSE(plan.lower_bound.usd_per_hour);
  }
}

TEST(Plan, TheScenarioKeepsThePricesAndAnEnd) {
  const Plan plan =
      plan_of(toy_question("workload: {arrivals: {process: poisson, rate: 0.4 /s}}\n"
                           "slo: {latency: 15 s, attainment: 90 %}\n"
                           "catalogue: {L4: {price: 5 USD/h, max: 8}}\n"));
  ASSERT_TRUE(plan.best);
  const std::string text = write_scenario_yaml(plan.scenario);
  test::OneText files(text);
  const Result<Scenario> scenario = load_scenario("test.yaml", files);
  ASSERT_TRUE(scenario) << scenario.error().front().text() << "\n" << text;
  ASSERT_EQ(scenario->fleet.nodes.size(), 1U);
  EXPECT_EQ(scenario->fleet.nodes[0].price_usd_h, 5);
  EXPECT_EQ(scenario->fleet.nodes[0].count, plan.best->candidate.instances());
  EXPECT_EQ(scenario->workload.requests, plan.best->judgement.requests);
  EXPECT_EQ(scenario->run.warmup, plan.best->judgement.warmup);
  for (const char* assumed : {"startup:", "timeouts:", "retries:", "belief:", "control:"}) {
    EXPECT_NE(text.find(assumed), std::string::npos) << assumed;
  }
}

TEST(Plan, CandidatesAddUpAndNeighboursNeedMore) {
  const Plan plan = plan_of(
      toy_question("workload: {arrivals: {process: poisson, rate: 0.4 /s}}\n"
                   "slo: {latency: 15 s, attainment: 90 %}\nsearch: {colocate: false}\n"
                   "catalogue: {A10: {price: 1 USD/h, max: 8}, L4: {price: 0.4 USD/h, max: 8}}\n"));
  ASSERT_TRUE(plan.best);
  EXPECT_EQ(plan.considered, plan.pruned + plan.simulated.size() + plan.left());
  EXPECT_LE(plan.pruned + plan.simulated.size(), plan.considered);
  bool bounded = false;
  for (const Considered& fewer : plan.neighbours) {
    bounded = bounded || fewer.judgement.why.find("more than") != std::string::npos;
  }
  EXPECT_TRUE(bounded);
}

}  // namespace
}  // namespace disagfusion::planner
