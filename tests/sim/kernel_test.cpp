#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/random.hpp"
#include "sim/kernel/indexed_heap.hpp"
#include "sim/kernel/ring.hpp"
#include "sim/kernel/winner_tree.hpp"

namespace disagfusion::sim {
namespace {

TEST(WinnerTree, HasNoEventAtFirst) {
  for (const std::uint32_t slots : {1U, 2U, 3U, 1000U}) {
    const WinnerTree tree(slots);
    EXPECT_TRUE(tree.top() == kNoEvent) << slots;
  }
}

TEST(WinnerTree, EqualInstantsGoBySequence) {
  WinnerTree tree(4);
  tree.set(3, TimePoint{5}, 10);
  tree.set(1, TimePoint{5}, 11);
  EXPECT_EQ(slot_of(tree.top()), 3U);
  tree.clear(3);
  EXPECT_EQ(slot_of(tree.top()), 1U);
  tree.set(0, TimePoint{4}, 12);
  EXPECT_EQ(slot_of(tree.top()), 0U);
  EXPECT_EQ(time_of(tree.top()).ns, 4);
}

/// Hold model: take the earliest, put it back later; against an ordered map.
TEST(WinnerTree, AgreesWithAnOrderedMapUnderTheHoldModel) {
  for (const std::uint32_t slots : {1U, 7U, 64U, 1000U}) {
    WinnerTree tree(slots);
    std::map<std::pair<std::int64_t, std::uint64_t>, std::uint32_t> expected;
    std::uint64_t sequence = 0;
    RandomStream random(1, Purpose::test, slots);
    for (std::uint32_t i = 0; i < slots; ++i) {
      const auto at = static_cast<std::int64_t>(random.uniform() * 1000);
      tree.set(i, TimePoint{at}, sequence);
      expected[{at, sequence++}] = i;
    }
    for (int i = 0; i < 20000; ++i) {
      const auto [key, slot] = *expected.begin();
      ASSERT_EQ(slot_of(tree.top()), slot);
      ASSERT_EQ(time_of(tree.top()).ns, key.first);
      expected.erase(expected.begin());
      const auto at = key.first + static_cast<std::int64_t>(random.uniform() * 20);
      tree.set(slot, TimePoint{at}, sequence);
      expected[{at, sequence++}] = slot;
    }
  }
}

TEST(WinnerTree, GrowingKeepsEvents) {
  WinnerTree tree(3);
  tree.set(2, TimePoint{7}, 1);
  tree.set(0, TimePoint{9}, 2);
  tree.grow(100);
  EXPECT_EQ(slot_of(tree.top()), 2U);
  tree.set(99, TimePoint{1}, 3);
  EXPECT_EQ(slot_of(tree.top()), 99U);
}

TEST(IndexedHeap, AgreesWithASetUnderChangesAndRemovals) {
  IndexedHeap heap;
  using Key = std::tuple<std::int64_t, std::uint64_t, std::uint32_t>;
  std::set<Key> expected;
  std::map<std::uint32_t, Key> of_id;
  RandomStream random(2, Purpose::test, 0);
  for (std::uint64_t i = 0; i < 50000; ++i) {
    const auto id = static_cast<std::uint32_t>(random.uniform() * 200);
    const double what = random.uniform();
    if (const auto known = of_id.find(id); known != of_id.end()) {
      expected.erase(known->second);
      of_id.erase(known);
    }
    if (what < 0.3) {
      heap.erase(id);
    } else {
      const auto at = static_cast<std::int64_t>(random.uniform() * 100);
      heap.set(id, TimePoint{at}, i);
      of_id[id] = {at, i, id};
      expected.insert(of_id[id]);
    }
    ASSERT_EQ(heap.size(), expected.size());
    ASSERT_EQ(heap.contains(id), of_id.count(id) == 1);
    if (!expected.empty()) {
      ASSERT_EQ(heap.top().id, std::get<2>(*expected.begin()));
    }
  }
}

TEST(Ring, KeepsOrderWhileItGrows) {
  Ring<int> ring;
  int put = 0, got = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < round % 17; ++i) ring.push() = put++;
    for (int i = 0; i < round % 13 && !ring.empty(); ++i) {
      ASSERT_EQ(ring.front(), got++);
      ring.pop();
    }
  }
  EXPECT_EQ(ring.size(), static_cast<std::size_t>(put - got));
}

}  // namespace
}  // namespace disagfusion::sim
