#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/random.hpp"
#include "sim/network/max_min.hpp"
#include "sim/network/network.hpp"

namespace disagfusion::sim {
namespace {

constexpr double kGbit = 1.25e8;  // bytes/s

/// Deliveries by transfer until nothing is under way.
std::map<Network::TransferId, double> deliver_all(Network& network) {
  std::map<Network::TransferId, double> at;
  while (network.next().time != TimePoint::never()) {
    const double now = network.next().time.seconds();
    if (const auto id = network.advance()) at[*id] = now;
  }
  return at;
}

TEST(Network, AloneTakesLatencyPlusBytesOverBandwidth) {
  std::uint64_t sequence = 0;
  Network network(sequence);
  const auto out = network.add_resource(10 * kGbit), in = network.add_resource(10 * kGbit);
  const auto id = network.start(TimePoint{0}, out, in, 4.2e6, from_seconds(0.024));
  EXPECT_NEAR(deliver_all(network)[id], 0.024 + 4.2e6 / 1.25e9, 1e-8);
}

TEST(Network, WithoutBandwidthOnlyLatencyCounts) {
  std::uint64_t sequence = 0;
  Network network(sequence);
  const auto id =
      network.start(TimePoint{0}, kNoResource, network.add_resource(0), 1e12, from_seconds(0.5));
  EXPECT_NEAR(deliver_all(network)[id], 0.5, 1e-12);
}

TEST(Network, OverlappingTransfersShareTheLinkButNotTheLatency) {
  std::uint64_t sequence = 0;
  Network network(sequence);
  const auto out = network.add_resource(100), a = network.add_resource(100),
             b = network.add_resource(100);
  // Both leave by one link of 100 bytes/s: 100 and 200 bytes. Alone they took 1 s and 2 s.
  const auto first = network.start(TimePoint{0}, out, a, 100, from_seconds(0.25));
  const auto second = network.start(TimePoint{0}, out, b, 200, from_seconds(0.25));
  EXPECT_DOUBLE_EQ(network.rate(first, TimePoint{} + from_seconds(0.5)), 50);
  EXPECT_DOUBLE_EQ(network.rate(second, TimePoint{} + from_seconds(0.5)), 50);
  const auto at = deliver_all(network);
  EXPECT_NEAR(at.at(first), 2.25, 1e-8);
  EXPECT_NEAR(at.at(second), 3.25, 1e-8);  // 50 bytes/s for 2 s, then 100 bytes in 1 s
}

TEST(Network, ATransferThatStartsLaterSlowsTheOneUnderWay) {
  std::uint64_t sequence = 0;
  Network network(sequence);
  const auto out = network.add_resource(100), a = network.add_resource(0);
  const auto first = network.start(TimePoint{0}, out, a, 100, {});
  const auto second = network.start(TimePoint{} + from_seconds(0.5), out, a, 25, {});
  const auto at = deliver_all(network);
  EXPECT_NEAR(at.at(second), 1.0, 1e-8);  // 25 bytes at 50 bytes/s
  EXPECT_NEAR(at.at(first), 1.25, 1e-8);  // 50, then 25 in 0.5 s, then 25 in 0.25 s
}

TEST(Network, ALinkIsFreeOnceTheLastByteHasGoneThoughItHasNotLanded) {
  std::uint64_t sequence = 0;
  Network network(sequence);
  const auto out = network.add_resource(100), a = network.add_resource(100);
  const auto first = network.start(TimePoint{0}, out, a, 100, from_seconds(10));
  const auto second = network.start(TimePoint{} + from_seconds(1), out, a, 100, from_seconds(10));
  const auto at = deliver_all(network);
  EXPECT_NEAR(at.at(first), 11, 1e-8);
  EXPECT_NEAR(at.at(second), 12, 1e-8);
}

TEST(Network, CancellingGivesTheBandwidthBack) {
  std::uint64_t sequence = 0;
  Network network(sequence);
  const auto out = network.add_resource(100);
  const auto first = network.start(TimePoint{0}, out, kNoResource, 100, {});
  const auto second = network.start(TimePoint{0}, out, kNoResource, 100, {});
  network.cancel(TimePoint{} + from_seconds(1), second);
  const auto at = deliver_all(network);
  EXPECT_EQ(at.size(), 1U);
  EXPECT_NEAR(at.at(first), 1.5, 1e-8);
  EXPECT_EQ(network.active(), 0U);
}

TEST(Network, CancellingInTheLaneKeepsTheOthers) {
  std::uint64_t sequence = 0;
  Network network(sequence);
  const auto a = network.start(TimePoint{0}, kNoResource, kNoResource, 0, from_seconds(1));
  const auto b = network.start(TimePoint{0}, kNoResource, kNoResource, 0, from_seconds(1));
  const auto c = network.start(TimePoint{0}, kNoResource, kNoResource, 0, from_seconds(2));
  network.cancel(TimePoint{0}, a);
  network.cancel(TimePoint{0}, c);
  const auto at = deliver_all(network);
  EXPECT_EQ(at.size(), 1U);
  EXPECT_NEAR(at.at(b), 1, 1e-12);
  EXPECT_EQ(network.active(), 0U);
}

/// Progressive filling, literally: all rates rise together in small equal steps; a flow stops where
/// one of its links is full. Independent of the solver, exact to the step.
std::vector<double> fill_slowly(const std::vector<MaxMin::Flow>& flows,
                                const std::vector<double>& capacity, double step) {
  std::vector<double> rate(flows.size(), 0), used(capacity.size(), 0);
  std::vector<bool> stopped(flows.size(), false);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (stopped[f]) continue;
      bool room = true;
      for (const std::uint32_t r : {flows[f].first, flows[f].second}) {
        if (r != kNoResource && used[r] + step > capacity[r]) room = false;
      }
      if (!room) {
        stopped[f] = true;
        continue;
      }
      rate[f] += step;
      for (const std::uint32_t r : {flows[f].first, flows[f].second}) {
        if (r != kNoResource) used[r] += step;
      }
      moved = true;
    }
  }
  return rate;
}

TEST(MaxMin, AgreesWithBruteForceProgressiveFilling) {
  MaxMin solver;
  for (std::uint64_t trial = 0; trial < 200; ++trial) {
    RandomStream random(3, Purpose::test, trial);
    const auto resources = 2 + static_cast<std::uint32_t>(random.uniform() * 8);
    std::vector<double> capacity;
    for (std::uint32_t r = 0; r < resources; ++r) {
      capacity.push_back(std::floor(random.uniform() * 100) + 1);
    }
    std::vector<MaxMin::Flow> flows(1 + static_cast<std::size_t>(random.uniform() * 12));
    for (MaxMin::Flow& flow : flows) {
      flow.first = static_cast<std::uint32_t>(random.uniform() * resources);
      flow.second = static_cast<std::uint32_t>(random.uniform() * resources);
      if (flow.second == flow.first) flow.second = kNoResource;
    }
    constexpr double kStep = 1e-3;
    const std::vector<double> expected = fill_slowly(flows, capacity, kStep);
    solver.solve(flows, capacity);
    for (std::size_t f = 0; f < flows.size(); ++f) {
      ASSERT_NEAR(flows[f].rate, expected[f], kStep * 20) << "trial " << trial << " flow " << f;
    }
  }
}

TEST(MaxMin, InfiniteResourcesDoNotLimit) {
  MaxMin solver;
  std::vector<MaxMin::Flow> flows{{0, 1, 0}, {0, kNoResource, 0}};
  solver.solve(flows, {0, 10});
  EXPECT_DOUBLE_EQ(flows[0].rate, 10);
  EXPECT_TRUE(std::isinf(flows[1].rate));
}

/// Whatever overlaps, all arrives, none faster than its links, and no link carries more than it
/// can.
TEST(Network, RandomTrafficNeverExceedsCapacityAndAllArrives) {
  for (std::uint64_t trial = 0; trial < 30; ++trial) {
    std::uint64_t sequence = 0;
    Network network(sequence);
    std::vector<double> capacity;
    for (int r = 0; r < 6; ++r) {
      capacity.push_back(50.0 * (1 + r % 3));
      network.add_resource(capacity.back());
    }
    RandomStream random(4, Purpose::test, trial);
    struct Open {
      std::uint32_t egress, ingress;
      double bytes;
      TimePoint start;
    };
    std::map<Network::TransferId, Open> open;
    TimePoint now;
    int started = 0, delivered = 0;
    while (started < 200 || network.active() > 0) {
      const TimePoint arrival = now + from_seconds(random.exponential(0.3));
      while (network.next().time <=
             (started < 200 ? arrival : TimePoint{TimePoint::never().ns - 1})) {
        const TimePoint at = network.next().time;
        ASSERT_GE(at.ns, now.ns);
        now = at;
        if (const auto id = network.advance()) {
          const Open& was = open.at(*id);
          const double fastest = std::min(capacity[was.egress], capacity[was.ingress]);
          ASSERT_GE((now - was.start).seconds(), was.bytes / fastest - 1e-6);
          open.erase(*id);
          ++delivered;
        }
        std::vector<double> used(capacity.size(), 0);
        for (const auto& [id, transfer] : open) {
          used[transfer.egress] += network.rate(id, now);
          used[transfer.ingress] += network.rate(id, now);
        }
        for (std::size_t r = 0; r < used.size(); ++r) ASSERT_LE(used[r], capacity[r] * (1 + 1e-9));
      }
      if (started < 200) {
        now = arrival;
        const auto egress = static_cast<std::uint32_t>(random.uniform() * 3);
        const auto ingress = 3 + static_cast<std::uint32_t>(random.uniform() * 3);
        const double bytes = random.exponential(60);
        open[network.start(now, egress, ingress, bytes, from_seconds(0.1))] = {egress, ingress,
                                                                               bytes, now};
        ++started;
      }
    }
    EXPECT_EQ(delivered, 200);
    EXPECT_TRUE(open.empty());
  }
}

}  // namespace
}  // namespace disagfusion::sim
