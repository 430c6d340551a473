#include "scheduler/run_queue.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace disagfusion::scheduler {
namespace {

constexpr WeightsId kDit{0}, kDecoder{1};

RequestKey request(std::uint32_t n) { return {n, n + 1}; }
CommandKey command(std::uint32_t n) { return {(std::uint64_t{1} << 40U) | n, n}; }
HandleKey handle(std::uint32_t n) { return {n, n + 1}; }

/// Builds actions the way the scheduler does.
struct Script {
  RunQueue queue;
  ActionBuffer buffer;

  explicit Script(std::uint32_t output_slots = kUnlimited) {
    const std::vector<WeightsId> stages{kDit, kDecoder};
    queue.host(stages, output_slots);
  }
  /// A batch of requests, each with `inputs` transfers on their way: handles 10 r, 10 r + 1, ...
  Action& action(ActionKind kind, const std::vector<std::uint32_t>& requests,
                 std::uint32_t inputs) {
    buffer.clear();
    Action a;
    a.kind = kind;
    a.members = static_cast<std::uint32_t>(requests.size());
    for (const std::uint32_t r : requests) {
      BatchMember member;
      member.request = request(r);
      member.output = handle(1000 + r);
      member.first_input = static_cast<std::uint32_t>(buffer.inputs.size());
      member.inputs = inputs + 1;
      buffer.inputs.push_back({handle(9000 + r), false});  // one that lies there already
      for (std::uint32_t i = 0; i < inputs; ++i)
        buffer.inputs.push_back({handle(10 * r + i), true});
      buffer.members.push_back(member);
    }
    buffer.actions.push_back(a);
    return buffer.actions.back();
  }
  bool enqueue(std::uint32_t id, WeightsId stage, const std::vector<std::uint32_t>& requests,
               std::uint32_t inputs = 0, std::int64_t order = 100, std::uint32_t transfers = 1) {
    Action& a = action(ActionKind::enqueue, requests, inputs);
    a.command = command(id);
    a.weights = stage;
    a.order = order;
    a.output_transfers = transfers;
    return queue.enqueue(a, buffer);
  }
  bool extend(std::uint32_t target, const std::vector<std::uint32_t>& requests,
              std::uint32_t inputs, std::uint32_t transfers = 1) {
    Action& a = action(ActionKind::extend, requests, inputs);
    a.target = command(target);
    a.output_transfers = transfers;
    return queue.extend(a, buffer);
  }
  /// The command of what would start, 0 for nothing.
  std::uint32_t next() const {
    const auto* entry = queue.next_to_start();
    return entry == nullptr ? 0 : entry->command.slot;
  }
};

TEST(RunQueue, StartsByStageThenByOrderThenAsTheyCome) {
  Script s;
  ASSERT_TRUE(s.enqueue(1, kDecoder, {1}, 0, 3));
  ASSERT_TRUE(s.enqueue(2, kDit, {2}, 0, 7));
  ASSERT_TRUE(s.enqueue(3, kDit, {3}, 0, 7));
  ASSERT_TRUE(s.enqueue(4, kDit, {4}, 0, 5));
  ASSERT_TRUE(s.enqueue(5, kDecoder, {5}, 0, 2));
  EXPECT_EQ(s.next(), 4U);
  s.queue.start();
  EXPECT_EQ(s.next(), 0U);  // one at a time
  EXPECT_EQ(s.queue.running()->command, command(4));
  s.queue.finish();
  for (const std::uint32_t expected : {2U, 3U, 5U, 1U}) {
    EXPECT_EQ(s.next(), expected);
    s.queue.start();
    s.queue.finish();
  }
}

TEST(RunQueue, AnOrderStaysRightThoughTheQueueMovedOnWhileTheEnqueueTravelled) {
  Script s;
  ASSERT_TRUE(s.enqueue(1, kDit, {1}, 0, 1));
  ASSERT_TRUE(s.enqueue(2, kDit, {2}, 0, 3));
  s.queue.start();
  ASSERT_TRUE(s.enqueue(3, kDit, {3}, 0, 2));  // by one who still counts the first as waiting
  s.queue.finish();
  EXPECT_EQ(s.next(), 3U);
}

TEST(RunQueue, RefusesWhatItDoesNotHost) {
  Script s;
  EXPECT_FALSE(s.enqueue(1, WeightsId{7}, {1}));
  s.queue.unhost();
  EXPECT_FALSE(s.enqueue(2, kDit, {1}));
}

TEST(RunQueue, AnEntryWaitsForAllItsInputsAndLetsOthersPass) {
  Script s;
  ASSERT_TRUE(s.enqueue(1, kDit, {1}, 2));
  EXPECT_EQ(s.next(), 0U);
  ASSERT_TRUE(s.enqueue(2, kDit, {2}));
  EXPECT_EQ(s.next(), 2U);
  s.queue.input_arrived(command(1), handle(10));
  EXPECT_EQ(s.next(), 2U);
  s.queue.input_arrived(command(1), handle(10));  // the same again changes nothing
  EXPECT_EQ(s.next(), 2U);
  s.queue.input_arrived(command(1), handle(11));
  EXPECT_EQ(s.next(), 1U);
}

TEST(RunQueue, ExtendBringsMembersAndInputsUntilTheStart) {
  Script s;
  ASSERT_TRUE(s.enqueue(1, kDit, {1}));
  EXPECT_TRUE(s.extend(1, {2}, 1));
  EXPECT_EQ(s.next(), 0U);
  s.queue.input_arrived(command(1), handle(20));
  EXPECT_EQ(s.next(), 1U);
  EXPECT_EQ(s.queue.start().members.size(), 2U);
  EXPECT_FALSE(s.extend(1, {3}, 0));
  s.queue.finish();
  EXPECT_FALSE(s.extend(1, {3}, 0));
}

TEST(RunQueue, RevokingAMemberForgetsWhatItAwaits) {
  Script s;
  ASSERT_TRUE(s.enqueue(1, kDit, {1, 2}, 1));
  s.queue.input_arrived(command(1), handle(10));
  EXPECT_EQ(s.next(), 0U);
  EXPECT_EQ(s.queue.revoke(command(1), request(2)), RunQueue::Revoked::member);
  EXPECT_EQ(s.next(), 1U);
  s.queue.input_arrived(command(1), handle(20));  // arrives all the same
  EXPECT_EQ(s.queue.revoke(command(1), request(2)), RunQueue::Revoked::too_late);
  EXPECT_EQ(s.queue.revoke(command(1), request(1)), RunQueue::Revoked::all);
  EXPECT_EQ(s.queue.waiting(), 0U);
  EXPECT_EQ(s.queue.revoke(command(1), {}), RunQueue::Revoked::too_late);
}

TEST(RunQueue, RevokingARunningBatchIsTooLate) {
  Script s;
  ASSERT_TRUE(s.enqueue(1, kDit, {1}));
  s.queue.start();
  EXPECT_EQ(s.queue.revoke(command(1), {}), RunQueue::Revoked::too_late);
}

TEST(RunQueue, SyncBlocksTheStageUntilItsOutputIsSent) {
  Script s(0);
  ASSERT_TRUE(s.enqueue(1, kDit, {1}));
  ASSERT_TRUE(s.enqueue(2, kDit, {2}));
  ASSERT_TRUE(s.enqueue(3, kDecoder, {3}));
  s.queue.start();
  s.queue.finish();
  EXPECT_TRUE(s.queue.blocked(kDit));
  EXPECT_EQ(s.next(), 3U);  // the stage beside it goes on
  s.queue.start();
  s.queue.output_transfer_ended(command(1));
  EXPECT_FALSE(s.queue.blocked(kDit));
  s.queue.finish();
  EXPECT_TRUE(s.queue.blocked(kDecoder));
  EXPECT_EQ(s.next(), 2U);
}

TEST(RunQueue, WithTwoSlotsTheThirdOutstandingOutputBlocks) {
  Script s(2);
  for (std::uint32_t i = 1; i <= 4; ++i) ASSERT_TRUE(s.enqueue(i, kDit, {i}));
  for (int i = 0; i < 3; ++i) {
    ASSERT_NE(s.next(), 0U) << i;
    s.queue.start();
    s.queue.finish();
  }
  EXPECT_TRUE(s.queue.blocked(kDit));
  EXPECT_EQ(s.next(), 0U);
  s.queue.output_transfer_ended(command(2));
  EXPECT_EQ(s.next(), 4U);
}

TEST(RunQueue, ASlotIsFreeAfterAllTransfersOfItsBatch) {
  Script s(0);
  ASSERT_TRUE(s.enqueue(1, kDit, {1, 2}, 0, 0, 2));
  ASSERT_TRUE(s.extend(1, {3}, 0));
  s.queue.start();
  s.queue.finish();
  s.queue.output_transfer_ended(command(1));
  s.queue.output_transfer_ended(command(1));
  EXPECT_TRUE(s.queue.blocked(kDit));
  s.queue.output_transfer_ended(command(1));
  EXPECT_FALSE(s.queue.blocked(kDit));
}

TEST(RunQueue, ToldSlotsAreFreedByTheControllersWordOnly) {
  Script s(0);
  ASSERT_TRUE(s.enqueue(1, kDit, {1}, 0, 0, kTold));
  s.queue.start();
  s.queue.finish();
  s.queue.output_transfer_ended(command(1));
  EXPECT_TRUE(s.queue.blocked(kDit));
  s.queue.output_sent(command(1));
  EXPECT_FALSE(s.queue.blocked(kDit));
  s.queue.output_sent(command(1));  // idempotent
}

TEST(RunQueue, OutputsThatNobodyReadsHoldNoSlot) {
  Script s(0);
  ASSERT_TRUE(s.enqueue(1, kDit, {1}, 0, 0, 0));
  s.queue.start();
  s.queue.finish();
  EXPECT_FALSE(s.queue.blocked(kDit));
}

TEST(RunQueue, APreemptedBatchHoldsNoSlot) {
  Script s(0);
  ASSERT_TRUE(s.enqueue(1, kDit, {1}));
  s.queue.start();
  s.queue.abandon();
  EXPECT_FALSE(s.queue.blocked(kDit));
  EXPECT_EQ(s.queue.running(), nullptr);
}

TEST(RunQueue, IsDrainedOnceItComputesNothingAndHoldsNoEntry) {
  Script s;
  ASSERT_TRUE(s.enqueue(1, kDit, {1}));
  ASSERT_TRUE(s.enqueue(2, kDit, {2}, 1));
  s.queue.start();
  s.queue.set_draining(true);
  EXPECT_FALSE(s.queue.drained());
  EXPECT_EQ(s.queue.revoke(command(2), {}), RunQueue::Revoked::all);
  EXPECT_FALSE(s.queue.drained());
  s.queue.finish();
  EXPECT_TRUE(s.queue.drained());
  s.queue.set_draining(false);
  EXPECT_FALSE(s.queue.drained());
}

}  // namespace
}  // namespace disagfusion::scheduler
