#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/sim/scenario_text.hpp"

namespace disagfusion::sim {
namespace {

using testing::chain;
using testing::run_of;
using testing::simulation_of;
using testing::Stage;

const std::string kBurstOf2 = "workload: {arrivals: {process: burst}, requests: 2}\n";

TEST(World, AChainWithoutNetworkIsPlainQueues) {
  const auto run = run_of(chain({{"a", "1", 1, "", ""}, {"b", "3", 1, "", ""}}, kBurstOf2));
  EXPECT_EQ(run.requests.completed, 2U);
  EXPECT_NEAR(*run.makespan_s, 7, 1e-9);
  EXPECT_NEAR(*run.latency_mean.value, (4 + 7) / 2.0, 1e-9);
  // The second waits 1 s for `a` and 2 s for `b`.
  EXPECT_NEAR(*run.wait_mean.value, 1.5, 1e-9);
  EXPECT_NEAR(*run.stages[1].utilization, 6.0 / 7, 1e-9);
  EXPECT_NEAR(*run.stages[0].service_s, 1, 1e-9);
}

TEST(World, AStageMayTakeNoTime) {
  const auto run = run_of(chain({{"a", "0", 1, "", ""}, {"b", "0", 1, "", ""}}, kBurstOf2));
  EXPECT_EQ(run.requests.completed, 2U);
  EXPECT_NEAR(*run.makespan_s, 0, 1e-12);
}

TEST(World, ATransferTakesLatencyPlusBytesOverBandwidth) {
  const auto run = run_of(chain({{"a", "1", 1, "", "1 MB"}, {"b", "3", 1, "", ""}},
                                "workload: {arrivals: {process: burst}, requests: 1}\n"
                                "network: {latency: 24 ms, bandwidth: 1 MB/s}\n"));
  EXPECT_NEAR(*run.makespan_s, 1 + 0.024 + 1 + 3, 1e-6);
  EXPECT_NEAR(*run.stages[1].transfer_s, 1.024, 1e-6);
  EXPECT_NEAR(*run.stages[1].wait_s, 0, 1e-6);
  EXPECT_NEAR(*run.stages[1].transfer_hidden, 0, 1e-6);
}

TEST(World, AsyncHidesTransfersBehindComputeAndSyncDoesNot) {
  const std::string network =
      "workload: {arrivals: {process: burst}, requests: 20}\n"
      "network: {latency: 0 s, bandwidth: 1 MB/s}\n";
  const std::vector<Stage> stages{{"a", "2", 1, "", "1 MB"}, {"b", "2", 1, "", ""}};
  const auto async = run_of(chain(stages, network));
  const auto sync = run_of(chain(stages, network + "policy: {handoff: sync}\n"));
  EXPECT_NEAR(*async.makespan_s, 20 * 2 + 1 + 2, 1e-6);
  EXPECT_NEAR(*sync.makespan_s, 20 * 3 + 2, 1e-6);
  EXPECT_NEAR(*sync.stages[0].blocked_s, 1, 1e-6);
  EXPECT_NEAR(*async.stages[0].blocked_s, 0, 1e-9);
}

TEST(World, AJoinWaitsForBothAndTheForkRunsSideBySide) {
  const std::string text = R"(
name: join
models:
  - name: m
    stages:
      - {name: text}
      - {name: image}
      - {name: dit, after: [text, image]}
fleet:
  gpus: {A10: 3}
  pools:
    - {stages: [text], gpu: A10}
    - {stages: [image], gpu: A10}
    - {stages: [dit], gpu: A10}
costs:
  - {stage: text, seconds: 1}
  - {stage: image, seconds: 4}
  - {stage: dit, seconds: 2}
workload: {arrivals: {process: burst}, requests: 1}
)";
  const auto run = run_of(text);
  EXPECT_NEAR(*run.makespan_s, 6, 1e-9);
  EXPECT_NEAR(*run.wait_mean.value, 0, 1e-9);
}

TEST(World, WhereHostMemoryRunsOutTheYoungestParkedOutputIsMadeAgain) {
  // Outputs of `image` wait for the slow `text`. Two would not fit: those of the second and third
  // request go, and are made again when their `text` has ended.
  const std::string text = R"(
name: parked
models:
  - name: m
    stages:
      - {name: text, output: 1 MB}
      - {name: image, output: 100 MB}
      - {name: dit, after: [text, image]}
fleet:
  nodes: [{name: n, gpus: {A10: 3}, host_memory: MEMORY}]
  pools:
    - {stages: [text], gpu: A10}
    - {stages: [image], gpu: A10}
    - {stages: [dit], gpu: A10}
costs:
  - {stage: text, seconds: 4}
  - {stage: image, seconds: 1}
  - {stage: dit, seconds: 2}
workload: {arrivals: {process: burst}, requests: 3}
)";
  const auto with = [&](const char* memory) {
    std::string filled = text;
    return run_of(filled.replace(filled.find("MEMORY"), 6, memory));
  };
  const auto enough = with("1 GB");
  EXPECT_NEAR(*enough.makespan_s, 3 * 4 + 2, 1e-9);
  EXPECT_EQ(enough.outputs_dropped, 0U);
  const auto scarce = with("150 MB");
  EXPECT_EQ(scarce.requests.completed, 3U);
  EXPECT_NEAR(*scarce.makespan_s, 3 * 4 + 1 + 2, 1e-9);
  EXPECT_EQ(scarce.outputs_dropped, 2U);
  EXPECT_EQ(scarce.retries, 0U);
}

TEST(World, InsideANodeOnlyItsBandwidthCounts) {
  const std::string text = R"(
name: node
models:
  - name: m
    stages: [{name: a, output: 1 GB}, {name: b, after: [a]}]
fleet:
  nodes: [{name: n, gpus: {A10: 2}, inside: {bandwidth: 2 GB/s}, nic: {bandwidth: 1 MB/s, latency: 1 s}}]
  pools: [{stages: [a], gpu: A10}, {stages: [b], gpu: A10}]
costs: [{stage: a, seconds: 1}, {stage: b, seconds: 1}]
workload: {arrivals: {process: burst}, requests: 1}
)";
  EXPECT_NEAR(*run_of(text).makespan_s, 1 + 0.5 + 1, 1e-6);
}

TEST(World, ControlDelayIsPaidOnTheWayThereAndBack) {
  // Arrival is at the controller; enqueue 5 ms down, finished 5 ms up, twice.
  const auto run = run_of(chain({{"a", "1", 1, "", ""}, {"b", "1", 1, "", ""}},
                                "workload: {arrivals: {process: burst}, requests: 1}\n"
                                "control: {delay: 5 ms}\n"));
  EXPECT_NEAR(*run.makespan_s, 2 + 4 * 0.005, 1e-9);
}

TEST(World, JitterOfTheControlPlaneKeepsEveryRequest) {
  const auto run = run_of(chain({{"a", "0.01", 2, "", "1 kB"}, {"b", "0.02", 4, "", "1 kB"}},
                                "workload: {arrivals: {process: poisson, rate: 150 /s}, "
                                "requests: 5000}\n"
                                "network: {latency: 1 ms, bandwidth: 1 GB/s, jitter_cv: 1}\n"
                                "control: {delay: 2 ms, jitter_cv: 1}\n"));
  EXPECT_EQ(run.requests.completed, 5000U);
  EXPECT_EQ(run.stale_events, 0U);
}

TEST(World, ACrashIsNoticedWhenHeartbeatsAreMissedAndTheRequestRunsAgain) {
  // Dead at 3 s; the last heartbeat left at 3 s; noticed at 8 s; repaired at 103 s.
  const auto run = run_of(chain({{"a", "10", 2, "", ""}},
                                "workload: {arrivals: {process: burst}, requests: 2}\n"
                                "faults: [{at: 3 s, instance: 1, kind: crash, repair: 100 s}]\n"));
  EXPECT_EQ(run.requests.completed, 2U);
  // Instance 2 is busy until 10 s, then runs the lost request.
  EXPECT_NEAR(*run.makespan_s, 20, 1e-9);
  EXPECT_EQ(run.retries, 1U);
}

TEST(World, ARepairedInstanceLoadsAgainBeforeItComputes) {
  const auto run = run_of(chain({{"a", "10", 1, "", ""}},
                                "workload: {arrivals: {process: burst}, requests: 1}\n"
                                "startup: {load: 7 s}\n"
                                "faults: [{at: 3.5 s, instance: 1, kind: crash, repair: 2 s}]\n"));
  // Its return tells of the loss (at 5.5 s, before the heartbeats do at 8 s); ready at 12.5 s.
  EXPECT_NEAR(*run.makespan_s, 22.5, 1e-9);
}

TEST(World, AReclaimedInstanceDrainsWithinItsNotice) {
  const auto run = run_of(chain({{"a", "10", 2, "", ""}},
                                "workload: {arrivals: {process: burst}, requests: 4}\n"
                                "faults: [{at: 1 s, instance: 1, kind: reclaim, notice: 60 s}]\n"));
  EXPECT_EQ(run.requests.completed, 4U);
  EXPECT_NEAR(*run.makespan_s, 30, 1e-9);  // one by instance 1, three by instance 2
  EXPECT_EQ(run.retries, 0U);
}

TEST(World, WithoutAnyInstanceLeftRequestsStayInFlight) {
  const auto run = run_of(chain({{"a", "10", 1, "", ""}},
                                "workload: {arrivals: {process: burst}, requests: 3}\n"
                                "faults: [{at: 15 s, instance: 1, kind: crash}]\n"));
  EXPECT_EQ(run.requests.completed, 1U);
  EXPECT_EQ(run.requests.in_flight, 2U);
}

TEST(World, TimeoutsAndRejectionsAreCounted) {
  const auto run = run_of(chain({{"a", "10", 1, "", ""}},
                                "workload: {arrivals: {process: burst}, requests: 4}\n"
                                "timeouts: {request: 25 s}\n"
                                "slo: {latency: 15 s, attainment: 90 %}\n"));
  EXPECT_EQ(run.requests.completed, 2U);
  EXPECT_EQ(run.requests.timed_out, 2U);
  EXPECT_NEAR(*run.attainment.value, 0.25, 1e-9);
}

TEST(World, MovesOfAScheduleLoadTheNewRole) {
  const auto run = run_of(chain(
      {{"a", "1", 1, "", ""}, {"b", "1", 2, "", ""}},
      "workload: {arrivals: {process: deterministic, rate: 0.5 /s}, requests: 100}\n"
      "startup: {load: 30 s}\n"
      "policy: {elasticity: {name: schedule, moves: [{at: 50 s, from: b, to: a, count: 1}]}}\n"));
  EXPECT_EQ(run.requests.completed, 100U);
  ASSERT_EQ(run.scaling.size(), 1U);
  EXPECT_EQ(run.scaling[0].action, "re-role");
  EXPECT_NEAR(run.scaling[0].t_s, 50, 1e-9);
  EXPECT_GT(run.pools[0].mean_instances, 1.2);
}

TEST(World, EqualShapesGoInOneBatch) {
  const auto run = run_of(chain({{"a", "10", 1, "max_batch: 4", ""}},
                                "workload: {arrivals: {process: burst}, requests: 5}\n"
                                "policy: {batching: equal-shapes}\n"));
  EXPECT_EQ(run.requests.completed, 5U);
  EXPECT_LE(*run.makespan_s, 30 + 1e-9);
}

TEST(World, TheSameSeedGivesTheSameRunAndAnotherSeedAnotherOne) {
  const std::string text =
      chain({{"a", "0.1, distribution: exponential", 1, "", "1 MB"},
             {"b", "0.4, distribution: lognormal, cv: 0.5", 5, "", ""}},
            "workload: {arrivals: {process: gamma, rate: 8 /s, cv: 2}, requests: 3000}\n"
            "network: {latency: 2 ms, bandwidth: 100 MB/s, jitter_cv: 0.3}\n"
            "faults: [{at: 30 s, instance: 2, kind: crash, repair: 20 s}]\n");
  const auto first = run_of(text, 7), second = run_of(text, 7), other = run_of(text, 8);
  EXPECT_EQ(first.decision_hash, second.decision_hash);
  EXPECT_EQ(first.events, second.events);
  EXPECT_EQ(*first.latency_mean.value, *second.latency_mean.value);
  EXPECT_NE(first.decision_hash, other.decision_hash);
}

TEST(World, ResultsDoNotDependOnTheNumberOfThreads) {
  const Simulation simulation = simulation_of(
      chain({{"a", "0.1, distribution: exponential", 1, "", ""}},
            "workload: {arrivals: {process: poisson, rate: 8 /s}, requests: 2000}\n"));
  RunOptions options;
  options.seed = 3;
  options.replications = 5;
  std::string texts[2];
  for (const unsigned threads : {1U, 2U}) {
    options.threads = threads;
    auto outcome = run(simulation, options);
    ASSERT_TRUE(outcome);
    outcome->peak_rss_bytes = 0;
    texts[threads - 1] =
        report::json_text(make_report(simulation, options, std::move(*outcome), 0));
  }
  EXPECT_EQ(texts[0], texts[1]);
}

TEST(World, APoolThatDoesNotFitItsGpuIsAnErrorWithTheNumbers) {
  const std::string text = R"(
name: too large
models: [flux.1-dev]
fleet:
  gpus: {RTX4090: 1}
  pools: [{stages: [encoder, dit, decoder], gpu: RTX4090}]
workload: {arrivals: {process: burst}, requests: 1}
)";
  const auto simulation = Simulation::prepare(testing::scenario_of(text));
  ASSERT_FALSE(simulation);
  const std::string problem = testing::text_of(simulation.error());
  EXPECT_NE(problem.find("at most 24"), std::string::npos) << problem;
  EXPECT_NE(problem.find("weights"), std::string::npos) << problem;
  EXPECT_NE(problem.find("test.yaml:6"), std::string::npos) << problem;
}

TEST(World, WeightsOfMeasuredStagesThatDoNotFitAreTakenToBeStreamed) {
  const auto prepared = [](const std::string& costs) {
    return Simulation::prepare(testing::scenario_of(
        "models: [wan2.2-i2v-a14b]\n"
        "workload: {arrivals: {process: burst}, requests: 1, mix: [{model: wan2.2-i2v-a14b, "
        "width: 832, height: 480, frames: 81, steps: 4}]}\n"
        "fleet: {gpus: {A10: 1, H100-SXM: 1}, pools: [{stages: [dit], gpu: A10}, "
        "{stages: [encoder, decoder], gpu: H100-SXM}]}\n"
        "costs: [" +
        costs + "]\n"));
  };
  const auto measured = prepared("{stage: dit, gpu: A10, steps: 4, seconds: 74.2}");
  ASSERT_TRUE(measured) << testing::text_of(measured.error());
  const auto& notes = measured->not_modelled();
  EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [](const std::string& note) {
    return note.find("dit on A10") != std::string::npos &&
           note.find("streamed from host memory") != std::string::npos;
  }));
  // Nobody measured there: an error with the numbers and the way out.
  for (const char* costs :
       {"{stage: dit, seconds: 74.2}", "{stage: dit, gpu: A10, steps: 50, seconds: 900}"}) {
    const auto refused = prepared(costs);
    ASSERT_FALSE(refused) << costs;
    EXPECT_NE(testing::text_of(refused.error()).find("at most 24.0 GB on a A10"),
              std::string::npos);
    EXPECT_NE(testing::text_of(refused.error()).find("with offload: true"), std::string::npos);
  }
}

TEST(World, FifoHoldsInTheRunQueueOfAnInstanceThatHostsTwoSources) {
  const Simulation simulation = testing::simulation_of(
      "models: [{name: m, stages: [{name: t}, {name: i}, {name: d, after: [t, i]}]}]\n"
      "workload: {arrivals: {process: burst}, requests: 5}\n"
      "fleet: {gpus: {A10: 2}, pools: [{stages: [t, i], gpu: A10}, {stages: [d], gpu: A10}]}\n"
      "network: {latency: 1 ms}\n"
      "costs: [{seconds: 1}]\n");
  std::vector<double> starts;  // of t, in the order in which the requests end
  Watchers watchers;
  watchers.ended = [&](const traces::RequestRow& row) {
    starts.push_back(row.stages[0].start->seconds());
  };
  ASSERT_TRUE(simulation.run(0, watchers));
  EXPECT_EQ(starts, (std::vector<double>{0, 1, 2, 3, 4}));
}

TEST(World, InputsCostATransferOnlyWhereTheModelNamesThem) {
  const std::string trace = ::testing::TempDir() + "inputs_of_a_trace.csv";
  std::ofstream(trace) << "arrival_s,input_bytes\n0,5000000\n";
  const auto latency = [&](const std::string& input) {
    const auto run = run_of("models: [{name: m, " + input + "stages: [{name: a}]}]\n" +
                            "workload: {trace: " + trace + "}\n" +
                            "fleet: {gpus: {A10: 1}, pools: [{stages: [a], gpu: A10}]}\n"
                            "network: {bandwidth: 1 MB/s}\n"
                            "costs: [{seconds: 1}]\n");
    return run.latency_mean.value.value_or(-1);
  };
  EXPECT_NEAR(latency(""), 1, 1e-9);
  EXPECT_NEAR(latency("input: 1 MB, "), 1 + 5, 1e-6);  // the request's own size, not the model's
}

TEST(World, AStageWithoutInstancesIsNeverCalledStable) {
  const std::string model =
      "models: [{name: m, stages: [{name: a}, {name: b, after: [a]}]}]\n"
      "workload: {arrivals: {process: deterministic, rate: 1 /s}, requests: 12}\n"
      "fleet: {gpus: {A10: 4}, pools: [{stages: [a], gpu: A10, count: 3}, "
      "{stages: [b], gpu: A10}]}\n"
      "costs: [{stage: a, seconds: 1}, {stage: b, seconds: 0.5}]\n";
  for (const std::string rest : {"", "timeouts: {request: 60 s}\n"}) {
    const auto dead = run_of(model + "faults: [{at: 4 s, instance: 4, kind: crash}]\n" + rest);
    EXPECT_EQ(dead.stability, report::Stability::overloaded);
    EXPECT_EQ(dead.stability_why.find("stage b has no instance left; "), 0U) << dead.stability_why;
  }
  const auto repaired =
      run_of(model + "faults: [{at: 4 s, instance: 4, kind: crash, repair: 1 s}]\n");
  EXPECT_EQ(repaired.requests.completed, 12U);
  EXPECT_EQ(repaired.stability, report::Stability::stable) << repaired.stability_why;
}

TEST(World, APoolOfOneModelsStageServesEveryStageWithTheSameWeights) {
  const auto run = run_of(
      "models:\n"
      "  - {name: x, stages: [{name: enc, weights: t5}, {name: dit, after: [enc]}]}\n"
      "  - {name: y, stages: [{name: enc, weights: t5}, {name: dit, after: [enc]}]}\n"
      "workload: {arrivals: {process: burst}, requests: 20, "
      "mix: [{weight: 1, model: x}, {weight: 1, model: y}]}\n"
      "fleet: {gpus: {A10: 2}, pools: [{stages: [x/enc], gpu: A10}, {stages: [dit], gpu: A10}]}\n"
      "costs: [{seconds: 1}]\n");
  EXPECT_EQ(run.requests.completed, 20U);
}

TEST(World, ALostAttemptKeepsItsPlaceInTheQueueAndOneRetryIsCounted) {
  const auto of = [](int most) {
    return run_of(
        chain({{"a", "1", 1, "", ""}},
              fmt::format("workload: {{arrivals: {{process: burst}}, requests: 3}}\n"
                          "faults: [{{at: 0.5 s, instance: 1, kind: crash, repair: 1 s}}]\n"
                          "retries: {{max: {}}}\n",
                          most)));
  };
  EXPECT_EQ(of(1).retries, 1U);
  EXPECT_EQ(of(1).requests.completed, 3U);
  EXPECT_EQ(of(0).retries, 0U);
  EXPECT_EQ(of(0).requests.failed, 1U);
}

TEST(World, AClosedLoopThatOnlyTimeEndsIsRefusedWhereNoTimePasses) {
  const auto run = [](const std::string& rest) {
    return testing::simulation_of(
               "models: [{name: m, stages: [{name: a}]}]\n"
               "fleet: {gpus: {A10: 1}, pools: [{stages: [a], gpu: A10}]}\n"
               "costs: [{seconds: 1}]\n"
               "workload: {closed_loop: {concurrency: 4}, duration: 10 s" +
               rest)
        .run(0);
  };
  const auto endless = run("}\npolicy: {admission: {name: bounded, waiting: 1}}\n");
  ASSERT_FALSE(endless);
  const std::string problem = testing::text_of(endless.error());
  EXPECT_EQ(problem.find("test.yaml:4:11: workload: expected requests: how many"), 0U) << problem;
  // Counted, or with room for all: it ends.
  const auto counted = run(", requests: 50}\npolicy: {admission: {name: bounded, waiting: 1}}\n");
  ASSERT_TRUE(counted);
  EXPECT_EQ(counted->requests.offered, 50U);
  const auto roomy = run("}\n");
  ASSERT_TRUE(roomy);
  EXPECT_EQ(roomy->requests.completed, 10U + 3U);
}

TEST(World, PushSpreadsABurstEvenlyWithMostFree) {
  const auto run = run_of(chain({{"a", "1", 3, "", ""}},
                                "workload: {arrivals: {process: burst}, requests: 12}\n"
                                "policy: {dispatch: push, routing: most-free}\n"));
  EXPECT_DOUBLE_EQ(*run.makespan_s, 4);
}

TEST(World, AnOverloadedShortRunIsNotCalledStable) {
  const auto verdict = [](double rate, int requests) {
    return run_of(chain({{"a", "1", 1, "", ""}},
                        fmt::format("workload: {{arrivals: {{process: poisson, rate: {} /s}}, "
                                    "requests: {}}}\n",
                                    rate, requests)),
                  1)
        .stability;
  };
  EXPECT_EQ(verdict(0.5, 2000), report::Stability::stable);
  EXPECT_EQ(verdict(1.3, 200), report::Stability::overloaded);
  EXPECT_EQ(run_of(chain({{"a", "1", 1, "", ""}}, kBurstOf2)).stability,
            report::Stability::backlogged);
}

TEST(World, HybridSaysInWordsThatAPoolWasEmpty) {
  const auto run = run_of(
      "models: [{name: m, stages: [{name: a}, {name: b, after: [a]}]}]\n"
      "workload: {arrivals: {process: deterministic, rate: 0.5 /s}, requests: 20}\n"
      "fleet: {gpus: {A10: 2}, pools: [{stages: [a], gpu: A10, count: 2}, "
      "{stages: [b], gpu: A10, count: 0}]}\n"
      "costs: [{stage: a, seconds: 1}, {stage: b, seconds: 1}]\n"
      "policy: {elasticity: hybrid}\n");
  ASSERT_FALSE(run.scaling.empty());
  EXPECT_NE(run.scaling[0].why.find("a role with work has no instance"), std::string::npos)
      << run.scaling[0].why;
  EXPECT_EQ(run.requests.completed, 20U);
}

TEST(World, TwoRequestsAreTooFewToCallOverloaded) {
  const auto run = run_of(chain({{"a", "1", 1, "", ""}},
                                "workload: {arrivals: {process: deterministic, rate: 1 /s}, "
                                "requests: 2}\n"));
  EXPECT_EQ(run.stability, report::Stability::stable) << run.stability_why;
}

TEST(World, FiguresSayThatEverythingArrivedWithinTheWarmUp) {
  const Simulation simulation = simulation_of(
      chain({{"a", "1", 1, "", ""}},
            "workload: {arrivals: {process: deterministic, rate: 0.5 /s}, requests: 20}\n"
            "run: {warmup: 1000 s}\n"));
  RunOptions options;
  auto outcome = run(simulation, options);
  ASSERT_TRUE(outcome);
  const report::Report report = make_report(simulation, options, std::move(*outcome), 0);
  EXPECT_EQ(report.requests.completed, 20U);
  EXPECT_EQ(report.latency_mean.why, "every request arrived within the warm-up");
  EXPECT_EQ(report.latency[0].why, "every request arrived within the warm-up");
  EXPECT_EQ(report.throughput_rps.why, "no request completed after the warm-up");
}

TEST(World, TheJsonHasEveryKeyAndNoNaN) {
  const Simulation simulation =
      simulation_of(chain({{"a", "1", 1, "", ""}},
                          "workload: {arrivals: {process: burst}, requests: 1}\n"
                          "faults: [{at: 0.5 s, instance: 1, kind: crash}]\n"));
  RunOptions options;
  auto outcome = run(simulation, options);
  ASSERT_TRUE(outcome);
  const auto json = report::to_json(make_report(simulation, options, std::move(*outcome), 0.5));
  for (const char* key :
       {"schema",       "version",      "scenario",   "scenario_sha256", "seed",
        "replications", "belief",       "requests",   "makespan_s",      "throughput_rps",
        "latency_s",    "slo",          "stages",     "pools",           "wait_s",
        "cost",         "scaling",      "costs_used", "stability",       "warmup",
        "stale_events", "not_modelled", "engine"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["schema"], "disagfusion.result/1");
  EXPECT_TRUE(json["makespan_s"]["value"].is_null());
  EXPECT_FALSE(json["makespan_s"]["why"].get<std::string>().empty());
  EXPECT_EQ(json["requests"]["in_flight"], 1);
  EXPECT_EQ(json.dump().find("nan"), std::string::npos);
}

}  // namespace
}  // namespace disagfusion::sim
