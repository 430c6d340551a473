// The lockstep check on logs of simulated runs: whole ones agree, altered ones are caught at the
// event.
#include "scheduler/log/verify.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>

#include "scheduler/log/file_container.hpp"
#include "scheduler/log/sqlite_container.hpp"
#include "tests/sim/scenario_text.hpp"

namespace disagfusion::scheduler::log {
namespace {

namespace fs = std::filesystem;
using sim::testing::chain;
using sim::testing::simulation_of;

class Verify : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / fmt::format("verify_{}_{}", test->name(), ::getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / name).string();
  }

  static LogHeader header_of(const sim::Simulation& simulation) {
    LogHeader header;
    header.program_version = "test";
    header.seed = simulation.scenario().seed;
    header.belief = simulation.belief();
    header.sources = simulation.scenario().sources;
    return header;
  }

  /// Runs the scenario with its log at a.log; what the run says its decision hash is.
  std::uint64_t logged(const std::string& scenario) {
    const sim::Simulation simulation = simulation_of(scenario);
    auto log = FileLog::create(path("a.log"), header_of(simulation));
    EXPECT_TRUE(log.has_value());
    sim::Watchers watchers;
    watchers.log = log->get();
    const auto run = simulation.run(simulation.scenario().seed, watchers);
    EXPECT_TRUE(run.has_value());
    EXPECT_TRUE((*log)->close().has_value());
    return run->decision_hash;
  }

  /// a.log copied to b.log, each record as `change` wants it; false leaves it out.
  void rewrite(const std::function<bool(std::uint64_t, Record&)>& change) {
    auto reader = open_log(path("a.log"));
    ASSERT_TRUE(reader.has_value());
    auto copy = FileLog::create(path("b.log"), (*reader)->header());
    ASSERT_TRUE(copy.has_value());
    Record record;
    for (std::uint64_t number = 1;; ++number) {
      const auto more = (*reader)->next(record);
      ASSERT_TRUE(more.has_value());
      if (!*more) break;
      if (!change(number, record)) continue;
      (*copy)->record(record.now, record.event, record.actions_hash);
    }
    ASSERT_TRUE((*copy)->close().has_value());
  }

  VerifyReport report_of(const std::string& name, std::ostream* print = nullptr) {
    auto report = verify(path(name), print);
    if (!report) throw std::runtime_error(report.error()[0].text());
    return *report;
  }

  fs::path folder_;
};

const char* const kNetwork =
    "workload: {arrivals: {process: poisson, rate: 0.9 /s}, requests: 60}\n"
    "network: {latency: 5 ms, bandwidth: 1 Gbit/s}\n";

std::string scenario() {
  return chain({{"encoder", "0.2"},
                {"dit", "2, distribution: exponential", 2, "", "4 MB"},
                {"decoder", "0.5"}},
               kNetwork);
}

TEST_F(Verify, WholeLogsAgree) {
  const std::uint64_t hash = logged(scenario());
  const VerifyReport report = report_of("a.log");
  EXPECT_FALSE(report.mismatch.has_value()) << report.mismatch->text();
  EXPECT_EQ(report.decision_hash, hash);
  EXPECT_GT(report.events, 60U * 3);
}

TEST_F(Verify, JournalsAgreeToo) {
  const sim::Simulation simulation = simulation_of(scenario());
  auto log = SqliteLog::create(path("j.db"), header_of(simulation));
  ASSERT_TRUE(log.has_value());
  sim::Watchers watchers;
  watchers.log = log->get();
  const auto run = simulation.run(0, watchers);
  ASSERT_TRUE(run.has_value());
  (*log)->commit();
  const VerifyReport report = report_of("j.db");
  EXPECT_FALSE(report.mismatch.has_value()) << report.mismatch->text();
  EXPECT_EQ(report.decision_hash, run->decision_hash);
}

TEST_F(Verify, LoggingChangesNoDecision) {
  const auto run = simulation_of(scenario()).run(0);
  ASSERT_TRUE(run.has_value());
  EXPECT_EQ(run->decision_hash, logged(scenario()));
}

TEST_F(Verify, WithFaultsBatchesTimeoutsAndMoves) {
  logged(chain({{"encoder", "0.2"},
                {"dit", "2, distribution: exponential", 3, "max_batch: 2", "4 MB"},
                {"decoder", "0.5", 2}},
               std::string(kNetwork) +
                   "policy: {batching: equal-shapes, elasticity: {name: schedule, moves: "
                   "[{at: 20 s, from: dit, to: decoder, count: 1}]}}\n"
                   "startup: {load: 3 s}\ntimeouts: {request: 40 s}\n"
                   "faults: [{at: 10 s, instance: 2, kind: crash, repair: 5 s}]\n"));
  const VerifyReport report = report_of("a.log");
  EXPECT_FALSE(report.mismatch.has_value()) << report.mismatch->text();
}

TEST_F(Verify, ANewHashIsCaughtAtItsEvent) {
  logged(scenario());
  rewrite([](std::uint64_t number, Record& record) {
    if (number == 50) ++record.actions_hash;
    return true;
  });
  const VerifyReport report = report_of("b.log");
  ASSERT_TRUE(report.mismatch.has_value());
  EXPECT_EQ(report.events, 49U);
  EXPECT_EQ(report.mismatch->number, 50U);
  EXPECT_EQ(report.mismatch->logged, report.mismatch->computed + 1);
  EXPECT_EQ(report.mismatch->what, "the actions differ");
  EXPECT_NE(report.mismatch->text().find("logged "), std::string::npos);
}

TEST_F(Verify, AMissingStartIsCaught) {
  logged(scenario());
  bool left_out = false;
  rewrite([&](std::uint64_t, Record& record) {
    if (left_out || record.event.kind != EventKind::batch_started) return true;
    left_out = true;
    return false;
  });
  ASSERT_TRUE(left_out);
  EXPECT_TRUE(report_of("b.log").mismatch.has_value());
}

TEST_F(Verify, AnEventThatNobodyExplainsIsTold) {
  logged(scenario());
  rewrite([](std::uint64_t number, Record& record) {
    if (number == 3) record.event.instance.id = InstanceId{77};
    return true;
  });
  const VerifyReport report = report_of("b.log");
  ASSERT_TRUE(report.mismatch.has_value());
  EXPECT_EQ(report.mismatch->number, 3U);
  EXPECT_EQ(report.mismatch->what, "the protocol forbids it: no such incarnation was ever known");
  EXPECT_EQ(report.mismatch->event, "0.000000000 instance_ready i77.1");
}

TEST_F(Verify, ARequestOfNoModelIsTold) {
  logged(scenario());
  scheduler::RequestBody body;
  rewrite([&](std::uint64_t, Record& record) {
    if (record.event.kind == EventKind::request_arrived) {
      body = *record.event.body;
      body.model = ModelId{1024};
      record.event.body = &body;
    }
    return true;
  });
  const VerifyReport report = report_of("b.log");
  ASSERT_TRUE(report.mismatch.has_value());
  EXPECT_EQ(report.mismatch->what, "the protocol forbids it: there is no such model");
}

// A changed byte can make an event that the scheduler rightly takes for a broken world: it must not
// get that far.
TEST_F(Verify, EveryChangedByteIsToldAndNothingIsReplayed) {
  logged(scenario());
  std::ifstream in(path("a.log"), std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  for (std::size_t at = 16; at < whole.size(); at += 11) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x04);
    std::ofstream(path("b.log"), std::ios::binary) << changed;
    ASSERT_FALSE(verify(path("b.log"), nullptr).has_value()) << "byte " << at;
  }
}

TEST_F(Verify, PrintGivesEventsAndTheirActions) {
  logged(scenario());
  std::ostringstream first, second;
  const VerifyReport report = report_of("a.log", &first);
  report_of("a.log", &second);
  EXPECT_EQ(first.str(), second.str());
  const std::string text = first.str();
  EXPECT_EQ(text.find("0.000000000 controller_restarted epoch 1 downtime 0 s\n"
                      "0.000000000 instance_ready i1.1\n"),
            0U);
  EXPECT_NE(text.find("\n  enqueue c1 encoder on i1.1 order "), std::string::npos) << text;
  std::uint64_t lines = 0;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines += line.rfind("  ", 0) == 0 ? 0 : 1;
  EXPECT_EQ(lines, report.events);
}

TEST_F(Verify, HeadersWithoutAScenarioAreRefused) {
  LogHeader header;
  header.sources = {{"test.yaml", "nonsense: 1\n"}};
  auto log = FileLog::create(path("a.log"), header);
  ASSERT_TRUE(log.has_value());
  ASSERT_TRUE((*log)->close().has_value());
  EXPECT_FALSE(verify(path("a.log"), nullptr).has_value());
  EXPECT_FALSE(verify(path("missing.log"), nullptr).has_value());
}

}  // namespace
}  // namespace disagfusion::scheduler::log
