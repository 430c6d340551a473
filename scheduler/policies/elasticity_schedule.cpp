// Moves at given times:
//   elasticity: {name: schedule, moves: [{at: 690 s, from: dit, to: decoder, count: 1}]}
// Without `from` an instance is provisioned on spare GPUs, without `to` it is stopped. With
// `instance` that one moves (and `count` is 1); else the scheduler's victim rule chooses.
#include <algorithm>

#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

struct ScheduledMove {
  TimePoint at;
  Move move;
  std::uint32_t count = 1;
};

class ScheduleElasticity final : public ElasticityPolicy {
 public:
  explicit ScheduleElasticity(std::vector<ScheduledMove> moves) : moves_(std::move(moves)) {
    std::stable_sort(moves_.begin(), moves_.end(),
                     [](const auto& a, const auto& b) { return a.at < b.at; });
  }

  TimePoint decide(const FleetView& view, std::vector<Move>& moves) override {
    for (; next_ < moves_.size() && moves_[next_].at <= view.now; ++next_) {
      if (!possible(view, moves_[next_].move)) return view.now + kRetry;
      for (std::uint32_t i = 0; i < moves_[next_].count; ++i) moves.push_back(moves_[next_].move);
    }
    return first_wake();
  }
  [[nodiscard]] TimePoint first_wake() const override {
    return next_ < moves_.size() ? moves_[next_].at : TimePoint::never();
  }

 private:
  static constexpr Duration kRetry = {1'000'000'000};  // 1 s

  /// A move whose instance is not ready yet (a live fleet that is still starting) waits for it.
  static bool possible(const FleetView& view, const Move& move) {
    if (!move.from.valid() || move.instance != kController) return true;
    const std::vector<Role>& roles = view.setup->roles;
    for (std::size_t i = 0; i < roles.size(); ++i) {
      if (roles[i].name == roles[move.from.index()].name && (*view.roles)[i].ready > 0) return true;
    }
    return false;
  }

  std::vector<ScheduledMove> moves_;
  std::size_t next_ = 0;
};

/// The first role of that name; a Problem with the nearest name otherwise.
PoolId role_named(MapReader& map, const char* key, const Setup& setup) {
  const std::optional<std::string> name = map.optional(key, as_text());
  if (!name) return PoolId{};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < setup.roles.size(); ++i) {
    if (setup.roles[i].name == *name) return PoolId{static_cast<std::uint16_t>(i)};
    names.push_back(setup.roles[i].name);
  }
  map.wrong(key, "the stages of a pool, one of " + choice_text(names, {}), *name,
            nearest_name(*name, names));
  return PoolId{};
}

ScheduledMove read_move(const ConfigNode& node, Problems& problems, const Setup& setup) {
  MapReader map(node, problems);
  ScheduledMove scheduled;
  scheduled.at = TimePoint{map.required("at", as_duration()).ns};
  scheduled.move.from = role_named(map, "from", setup);
  scheduled.move.to = role_named(map, "to", setup);
  scheduled.count = map.get("count", as_count(1), 1U);
  scheduled.move.why = "scheduled";
  if (const auto instance = map.optional("instance", as_count(1))) {
    if (*instance > setup.instances.size()) {
      map.wrong("instance",
                "an instance of the fleet, 1 to " + std::to_string(setup.instances.size()),
                std::to_string(*instance));
    }
    if (scheduled.count > 1) {
      map.wrong("count", "no count beside instance (one instance moves)",
                map.take("count").shown());
    }
    scheduled.move.instance = InstanceId{*instance};
  }
  if (!map.has("from") && !map.has("to")) map.missing("to", "from, to or both");
  map.finish();
  return scheduled;
}

}  // namespace

std::unique_ptr<ElasticityPolicy> make_schedule_elasticity(MapReader& parameters,
                                                           const Setup& setup) {
  std::vector<ScheduledMove> moves;
  const std::vector<ConfigNode> nodes = parameters.required("moves", as_list_of(as_node(), 1));
  for (const ConfigNode& node : nodes) {
    moves.push_back(read_move(node, parameters.problems(), setup));
  }
  return std::make_unique<ScheduleElasticity>(std::move(moves));
}

}  // namespace disagfusion::scheduler
