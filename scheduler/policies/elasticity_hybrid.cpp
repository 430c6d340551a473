// Hybrid elasticity: prediction sees the work that is in flight and the work that will come,
// feedback (the online correction inside Costs) keeps the seconds true.
//
// Every `interval`, for each role r that serves stages S(r):
//   W_r = sum over stages s in S(r), shapes x of (unfinished(s, x) + rate(s, x) * horizon) *
//   seconds(s, x)
// where rate is an exponential average of arrivals over about `memory`, and T_r = W_r / n_r with
// n_r the instances that have or are getting the role. max_r T_r is how long the fleet needs for
// what it has and will get: the allocation over instances that makes the slowest role fastest is
// the max-min one. One instance moving from a to b, which loads for L seconds, would give
//   T'_a = W_a / (n_a - 1),   T'_b = (W_b + L) / (n_b + 1),
// and the move is made when max T' is below (1 - gain) max T: its cost is inside T'. Roles trade
// instances of one GPU type and degree. After a move nothing is decided for `cooldown`.
// Method: max-min fair allocation (Bertsekas and Gallager, Data Networks, 6.5.2), one exchange at a
// time.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

struct Settings {
  Duration interval, horizon, memory, cooldown;
  double gain = 0.1;
};

class HybridElasticity final : public ElasticityPolicy {
 public:
  explicit HybridElasticity(const Settings& settings) : settings_(settings) {}

  [[nodiscard]] TimePoint first_wake() const override { return TimePoint{settings_.interval.ns}; }

  TimePoint decide(const FleetView& view, std::vector<Move>& moves) override {
    update_rates(view);
    if (view.now >= calm_until_) {
      predict_work(view);
      consider(view, moves);
      if (!moves.empty()) calm_until_ = view.now + settings_.cooldown;
    }
    return view.now + settings_.interval;
  }

 private:
  void update_rates(const FleetView& view) {
    const double seconds = settings_.interval.seconds();
    const double weight = 1.0 - std::exp(-seconds / settings_.memory.seconds());
    rates_.resize(view.arrived->size());
    seen_.resize(view.arrived->size());
    for (std::size_t i = 0; i < rates_.size(); ++i) {
      const double now = static_cast<double>((*view.arrived)[i] - seen_[i]) / seconds;
      rates_[i] += weight * (now - rates_[i]);
      seen_[i] = (*view.arrived)[i];
    }
  }

  void predict_work(const FleetView& view) {
    const Setup& setup = *view.setup;
    const std::size_t nodes = setup.graph.nodes.size();
    work_.assign(setup.roles.size(), 0);
    for (std::size_t r = 0; r < setup.roles.size(); ++r) {
      const CostClass cost_class = view.costs->class_of(PoolId{static_cast<std::uint16_t>(r)});
      for (std::size_t i = 0; i < view.unfinished->size(); ++i) {
        const double stages =
            static_cast<double>((*view.unfinished)[i]) + rates_[i] * settings_.horizon.seconds();
        const NodeId node{static_cast<std::uint16_t>(i % nodes)};
        const WeightsId weights = setup.graph.nodes[node.index()].weights;
        const std::vector<WeightsId>& served = setup.roles[r].stages;
        if (stages <= 0 || std::find(served.begin(), served.end(), weights) == served.end()) {
          continue;
        }
        work_[r] +=
            stages *
            view.costs->whole(node, static_cast<std::uint32_t>(i / nodes), cost_class).seconds();
      }
    }
  }

  [[nodiscard]] static double count(const FleetView& view, std::size_t role) {
    return (*view.roles)[role].ready + (*view.roles)[role].coming;
  }

  /// The slowest role's time when `from` gives one instance to `to` (equal: as it is).
  [[nodiscard]] double slowest(const FleetView& view, std::size_t from, std::size_t to) const {
    double longest = 0;
    for (std::size_t r = 0; r < work_.size(); ++r) {
      double instances = count(view, r);
      double work = work_[r];
      if (from != to && r == from) instances -= 1;
      if (from != to && r == to) {
        instances += 1;
        work += view.setup->roles[r].load.seconds();
      }
      if (work <= 0 && instances <= 0) continue;
      longest = std::max(longest, instances > 0 ? work / instances : kNobodyServes);
    }
    return longest;
  }

  void consider(const FleetView& view, std::vector<Move>& moves) const {
    const std::vector<Role>& roles = view.setup->roles;
    const double present = slowest(view, 0, 0);
    double best = present * (1 - settings_.gain);
    std::size_t best_from = 0, best_to = 0;
    for (std::size_t from = 0; from < roles.size(); ++from) {
      if ((*view.roles)[from].ready == 0) continue;
      // The last instance of a role stays: its stage would have none.
      if (count(view, from) < 2) continue;
      for (std::size_t to = 0; to < roles.size(); ++to) {
        if (from == to || roles[from].gpu != roles[to].gpu ||
            roles[from].degree != roles[to].degree) {
          continue;
        }
        const double then = slowest(view, from, to);
        if (then < best) {
          best = then;
          best_from = from;
          best_to = to;
        }
      }
    }
    if (best_from == best_to) return;
    moves.push_back(
        {kController, PoolId{static_cast<std::uint16_t>(best_from)},
         PoolId{static_cast<std::uint16_t>(best_to)},
         fmt::format("{}, {} after the move with {:.0f} s of loading",
                     present < kNobodyServes
                         ? fmt::format("the slowest role needs {:.1f} s for its work", present)
                         : std::string("a role with work has no instance"),
                     best < kNobodyServes ? fmt::format("{:.1f} s", best) : "another one has none",
                     roles[best_to].load.seconds())});
  }

  static constexpr double kNobodyServes = 1e30;  ///< seconds of a role with work, no instance

  Settings settings_;
  TimePoint calm_until_;
  std::vector<double> rates_, work_;
  std::vector<std::uint64_t> seen_;
};

}  // namespace

std::unique_ptr<ElasticityPolicy> make_hybrid_elasticity(MapReader& parameters, const Setup&) {
  Settings settings;
  settings.interval = parameters.get("interval", as_positive_duration(), from_seconds(5));
  settings.horizon = parameters.get("horizon", as_duration(), from_seconds(120));
  settings.memory = parameters.get("memory", as_positive_duration(), from_seconds(60));
  settings.cooldown = parameters.get("cooldown", as_duration(), from_seconds(30));
  settings.gain = parameters.get("gain", as_share(), 0.1);
  return std::make_unique<HybridElasticity>(settings);
}

}  // namespace disagfusion::scheduler
