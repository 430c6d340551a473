// The decision hash: its values are part of the log's format, and every meaningful field counts.
#include "scheduler/decision_hash.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

#include "tests/scheduler/script.hpp"

namespace disagfusion::scheduler {
namespace {

Action full(ActionKind kind) {
  Action x;
  x.kind = kind;
  x.state = EndState::failed;
  x.why = Why::timeout;
  x.node = NodeId{1};
  x.weights = WeightsId{2};
  x.pool = PoolId{3};
  x.machine = MachineId{4};
  x.instance = instance(5, 6);
  x.from = instance(7, 8);
  x.command = {9, 10};
  x.target = {11, 12};
  x.request = {13, 14};
  x.handle = {15, 16};
  x.first_step = 17;
  x.last_step = 18;
  x.place = 19;
  x.output_transfers = 20;
  x.bytes = 21;
  x.at = TimePoint{22};
  return x;
}

std::uint64_t hash_of_one(const Action& action) {
  ActionBuffer buffer;
  buffer.actions.push_back(action);
  return hash_of(buffer);
}

TEST(DecisionHash, ValuesArePinned) {
  static constexpr std::uint64_t kPinned[] = {
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
  };
  static_assert(std::size(kPinned) == kActionKinds);
  for (int kind = 0; kind < kActionKinds; ++kind) {
    const Action action = full(static_cast<ActionKind>(kind));
    EXPECT_EQ(hash_of_one(action), kPinned[kind])
        << name_of(action.kind) << " " << std::hex << hash_of_one(action);
  }
  EXPECT_EQ(hash_of(ActionBuffer{}), kNoActionsHash);
}

TEST(DecisionHash, StreamIsPinned) {
  std::uint64_t stream = 0;
  for (std::uint64_t number = 1; number <= 3; ++number) {
    stream = fold_decisions(stream, TimePoint{static_cast<std::int64_t>(number) * 1000}, number,
                            kNoActionsHash + number);
  }
  EXPECT_EQ(stream, 0) << std::hex << stream;
}

// Changes one field after the other: how many different hashes there are says how many count.
std::size_t fields_that_count(ActionKind kind) {
  const std::vector<std::function<void(Action&)>> changes = {
      [](Action& x) { x.state = EndState::completed; },
      [](Action& x) { x.why = Why::asked; },
      [](Action& x) { ++x.node.value; },
      [](Action& x) { ++x.weights.value; },
      [](Action& x) { ++x.pool.value; },
      [](Action& x) { ++x.machine.value; },
      [](Action& x) { ++x.instance.id.value; },
      [](Action& x) { ++x.instance.incarnation; },
      [](Action& x) { ++x.from.id.value; },
      [](Action& x) { ++x.from.incarnation; },
      [](Action& x) { ++x.command.id; },
      [](Action& x) { ++x.command.slot; },
      [](Action& x) { ++x.target.id; },
      [](Action& x) { ++x.target.slot; },
      [](Action& x) { ++x.request.slot; },
      [](Action& x) { ++x.request.generation; },
      [](Action& x) { ++x.handle.slot; },
      [](Action& x) { ++x.handle.generation; },
      [](Action& x) { ++x.first_step; },
      [](Action& x) { ++x.last_step; },
      [](Action& x) { ++x.place; },
      [](Action& x) { ++x.output_transfers; },
      [](Action& x) { ++x.bytes; },
      [](Action& x) { ++x.at.ns; },
  };
  std::set<std::uint64_t> hashes{hash_of_one(full(kind))};
  for (const auto& change : changes) {
    Action action = full(kind);
    change(action);
    hashes.insert(hash_of_one(action));
  }
  return hashes.size() - 1;
}

TEST(DecisionHash, EveryMeaningfulFieldCounts) {
  EXPECT_EQ(fields_that_count(ActionKind::admit), 2U);
  EXPECT_EQ(fields_that_count(ActionKind::reject), 4U);
  EXPECT_EQ(fields_that_count(ActionKind::end_request), 6U);
  EXPECT_EQ(fields_that_count(ActionKind::enqueue), 10U);
  EXPECT_EQ(fields_that_count(ActionKind::extend), 4U);
  EXPECT_EQ(fields_that_count(ActionKind::revoke), 6U);
  EXPECT_EQ(fields_that_count(ActionKind::preempt), 4U);
  EXPECT_EQ(fields_that_count(ActionKind::transfer), 11U);
  EXPECT_EQ(fields_that_count(ActionKind::cancel_transfer), 4U);
  EXPECT_EQ(fields_that_count(ActionKind::release), 6U);
  EXPECT_EQ(fields_that_count(ActionKind::provision), 6U);
  EXPECT_EQ(fields_that_count(ActionKind::load), 5U);
  EXPECT_EQ(fields_that_count(ActionKind::unload), 4U);
  EXPECT_EQ(fields_that_count(ActionKind::drain), 4U);
  EXPECT_EQ(fields_that_count(ActionKind::stop), 4U);
  EXPECT_EQ(fields_that_count(ActionKind::output_sent), 2U);
  EXPECT_EQ(fields_that_count(ActionKind::undrain), 2U);
  EXPECT_EQ(fields_that_count(ActionKind::arm_timer), 1U);
  EXPECT_EQ(fields_that_count(ActionKind::cancel_timer), 0U);
}

TEST(DecisionHash, MembersInputsAndOrderCount) {
  const auto batch = [](std::uint32_t first, std::uint32_t second, bool transferred) {
    return Actions()
        .enqueue(command(1), instance(2), kDit)
        .member(first, handle(1), {{handle(9), transferred}})
        .member(second, handle(2));
  };
  const std::uint64_t hash = hash_of(batch(1, 2, true).buffer());
  EXPECT_EQ(hash_of(batch(1, 2, true).buffer()), hash);
  EXPECT_NE(hash_of(batch(2, 1, true).buffer()), hash);
  EXPECT_NE(hash_of(batch(1, 2, false).buffer()), hash);
  const auto two = [](std::uint32_t first, std::uint32_t second) {
    return hash_of(Actions().admit(first).admit(second).buffer());
  };
  EXPECT_NE(two(1, 2), two(2, 1));
  EXPECT_NE(two(1, 1), hash_of(Actions().admit(1).buffer()));
}

}  // namespace
}  // namespace disagfusion::scheduler
