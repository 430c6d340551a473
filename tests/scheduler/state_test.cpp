// The scheduler's own containers against plain ones, under random changes (RapidCheck).
#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "base/append.hpp"
#include "scheduler/state/ordered_queue.hpp"
#include "scheduler/state/slot_table.hpp"
#include "scheduler/state/timer_heap.hpp"

namespace disagfusion::scheduler {
namespace {

QueueEntry entry(std::int64_t key, std::uint64_t number) {
  return {key, number, static_cast<std::uint32_t>(number), NodeId{0}};
}

RC_GTEST_PROP(OrderedQueue, AgreesWithASet, ()) {
  OrderedQueue queue;
  std::set<std::pair<std::int64_t, std::uint64_t>> plain;
  std::uint64_t number = 0;
  const int steps = *rc::gen::inRange(1, 3000);
  const int spread = *rc::gen::inRange(1, 500);
  for (int i = 0; i < steps; ++i) {
    const int what = *rc::gen::inRange(0, 10);
    if (what < 6 || plain.empty()) {
      const std::int64_t key = *rc::gen::inRange(0, spread);
      queue.insert(entry(key, ++number));
      plain.insert({key, number});
    } else if (what < 8) {
      RC_ASSERT(queue.front().key == plain.begin()->first);
      RC_ASSERT(queue.front().number == plain.begin()->second);
      queue.pop_front();
      plain.erase(plain.begin());
    } else {
      auto any = plain.lower_bound({*rc::gen::inRange(0, spread), 0});
      if (any == plain.end()) any = plain.begin();
      RC_ASSERT(queue.erase(entry(any->first, any->second)));
      RC_ASSERT(!queue.erase(entry(any->first, any->second)));
      plain.erase(any);
    }
    RC_ASSERT(queue.size() == plain.size());
  }
  auto expected = plain.begin();
  queue.for_each([&](const QueueEntry& e) {
    RC_ASSERT(e.key == expected->first && e.number == expected->second);
    ++expected;
    return true;
  });
  RC_ASSERT(expected == plain.end());
}

RC_GTEST_PROP(SlotTable, GivesTheSlotThatWasReleasedLast, ()) {
  SlotTable<int> table;
  std::vector<std::uint32_t> given, released;
  const int steps = *rc::gen::inRange(1, 500);
  for (int i = 0; i < steps; ++i) {
    if (given.empty() || *rc::gen::inRange(0, 10) < 6) {
      const std::uint32_t expected = released.empty() ? table.size() : released.back();
      if (!released.empty()) released.pop_back();
      RC_ASSERT(!table.live(expected));
      RC_ASSERT(table.allocate() == expected);
      given.push_back(expected);
    } else {
      const auto any = given.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(given));
      table.release(*any);
      released.push_back(*any);
      given.erase(any);
    }
    RC_ASSERT(table.live_count() == given.size());
    for (const std::uint32_t slot : given) RC_ASSERT(table.live(slot));
    for (const std::uint32_t slot : released) RC_ASSERT(!table.live(slot));
  }
}

TEST(Append, IsPushBack) {
  std::vector<int> values, expected;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(append(values, i), i);
    expected.push_back(i);
  }
  EXPECT_EQ(values, expected);
}

RC_GTEST_PROP(TimerHeap, AgreesWithAMap, ()) {
  TimerHeap heap;
  std::map<std::uint32_t, std::int64_t> plain;  // by id
  const int steps = *rc::gen::inRange(1, 500);
  for (int i = 0; i < steps; ++i) {
    const auto id = static_cast<std::uint32_t>(*rc::gen::inRange(0, 40));
    const int what = *rc::gen::inRange(0, 10);
    if (what < 6) {
      const std::int64_t at = *rc::gen::inRange(0, 100);
      heap.set(id, TimePoint{at});
      plain[id] = at;
    } else if (what < 8) {
      heap.cancel(id);
      plain.erase(id);
    } else if (!plain.empty()) {
      std::tuple<std::int64_t, std::uint32_t> first{plain.begin()->second, plain.begin()->first};
      for (const auto& [other, at] : plain) first = std::min(first, {at, other});
      RC_ASSERT(heap.next() == TimePoint{std::get<0>(first)});
      RC_ASSERT(heap.pop() == std::get<1>(first));
      plain.erase(std::get<1>(first));
    }
    RC_ASSERT(heap.empty() == plain.empty());
  }
}

}  // namespace
}  // namespace disagfusion::scheduler
