// File and SQLite: what goes in comes out; what is broken is named; what was killed is whole.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/decision_hash.hpp"
#include "scheduler/log/file_container.hpp"
#include "scheduler/log/sqlite_container.hpp"
#include "tests/scheduler/log/sample_events.hpp"

namespace disagfusion::scheduler::log {
namespace {

namespace fs = std::filesystem;

class LogFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / fmt::format("log_{}_{}", test->name(), ::getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_ / name).string();
  }

  fs::path folder_;
};

LogHeader sample_header() {
  LogHeader header;
  header.program_version = "0.1.0";
  header.seed = 42;
  header.live = true;
  header.belief = "means of costs";
  header.sources = {{"a.yaml", "name: a\n"}, {"configs:models/m.yaml", std::string(150, 'x')}};
  return header;
}

void expect_same(const LogHeader& a, const LogHeader& b) {
  EXPECT_EQ(a.program_version, b.program_version);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.live, b.live);
  EXPECT_EQ(a.belief, b.belief);
  ASSERT_EQ(a.sources.size(), b.sources.size());
  for (std::size_t i = 0; i < a.sources.size(); ++i) {
    EXPECT_EQ(a.sources[i].path, b.sources[i].path);
    EXPECT_EQ(a.sources[i].text, b.sources[i].text);
  }
}

Event restarted(std::uint32_t epoch) {
  Event event;
  event.kind = EventKind::controller_restarted;
  event.steps_done = epoch;
  return event;
}

struct Written {
  TimePoint now;
  std::uint64_t hash = 0;
  std::unique_ptr<SampleEvent> sample;
};

// `count` events of all kinds but controller_restarted, which comes first.
std::vector<Written> write_samples(EventSink& sink, int count, std::uint32_t epoch = 1) {
  const Draw draw = draws_from(epoch);
  std::vector<Written> written;
  const std::int64_t start = std::int64_t{1'000'000'000} * epoch;
  for (int i = 0; i < count; ++i) {
    auto kind = static_cast<EventKind>(i % kEventKinds);
    if (kind == EventKind::controller_restarted) kind = EventKind::tick;
    Written one{TimePoint{start + i}, draw(~std::uint64_t{0}), sample_event(kind, draw)};
    if (i == 0) one.sample->event = restarted(epoch);
    sink.record(one.now, one.sample->event, one.hash);
    written.push_back(std::move(one));
  }
  return written;
}

void expect_records(LogReader& reader, const std::vector<Written>& written) {
  Record record;
  for (const Written& one : written) {
    const Result<bool> more = reader.next(record);
    ASSERT_TRUE(more.has_value()) << more.error()[0].text();
    ASSERT_TRUE(*more);
    EXPECT_EQ(record.now, one.now);
    EXPECT_EQ(record.actions_hash, one.hash);
    EXPECT_TRUE(same(record.event, one.sample->event)) << name_of(one.sample->event.kind);
  }
}

void expect_end(LogReader& reader) {
  Record record;
  const Result<bool> more = reader.next(record);
  ASSERT_TRUE(more.has_value()) << more.error()[0].text();
  EXPECT_FALSE(*more);
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void replace(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Reads to the end or the first problem; its text, or nothing.
std::string problem_of(const std::string& path) {
  auto reader = open_log(path);
  if (!reader) return reader.error()[0].text();
  Record record;
  while (true) {
    const Result<bool> more = (*reader)->next(record);
    if (!more) return more.error()[0].text();
    if (!*more) return {};
  }
}

// ---- file --------------------------------------------------------------------------------------

TEST_F(LogFiles, FileGivesBackWhatWasWritten) {
  auto log = FileLog::create(path("a.log"), sample_header());
  ASSERT_TRUE(log.has_value());
  const auto written = write_samples(**log, 500);
  EXPECT_FALSE(fs::exists(path("a.log")));
  ASSERT_TRUE((*log)->close().has_value());
  auto reader = open_log(path("a.log"));
  ASSERT_TRUE(reader.has_value()) << reader.error()[0].text();
  expect_same((*reader)->header(), sample_header());
  expect_records(**reader, written);
  EXPECT_FALSE((*reader)->trailer().has_value());
  expect_end(**reader);
  ASSERT_TRUE((*reader)->trailer().has_value());
  EXPECT_EQ((*reader)->trailer()->records, 500U);
  std::uint64_t hash = 0, number = 0;
  for (const Written& one : written) hash = fold_decisions(hash, one.now, ++number, one.hash);
  EXPECT_EQ((*reader)->trailer()->decision_hash, hash);
}

TEST_F(LogFiles, RecordsLongerThanTheBufferPass) {
  auto log = FileLog::create(path("a.log"), sample_header());
  ASSERT_TRUE(log.has_value());
  std::vector<Written> written = write_samples(**log, 3);
  for (const std::size_t size : {std::size_t{100}, std::size_t{2'000'000}, std::size_t{70'000}}) {
    Written one{TimePoint{2'000'000'000}, 7, std::make_unique<SampleEvent>()};
    one.sample->event.kind = EventKind::request_arrived;
    one.sample->body.prompt.assign(size, 'p');
    one.sample->event.body = &one.sample->body;
    (*log)->record(one.now, one.sample->event, one.hash);
    written.push_back(std::move(one));
  }
  ASSERT_TRUE((*log)->close().has_value());
  auto reader = open_log(path("a.log"));
  ASSERT_TRUE(reader.has_value());
  expect_records(**reader, written);
  expect_end(**reader);
}

TEST_F(LogFiles, WithoutCloseNothingIsLeft) {
  {
    auto log = FileLog::create(path("a.log"), sample_header());
    ASSERT_TRUE(log.has_value());
    write_samples(**log, 100);
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(LogFiles, EveryTruncationIsNamed) {
  auto log = FileLog::create(path("a.log"), sample_header());
  ASSERT_TRUE(log.has_value());
  write_samples(**log, 12);
  ASSERT_TRUE((*log)->close().has_value());
  const std::string whole = contents(path("a.log"));
  EXPECT_EQ(problem_of(path("a.log")), "");
  for (std::size_t size = 0; size < whole.size(); size += 3) {
    replace(path("b.log"), whole.substr(0, size));
    ASSERT_NE(problem_of(path("b.log")), "") << "cut to " << size << " of " << whole.size();
  }
  replace(path("b.log"), whole.substr(0, whole.size() - 30));
  EXPECT_NE(problem_of(path("b.log")).find("a truncated file at byte "), std::string::npos)
      << problem_of(path("b.log"));
}

TEST_F(LogFiles, EveryChangedByteIsNoticed) {
  auto log = FileLog::create(path("a.log"), sample_header());
  ASSERT_TRUE(log.has_value());
  write_samples(**log, 12);
  ASSERT_TRUE((*log)->close().has_value());
  const std::string whole = contents(path("a.log"));
  for (std::size_t at = 0; at < whole.size(); at += at < 16 ? 1 : 3) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x11);
    replace(path("b.log"), changed);
    ASSERT_NE(problem_of(path("b.log")), "") << "byte " << at << " of " << whole.size();
  }
  replace(path("b.log"), whole + "x");
  EXPECT_NE(problem_of(path("b.log")), "");
}

TEST_F(LogFiles, OtherFilesAreNoLogs) {
  EXPECT_NE(problem_of(path("missing.log")), "");
  replace(path("b.log"), "");
  EXPECT_NE(problem_of(path("b.log")).find("expected an event log"), std::string::npos);
  replace(path("b.log"), "name: a scenario\n");
  EXPECT_NE(problem_of(path("b.log")).find("a file of another kind"), std::string::npos);
  replace(path("b.log"), "DFEVLOG\n\x07");
  EXPECT_NE(problem_of(path("b.log")).find("version 7"), std::string::npos);
  EXPECT_FALSE(FileLog::create(path("no/such/folder.log"), sample_header()).has_value());
}

TEST_F(LogFiles, ChecksumDoesNotDependOnThePieces) {
  const std::string bytes = "The quick brown fox jumps over the lazy dog, twice.";
  Checksum whole;
  whole.add(bytes);
  for (std::size_t size = 1; size < 20; ++size) {
    Checksum pieces;
    for (std::size_t at = 0; at < bytes.size(); at += size) pieces.add(bytes.substr(at, size));
    EXPECT_EQ(pieces.value(), whole.value()) << size;
  }
}

// ---- SQLite ------------------------------------------------------------------------------------

TEST_F(LogFiles, SqliteGivesBackWhatWasCommitted) {
  auto log = SqliteLog::create(path("j.db"), sample_header());
  ASSERT_TRUE(log.has_value()) << log.error()[0].text();
  const auto written = write_samples(**log, 200);
  {
    auto early = open_log(path("j.db"));
    ASSERT_TRUE(early.has_value()) << early.error()[0].text();
    expect_end(**early);  // nothing was committed yet
  }
  EXPECT_TRUE((*log)->dirty());
  (*log)->commit();
  EXPECT_FALSE((*log)->dirty());
  auto reader = open_log(path("j.db"));  // the writer is still there
  ASSERT_TRUE(reader.has_value());
  expect_same((*reader)->header(), sample_header());
  Event tick;
  (*log)->record(TimePoint{9'000'000'000}, tick, 1);
  (*log)->commit();  // after the reader's snapshot
  expect_records(**reader, written);
  expect_end(**reader);
}

TEST_F(LogFiles, SqliteGoesOnAfterARestart) {
  std::vector<Written> first, second;
  {
    auto log = SqliteLog::create(path("j.db"), sample_header());
    ASSERT_TRUE(log.has_value());
    first = write_samples(**log, 50);
    (*log)->commit();
  }
  EXPECT_FALSE(SqliteLog::create(path("j.db"), sample_header()).has_value());
  {
    auto log = SqliteLog::append_to(path("j.db"));
    ASSERT_TRUE(log.has_value()) << log.error()[0].text();
    expect_same((*log)->header(), sample_header());
    EXPECT_EQ((*log)->records(), 50U);
    second = write_samples(**log, 30, 2);
    (*log)->commit();
  }
  auto reader = open_log(path("j.db"));
  ASSERT_TRUE(reader.has_value());
  expect_records(**reader, first);
  expect_records(**reader, second);
  expect_end(**reader);
}

TEST_F(LogFiles, SqliteSurvivesAKilledWriter) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto log = SqliteLog::create(path("j.db"), sample_header());
    if (!log) ::_exit(1);
    write_samples(**log, 100);
    (*log)->commit();
    Event tick;
    for (int i = 0; i < 50; ++i) (*log)->record(TimePoint{5'000'000'000}, tick, 3);
    const char done = 'x';
    if (::write(pipe_ends[1], &done, 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char done = 0;
  ASSERT_EQ(::read(pipe_ends[0], &done, 1), 1);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  {
    auto reader = open_log(path("j.db"));
    ASSERT_TRUE(reader.has_value()) << reader.error()[0].text();
    auto scratch = FileLog::create(path("scratch.log"), sample_header());
    expect_records(**reader, write_samples(**scratch, 100));
    expect_end(**reader);  // what was not committed is gone
  }
  auto log = SqliteLog::append_to(path("j.db"));
  ASSERT_TRUE(log.has_value()) << log.error()[0].text();
  EXPECT_EQ((*log)->records(), 100U);
  (*log)->record(TimePoint{6'000'000'000}, restarted(2), 1);
  (*log)->commit();
  EXPECT_EQ(problem_of(path("j.db")), "");
}

TEST_F(LogFiles, UncommittedRecordsAreRolledBack) {
  {
    auto log = SqliteLog::create(path("j.db"), sample_header());
    ASSERT_TRUE(log.has_value());
    write_samples(**log, 10);
  }
  auto reader = open_log(path("j.db"));
  ASSERT_TRUE(reader.has_value());
  expect_end(**reader);
}

TEST_F(LogFiles, DamagedDatabasesAreNamed) {
  {
    auto log = SqliteLog::create(path("j.db"), sample_header());
    ASSERT_TRUE(log.has_value());
    write_samples(**log, 300);
    (*log)->commit();
  }
  const std::string whole = contents(path("j.db"));
  ASSERT_GT(whole.size(), 8192U);
  replace(path("b.db"), whole.substr(0, 4096));
  EXPECT_NE(problem_of(path("b.db")), "");
  std::string changed = whole;
  changed.replace(68, 4, "abcd");  // the application id
  replace(path("b.db"), changed);
  EXPECT_NE(problem_of(path("b.db")).find("another SQLite database"), std::string::npos)
      << problem_of(path("b.db"));
  EXPECT_FALSE(SqliteLog::append_to(path("b.db")).has_value());
  EXPECT_FALSE(SqliteLog::append_to(path("missing.db")).has_value());
  EXPECT_FALSE(fs::exists(path("missing.db")));
}

}  // namespace
}  // namespace disagfusion::scheduler::log
