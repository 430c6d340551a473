// Policies by themselves: what they choose, how they break ties, which parameters they refuse.
#include <gtest/gtest.h>

#include "base/scenario_reader.hpp"
#include "scheduler/policies/policies.hpp"
#include "scheduler/setup.hpp"
#include "tests/base/one_text.hpp"

namespace disagfusion::scheduler {
namespace {

struct Made {
  Scenario scenario;
  Setup setup;
  std::shared_ptr<const predictor::CostModel> belief;
};

/// Two GPU types, the second twice as fast: instances 1, 2 are slow, 3, 4 fast.
Made make(const std::string& policy) {
  test::OneText files(
      "models: [{name: m, stages: [{name: s}]}]\n"
      "workload: {arrivals: {process: burst}, requests: 1}\n"
      "fleet: {gpus: {A10: 2, L4: 2}, pools: [{stages: [s], gpu: A10, count: 2}, {stages: [s], "
      "gpu: "
      "L4, count: 2}]}\n"
      "costs: [{stage: s, gpu: A10, seconds: 4}, {stage: s, gpu: L4, seconds: 2}]\n"
      "policy: {" +
      policy + "}\n");
  Result<Scenario> scenario = load_scenario("test.yaml", files);
  if (!scenario) throw std::runtime_error(scenario.error().front().text());
  Made made{std::move(*scenario), {}, nullptr};
  made.setup = *make_setup(made.scenario, false);
  made.belief = *predictor::make_cost_model(made.scenario, made.setup.graph, made.setup.gpu_types,
                                            made.scenario.costs);
  return made;
}

Policies policies_of(const Setup& setup) {
  Result<Policies> policies = make_policies(setup);
  if (!policies) throw std::runtime_error(policies.error().front().text());
  return std::move(*policies);
}

std::string refusal(const std::string& policy) {
  const Result<Policies> policies = make_policies(make(policy).setup);
  return policies ? "" : policies.error().front().text();
}

constexpr WeightsId kStage{0};
Acceptance idle_since(double seconds) {
  return {true, true, 2, TimePoint{from_seconds(seconds).ns}};
}
Acceptance busy_until(double seconds, std::uint32_t free) {
  return {free > 0, false, free, TimePoint{from_seconds(seconds).ns}};
}

struct Router {
  explicit Router(const std::string& name)
      : made(make("routing: " + name)),
        costs(made.setup, made.belief),
        policies(policies_of(made.setup)) {
    shape = costs.intern({});
    std::vector<InstanceId> hosts;
    std::vector<CostClass> classes;
    for (std::uint32_t i = 1; i <= 4; ++i) {
      hosts.push_back(InstanceId{i});
      classes.push_back(costs.class_of(PoolId{static_cast<std::uint16_t>(i <= 2 ? 0 : 1)}));
    }
    policies.routing->set_hosts(kStage, hosts, classes);
  }
  void state(std::uint32_t instance, const Acceptance& a) {
    policies.routing->update(kStage, InstanceId{instance}, a);
  }
  std::uint32_t choose(double now) {
    RoutingQuestion question;
    question.now = TimePoint{from_seconds(now).ns};
    question.node = NodeId{0};
    question.shape = shape;
    question.last_step = 1;
    return policies.routing->choose(kStage, question, costs).instance.value;
  }
  Made made;
  Costs costs;
  Policies policies;
  std::uint32_t shape = 0;
};

TEST(LeastCompletion, TakesTheEarliestPredictedEnd) {
  Router router("least-completion");
  EXPECT_EQ(router.choose(0), 0U);  // nobody accepts
  router.state(1, busy_until(5, 1));
  router.state(3, busy_until(8, 1));
  EXPECT_EQ(router.choose(0), 1U);  // 5 + 4 against 8 + 2
  router.state(3, busy_until(6, 1));
  EXPECT_EQ(router.choose(0), 3U);  // 6 + 2
  router.state(2, idle_since(0));
  EXPECT_EQ(router.choose(0), 2U);  // an idle one is preferred to any slot
  router.state(4, idle_since(0));
  EXPECT_EQ(router.choose(0), 4U);  // of two idle ones the faster
}

TEST(LeastCompletion, BreaksTiesByAvailabilityThenInstance) {
  Router router("least-completion");
  router.state(1, idle_since(3));
  router.state(2, idle_since(1));
  EXPECT_EQ(router.choose(10), 2U);  // idle for longer
  router.state(1, idle_since(1));
  EXPECT_EQ(router.choose(10), 1U);
  router.state(1, busy_until(20, 0));
  router.state(2, busy_until(20, 0));
  EXPECT_EQ(router.choose(10), 0U);
}

TEST(MostFree, CountsSlotsAndPrefersIdle) {
  Router router("most-free");
  router.state(1, busy_until(5, 1));
  router.state(2, busy_until(50, 2));
  router.state(3, busy_until(50, 2));
  EXPECT_EQ(router.choose(0), 2U);  // two free slots, the lower instance
  router.state(4, idle_since(0));
  EXPECT_EQ(router.choose(0), 4U);
  router.state(4, busy_until(5, 0));
  router.state(2, busy_until(50, 0));
  EXPECT_EQ(router.choose(0), 3U);
}

TEST(Admission, BoundedTurnsAwayWithATimeToComeBack) {
  const Made made = make("admission: {name: bounded, waiting: 2, retry_after: 3 s}");
  const Policies policies = policies_of(made.setup);
  AdmissionQuestion question;
  question.waiting = 1;
  EXPECT_TRUE(policies.admission->decide(question).admit);
  question.waiting = 2;
  const Admission turned_away = policies.admission->decide(question);
  EXPECT_FALSE(turned_away.admit);
  EXPECT_EQ(turned_away.why, Why::queue_full);
  EXPECT_EQ(turned_away.retry_after, from_seconds(3));
}

TEST(Queue, KeysOrderByReadinessOrDeadline) {
  RequestRecord early, late;
  early.deadline = TimePoint{5};
  StageRecord first, second;
  first.ready = TimePoint{1};
  second.ready = TimePoint{2};
  const Policies fifo = policies_of(make("queue: fifo").setup);
  EXPECT_LT(fifo.queue->key(late, first), fifo.queue->key(early, second));
  const Policies deadline = policies_of(make("queue: deadline").setup);
  EXPECT_LT(deadline.queue->key(early, second), deadline.queue->key(late, first));
}

TEST(Parameters, WrongOnesAreRefusedWithTheirPlace) {
  EXPECT_NE(refusal("admission: {name: bounded, waitng: 5}").find("did you mean 'waiting'"),
            std::string::npos);
  EXPECT_NE(refusal("elasticity: {name: schedule}").find("moves"), std::string::npos);
  EXPECT_NE(refusal("elasticity: {name: schedule, moves: [{at: 1 s, from: t}]}").find("from"),
            std::string::npos);
  EXPECT_NE(refusal("elasticity: {name: hybrid, interval: 0 s}").find("interval"),
            std::string::npos);
  EXPECT_EQ(refusal("elasticity: {name: schedule, moves: [{at: 1 s, from: s}]}"), "");
  EXPECT_NE(refusal("elasticity: {name: schedule, moves: [{at: 1 s, from: s, instance: 1, count: "
                    "2}]}")
                .find("no count beside instance"),
            std::string::npos);
}

}  // namespace
}  // namespace disagfusion::scheduler
