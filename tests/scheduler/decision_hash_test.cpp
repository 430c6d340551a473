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
  x.order = 19;
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
      0x19c20b9063917d7aU,  // admit
      0x4063e505cf3fb100U,  // reject
      0x3e071d663779eb93U,  // end_request
      0xee538f371f30d3dfU,  // enqueue
      0xd1b78a682b44fb47U,  // extend
      0x5ee37e1e16ff99c2U,  // revoke
      0xc519c100b7007719U,  // preempt
      0xe1ea2610668c6f0cU,  // transfer
      0x9a14c0c310e8f9aaU,  // cancel_transfer
      0x7b34cd11207b3fe3U,  // release
      0x27c792c90f840db2U,  // provision
      0x6ea35c7dc5057765U,  // load
      0x87215b443979648U,   // unload
      0x89eca7288fafbc04U,  // drain
      0x95e4125ef8f18c7fU,  // stop
      0x1bf17eb57bd7adebU,  // output_sent
      0x598775c8ac79bcefU,  // undrain
      0x8f6d927323300e25U,  // arm_timer
      0x88ec4b8b69636264U,  // cancel_timer
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
  EXPECT_EQ(stream, 0x73a19e590adf5ba0U) << std::hex << stream;
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
      [](Action& x) { ++x.order; },
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
