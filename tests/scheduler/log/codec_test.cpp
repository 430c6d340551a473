// The record encoding: everything comes back, its bytes never change, nothing crashes it.
#include "scheduler/log/codec.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/decision_hash.hpp"
#include "tests/scheduler/log/sample_events.hpp"

namespace disagfusion::scheduler::log {
namespace {

class Recorder {
 public:
  Recorder() {
    Event start;
    start.kind = EventKind::controller_restarted;
    start.steps_done = 1;
    add(TimePoint{}, start, kNoActionsHash);
  }
  void add(TimePoint now, const Event& event, std::uint64_t hash) {
    std::string bytes(Encoder::bound(event), '\0');
    const char* end = encoder_.append(now, event, hash, bytes.data());
    bytes.resize(static_cast<std::size_t>(end - bytes.data()));
    records_.push_back(bytes);
  }
  [[nodiscard]] const std::vector<std::string>& records() const { return records_; }

 private:
  Encoder encoder_;
  std::vector<std::string> records_;
};

RC_GTEST_PROP(Codec, EveryEventComesBack, ()) {
  const Draw draw = [](std::uint64_t most) {
    const std::uint64_t value = *rc::gen::arbitrary<std::uint64_t>();
    return most == ~std::uint64_t{0} ? value : value % (most + 1);
  };
  Recorder recorder;
  std::vector<std::unique_ptr<SampleEvent>> events;
  std::vector<std::pair<TimePoint, std::uint64_t>> rest;
  const auto count = *rc::gen::inRange(1, 8);
  for (int i = 0; i < count; ++i) {
    const auto kind = static_cast<EventKind>(*rc::gen::inRange(0, kEventKinds));
    events.push_back(sample_event(kind, draw));
    const TimePoint now{*rc::gen::arbitrary<std::int64_t>()};
    rest.emplace_back(now, *rc::gen::arbitrary<std::uint64_t>());
    recorder.add(now, events.back()->event, rest.back().second);
  }
  Decoder decoder;
  Record record;
  RC_ASSERT(decoder.decode(recorder.records()[0], record) == nullptr);
  for (std::size_t i = 0; i < events.size(); ++i) {
    RC_ASSERT(decoder.decode(recorder.records()[i + 1], record) == nullptr);
    RC_ASSERT(same(record.event, events[i]->event));
    RC_ASSERT(record.now == rest[i].first);
    RC_ASSERT(record.actions_hash == rest[i].second);
  }
}

TEST(Codec, NoRecordSurvivesTruncation) {
  for (int kind = 0; kind < kEventKinds; ++kind) {
    Recorder recorder;
    const auto sample = sample_event(static_cast<EventKind>(kind), draws_from(7));
    recorder.add(TimePoint{5}, sample->event, 1);
    const std::string& whole = recorder.records()[1];
    for (std::size_t size = 0; size < whole.size(); ++size) {
      Decoder decoder;
      Record record;
      ASSERT_EQ(decoder.decode(recorder.records()[0], record), nullptr);
      EXPECT_NE(decoder.decode(whole.substr(0, size), record), nullptr)
          << name_of(sample->event.kind) << " cut to " << size << " of " << whole.size();
    }
    Decoder decoder;
    Record record;
    ASSERT_EQ(decoder.decode(recorder.records()[0], record), nullptr);
    EXPECT_STREQ(decoder.decode(whole + '\0', record), "bytes are left over");
  }
}

TEST(Codec, ArbitraryBytesAreRefusedOrRead) {
  const Draw draw = draws_from(11);
  std::size_t read = 0;
  for (int round = 0; round < 40'000; ++round) {
    Recorder recorder;
    std::string bytes;
    if (round % 2 == 0) {
      bytes.resize(draw(60));
      for (char& c : bytes) c = static_cast<char>(draw(255));
    } else {  // a good record with a few bytes changed
      const auto kind = static_cast<EventKind>(draw(kEventKinds - 1));
      recorder.add(TimePoint{9}, sample_event(kind, draw)->event, draw(~std::uint64_t{0}));
      bytes = recorder.records()[1];
      for (std::uint64_t i = 0; i <= draw(3); ++i) {
        bytes[draw(bytes.size() - 1)] = static_cast<char>(draw(255));
      }
    }
    Decoder decoder;
    Record record;
    ASSERT_EQ(decoder.decode(recorder.records()[0], record), nullptr);
    if (decoder.decode(bytes, record) == nullptr) ++read;
  }
  EXPECT_GT(read, 0U);
}

TEST(Codec, FirstRecordIsControllerRestarted) {
  Decoder decoder;
  Record record;
  EXPECT_STREQ(decoder.decode(std::string("\x1e\x00\x00", 3), record),
               "the first event is not controller_restarted");
  Encoder encoder;
  Event tick;
  char bytes[1000];
  EXPECT_DEATH(encoder.append(TimePoint{}, tick, 0, bytes), "first record of a log is tick");
}

// A record after controller_restarted does not depend on what came before that.
TEST(Codec, RestartStartsAfresh) {
  Recorder one;
  const auto sample = sample_event(EventKind::batch_finished, draws_from(3));
  one.add(TimePoint{1000}, sample->event, 5);
  Event restart;
  restart.kind = EventKind::controller_restarted;
  restart.steps_done = 2;
  one.add(TimePoint{2000}, restart, kNoActionsHash);
  one.add(TimePoint{2001}, sample->event, 5);

  Encoder fresh;
  std::string bytes(Encoder::bound(restart), '\0');
  bytes.resize(static_cast<std::size_t>(
      fresh.append(TimePoint{2000}, restart, kNoActionsHash, bytes.data()) - bytes.data()));
  EXPECT_EQ(bytes, one.records()[2]);
  std::string next(Encoder::bound(sample->event), '\0');
  next.resize(static_cast<std::size_t>(
      fresh.append(TimePoint{2001}, sample->event, 5, next.data()) - next.data()));
  EXPECT_EQ(next, one.records()[3]);
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// What a log of version 1 looks like for ever. A change here is a new version.
TEST(Codec, BytesOfEveryKindArePinned) {
  std::ifstream pinned(DISAGFUSION_SOURCE_DIR "/tests/scheduler/log/pinned_records.txt");
  ASSERT_TRUE(pinned.is_open());
  for (int kind = 0; kind < kEventKinds; ++kind) {
    Recorder recorder;
    const auto sample =
        sample_event(static_cast<EventKind>(kind), draws_from(static_cast<std::uint64_t>(kind)));
    recorder.add(TimePoint{1'234'567'890}, sample->event, 0x0123456789abcdefU);
    std::string line;
    std::getline(pinned, line);
    EXPECT_EQ(fmt::format("{} {}", name_of(sample->event.kind), hex(recorder.records()[1])), line);
  }
}

TEST(Codec, OrdinaryEventsAreShort) {
  Recorder recorder;
  Event finished;
  finished.kind = EventKind::batch_finished;
  finished.instance = {InstanceId{3}, 1};
  finished.compute = Duration{74'40'000'000};
  std::size_t bytes = 0;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    finished.command = {(std::uint64_t{1} << 40U) + 8 * i, 5};
    const MemberOutcome member{{7, static_cast<std::uint32_t>(100 + i)},
                               MemberOutcome::Kind::output,
                               Reason::none,
                               {9, static_cast<std::uint32_t>(300 + 3 * i)},
                               4'40'000};
    finished.members = {&member, 1};
    recorder.add(TimePoint{static_cast<std::int64_t>(i) * 80'000'000}, finished, i);
    bytes += recorder.records().back().size();
  }
  EXPECT_LE(bytes / 100, 36U);
}

}  // namespace
}  // namespace disagfusion::scheduler::log
