#include "planner/candidate.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "base/check.hpp"

namespace disagfusion::planner {

namespace {

/// Set partitions of {0 .. count-1} as restricted growth strings: block[i] <= 1 +
/// max(block[0..i-1]).
std::vector<std::vector<std::vector<std::uint16_t>>> partitions(std::size_t count) {
  std::vector<std::vector<std::vector<std::uint16_t>>> all;
  std::vector<std::vector<std::uint16_t>> blocks;
  const std::function<void(std::uint16_t)> place = [&](std::uint16_t item) {
    if (item == count) {
      all.push_back(blocks);
      return;
    }
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      blocks[b].push_back(item);
      place(static_cast<std::uint16_t>(item + 1));
      blocks[b].pop_back();
    }
    blocks.push_back({item});
    place(static_cast<std::uint16_t>(item + 1));
    blocks.pop_back();
  };
  place(0);
  return all;
}

std::vector<std::vector<std::vector<std::uint16_t>>> cuts(std::size_t groups, bool colocate) {
  constexpr std::size_t kMostGroupsCutFreely = 7;
  if (colocate && groups <= kMostGroupsCutFreely) return partitions(groups);
  std::vector<std::vector<std::uint16_t>> singles, together(1);
  for (std::uint16_t i = 0; i < groups; ++i) {
    singles.push_back({i});
    together[0].push_back(i);
  }
  if (!colocate) return {singles};
  return {singles, together};
}

}  // namespace

std::vector<StageGroup> stage_groups(const std::vector<ModelSpec>& models,
                                     const StageGraph& graph) {
  std::vector<StageGroup> groups;
  for (std::size_t m = 0; m < models.size(); ++m) {
    for (std::size_t i = 0; i < models[m].stages.size(); ++i) {
      const std::string& name = models[m].stages[i].name;
      auto known = std::find_if(groups.begin(), groups.end(),
                                [&](const StageGroup& group) { return group.name == name; });
      if (known == groups.end()) known = groups.insert(groups.end(), {name, {}});
      known->nodes.push_back(NodeId{static_cast<std::uint16_t>(graph.first_node[m].value + i)});
    }
  }
  return groups;
}

std::vector<Layout> layouts(std::size_t groups, const std::vector<std::string>& gpus,
                            bool colocate) {
  std::vector<Layout> all;
  for (const auto& blocks : cuts(groups, colocate)) {
    // Every role on every type: count in base gpus.size().
    std::vector<std::size_t> digits(blocks.size(), 0);
    for (;;) {
      Layout layout;
      for (std::size_t b = 0; b < blocks.size(); ++b) {
        layout.roles.push_back({blocks[b], gpus[digits[b]], 1, false});
      }
      all.push_back(std::move(layout));
      std::size_t place = 0;
      while (place < digits.size() && ++digits[place] == gpus.size()) digits[place++] = 0;
      if (place == digits.size()) break;
    }
  }
  return all;
}

std::uint32_t Candidate::gpus_of(const std::string& gpu) const {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (layout.roles[i].gpu == gpu) total += counts[i] * layout.roles[i].degree;
  }
  return total;
}

std::uint32_t Candidate::instances() const {
  std::uint32_t total = 0;
  for (const std::uint32_t count : counts) total += count;
  return total;
}

std::string stages_of(const RoleChoice& role, const std::vector<StageGroup>& groups) {
  std::string stages;
  for (const std::uint16_t group : role.groups) {
    stages += (stages.empty() ? "" : "+") + groups[group].name;
  }
  return stages;
}

std::string describe(const Candidate& candidate, const std::vector<StageGroup>& groups) {
  std::string text;
  for (std::size_t i = 0; i < candidate.counts.size(); ++i) {
    const RoleChoice& role = candidate.layout.roles[i];
    text +=
        fmt::format("{}{} {} on {}{}", text.empty() ? "" : ", ", candidate.counts[i],
                    stages_of(role, groups), role.gpu, role.offload ? " (weights streamed)" : "");
  }
  return text;
}

// ---- market ------------------------------------------------------------------------------------

Market::Market(const Question& question) {
  for (const CatalogueEntry& entry : question.catalogue) {
    NodeGroupSpec group;
    group.name = entry.gpu;
    group.gpus = {{entry.gpu, 1}};
    group.price_usd_h = entry.price_usd_h;
    group.max = entry.max;
    groups_.push_back(std::move(group));
  }
  if (groups_.empty()) groups_ = question.base.fleet.nodes;
  std::set<std::string> seen;
  for (const NodeGroupSpec& group : groups_) {
    for (const auto& [gpu, count] : group.gpus) {
      if (seen.insert(gpu).second) gpus_.push_back(gpu);
    }
  }
}

std::uint32_t Market::most(const std::string& gpu) const {
  std::uint32_t total = 0;
  for (const NodeGroupSpec& group : groups_) {
    const auto found = group.gpus.find(gpu);
    if (found != group.gpus.end()) total += found->second * group.max.value_or(0);
  }
  return total;
}

std::optional<Market::Rent> Market::rent(const Candidate& candidate) const {
  std::vector<std::uint32_t> wanted;
  for (const std::string& gpu : gpus_) wanted.push_back(candidate.gpus_of(gpu));
  return rent(wanted);
}

std::optional<Market::Rent> Market::rent(const std::vector<std::uint32_t>& gpus) const {
  std::vector<std::uint32_t> missing = gpus;
  Rent partial;
  partial.nodes.assign(groups_.size(), 0);
  std::optional<Rent> best;
  cover(0, missing, partial, best);
  return best;
}

Market::Price Market::price(const Candidate& candidate) const {
  const std::optional<Rent> found = rent(candidate);
  if (!found) return {std::nullopt, "the offer has too few GPUs for it"};
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (found->nodes[i] == 0 || groups_[i].price_usd_h) continue;
    return {std::nullopt, fmt::format("the question gives no price for {}", groups_[i].name)};
  }
  return {found->usd_per_hour, {}};
}

/// Depth first over node groups, bounded by the cheapest cover so far. A group of one type is taken
/// in the number that covers what is missing or fewer when others have that type as well.
void Market::cover(std::size_t at, std::vector<std::uint32_t>& missing, Rent& partial,
                   std::optional<Rent>& best) const {
  if (best && partial.usd_per_hour >= best->usd_per_hour) return;
  if (std::all_of(missing.begin(), missing.end(), [](std::uint32_t m) { return m == 0; })) {
    best = partial;
    return;
  }
  if (at == groups_.size()) return;
  const NodeGroupSpec& group = groups_[at];
  std::uint32_t useful = 0;
  for (std::size_t g = 0; g < gpus_.size(); ++g) {
    const auto has = group.gpus.find(gpus_[g]);
    if (has == group.gpus.end() || has->second == 0) continue;
    useful = std::max(useful, (missing[g] + has->second - 1) / has->second);
  }
  useful = std::min(useful, group.max.value_or(0));
  bool others = false;
  for (std::size_t later = at + 1; later < groups_.size(); ++later) {
    for (const auto& [gpu, count] : group.gpus) {
      others = others || groups_[later].gpus.count(gpu) > 0;
    }
  }
  const std::uint32_t fewest = others ? 0 : useful;
  for (std::uint32_t take = useful;; --take) {
    std::vector<std::uint32_t> left = missing;
    for (std::size_t g = 0; g < gpus_.size(); ++g) {
      const auto has = group.gpus.find(gpus_[g]);
      const std::uint32_t got = has == group.gpus.end() ? 0 : has->second * take;
      left[g] -= std::min(left[g], got);
    }
    partial.nodes[at] = take;
    const double price = group.price_usd_h.value_or(0) * take;
    partial.usd_per_hour += price;
    cover(at + 1, left, partial, best);
    partial.usd_per_hour -= price;
    partial.nodes[at] = 0;
    if (take == fewest) break;
  }
}

Scenario with_fleet(const Question& question, const Market& market, const Candidate& candidate,
                    const std::vector<StageGroup>& groups) {
  Scenario scenario = question.base;
  const std::optional<Market::Rent> rent = market.rent(candidate);
  DF_CHECK(rent.has_value(), "a candidate that the market cannot supply");
  scenario.fleet.short_form = false;  // the short form has no place for prices
  scenario.fleet.nodes.clear();
  scenario.fleet.pools.clear();
  for (std::size_t i = 0; i < rent->nodes.size(); ++i) {
    if (rent->nodes[i] == 0) continue;
    NodeGroupSpec group = market.groups()[i];
    group.count = rent->nodes[i];
    group.max.reset();
    scenario.fleet.nodes.push_back(std::move(group));
  }
  for (std::size_t i = 0; i < candidate.counts.size(); ++i) {
    const RoleChoice& role = candidate.layout.roles[i];
    PoolSpec pool;
    for (const std::uint16_t group : role.groups) {
      pool.stages.push_back({groups[group].name, groups[group].nodes});
    }
    pool.gpu = role.gpu;
    pool.count = candidate.counts[i];
    pool.degree = role.degree;
    pool.offload = role.offload;
    scenario.fleet.pools.push_back(std::move(pool));
  }
  return scenario;
}

}  // namespace disagfusion::planner
