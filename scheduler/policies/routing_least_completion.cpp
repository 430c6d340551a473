// Where the request is predicted to finish first: over GPU types c,
//   completion = max(available-at of the best instance of c, now + transfer) + seconds of the stage
//   on c.
// Among instances of one type the order is (idle first, available-at, id), so the best of each type
// is the root of a tree of minima: exact, O(types) to ask, O(log n) to update. An idle instance of
// any type is preferred to a slot at a busy one.
#include <algorithm>
#include <bit>
#include <limits>

#include "base/check.hpp"
#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

/// (busy, available-at, instance) packed for comparing; absent is above all.
struct Rank {
  std::int64_t available = std::numeric_limits<std::int64_t>::max();
  std::uint32_t busy = 2;  ///< 0 idle, 1 busy, 2 does not accept
  std::uint32_t instance = 0;
  [[nodiscard]] bool same(const Rank& other) const {
    return available == other.available && busy == other.busy && instance == other.instance;
  }
  [[nodiscard]] bool before(const Rank& other) const {
    if (busy != other.busy) return busy < other.busy;
    if (available != other.available) return available < other.available;
    return instance < other.instance;
  }
};

/// A complete binary tree of minima over a fixed number of leaves.
class MinTree {
 public:
  explicit MinTree(std::size_t leaves = 0)
      : leaves_(std::bit_ceil(std::max<std::size_t>(1, leaves))), nodes_(2 * leaves_) {}
  void set(std::size_t leaf, const Rank& rank) {
    std::size_t node = leaves_ + leaf;
    if (nodes_[node].same(rank)) return;
    nodes_[node] = rank;
    while (node > 1) {
      node /= 2;
      const Rank& left = nodes_[2 * node];
      const Rank& right = nodes_[2 * node + 1];
      const Rank& best = right.before(left) ? right : left;
      if (nodes_[node].same(best)) return;
      nodes_[node] = best;
    }
  }
  [[nodiscard]] const Rank& best() const { return nodes_[1]; }

 private:
  std::size_t leaves_;
  std::vector<Rank> nodes_;
};

class LeastCompletionRouting final : public RoutingPolicy {
 public:
  explicit LeastCompletionRouting(const Setup& setup) : stages_(setup.graph.weights.size()) {}

  void set_hosts(WeightsId id, const std::vector<InstanceId>& instances,
                 const std::vector<CostClass>& classes) override {
    Stage& stage = stages_[id.index()];
    stage.trees.clear();
    stage.place.clear();
    std::vector<std::size_t> counts;
    for (std::size_t i = 0; i < instances.size(); ++i) {
      if (classes[i] >= counts.size()) counts.resize(classes[i] + std::size_t{1});
      if (instances[i].index() >= stage.place.size()) {
        stage.place.resize(instances[i].index() + 1);
      }
      stage.place[instances[i].index()] = {classes[i],
                                           static_cast<std::uint32_t>(counts[classes[i]]++)};
    }
    for (const std::size_t count : counts) stage.trees.emplace_back(count);
  }

  void update(WeightsId id, InstanceId instance, const Acceptance& a) override {
    Stage& stage = stages_[id.index()];
    const Place& place = stage.place[instance.index()];
    Rank rank;
    if (a.accepts) rank = {a.available_at.ns, a.idle ? 0U : 1U, instance.value};
    stage.trees[place.tree].set(place.leaf, rank);
  }

  Choice choose(WeightsId id, const RoutingQuestion& q, Costs& costs) const override {
    const Stage& stage = stages_[id.index()];
    Rank chosen;
    std::int64_t soonest = std::numeric_limits<std::int64_t>::max();
    for (std::size_t c = 0; c < stage.trees.size(); ++c) {
      const Rank& rank = stage.trees[c].best();
      if (rank.busy == 2 || rank.busy > chosen.busy) continue;
      const std::int64_t begin = std::max(rank.available, (q.now + q.transfer).ns);
      const std::int64_t completion =
          begin +
          costs.seconds(q.node, q.shape, static_cast<CostClass>(c), 1, q.first_step, q.last_step)
              .ns;
      const bool better = rank.busy < chosen.busy || completion < soonest ||
                          (completion == soonest && rank.before(chosen));
      if (!better) continue;
      chosen = rank;
      soonest = completion;
    }
    if (chosen.busy == 2) return {};
    return {InstanceId{chosen.instance}, chosen.busy == 0};
  }

 private:
  struct Place {
    CostClass tree = 0;
    std::uint32_t leaf = 0;
  };
  struct Stage {
    std::vector<MinTree> trees;  // by cost class
    std::vector<Place> place;    // by instance
  };
  std::vector<Stage> stages_;
};

}  // namespace

std::unique_ptr<RoutingPolicy> make_least_completion_routing(MapReader&, const Setup& setup) {
  return std::make_unique<LeastCompletionRouting>(setup);
}

}  // namespace disagfusion::scheduler
