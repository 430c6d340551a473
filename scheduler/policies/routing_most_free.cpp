// An idle instance, else the one with the most free input slots, else (push only) the one to which
// the fewest are bound; ties: the lowest instance. One bit an instance in a two-level set for each
// number of free slots: finding the first costs a few words.
#include <algorithm>
#include <array>
#include <bit>
#include <set>
#include <utility>

#include "scheduler/policies/registry.hpp"

namespace disagfusion::scheduler {

namespace {

/// Set of small integers with a fast minimum.
class BitSet {
 public:
  void insert(std::uint32_t value) {
    const std::size_t word = value / 64;
    if (word >= words_.size()) {
      words_.resize(word + 1);
      summary_.resize(word / 64 + 1);
    }
    words_[word] |= std::uint64_t{1} << (value % 64);
    summary_[word / 64] |= std::uint64_t{1} << (word % 64);
  }
  void erase(std::uint32_t value) {
    const std::size_t word = value / 64;
    if (word >= words_.size()) return;
    words_[word] &= ~(std::uint64_t{1} << (value % 64));
    if (words_[word] == 0) summary_[word / 64] &= ~(std::uint64_t{1} << (word % 64));
  }
  /// The smallest member, or kNoSlot.
  [[nodiscard]] std::uint32_t first() const {
    for (std::size_t i = 0; i < summary_.size(); ++i) {
      if (summary_[i] == 0) continue;
      const std::size_t word = i * 64 + static_cast<std::size_t>(std::countr_zero(summary_[i]));
      return static_cast<std::uint32_t>(word * 64 +
                                        static_cast<std::size_t>(std::countr_zero(words_[word])));
    }
    return kNoSlot;
  }

 private:
  std::vector<std::uint64_t> words_, summary_;
};

class MostFreeRouting final : public RoutingPolicy {
 public:
  explicit MostFreeRouting(const Setup& setup) : stages_(setup.graph.weights.size()) {}

  void set_hosts(WeightsId stage, const std::vector<InstanceId>&,
                 const std::vector<CostClass>&) override {
    stages_[stage.index()] = Stage{};
  }

  void update(WeightsId id, InstanceId instance, const Acceptance& a) override {
    Stage& stage = stages_[id.index()];
    if (instance.index() >= stage.level_of.size()) {
      stage.level_of.resize(instance.index() + 1, kNoLevel);
      stage.waiting_of.resize(instance.index() + 1, 0);
    }
    std::uint32_t& waiting = stage.waiting_of[instance.index()];
    if (waiting != a.waiting) {
      if (waiting > 0) stage.waiting.erase({waiting, instance.value});
      if (a.waiting > 0) stage.waiting.insert({a.waiting, instance.value});
      waiting = a.waiting;
    }
    std::uint8_t level = kNoLevel;
    if (a.idle) {
      level = kIdleLevel;
    } else if (a.accepts && a.waiting == 0) {
      level = static_cast<std::uint8_t>(
          a.free_slots > kUnlimited / 2
              ? kMostSlots - std::min<std::uint32_t>(kMostSlots, kUnlimited - a.free_slots)
              : std::min<std::uint32_t>(kMostSlots, a.free_slots));
    }
    std::uint8_t& held = stage.level_of[instance.index()];
    if (held == level) return;
    if (held != kNoLevel) stage.levels[held].erase(instance.value);
    if (level != kNoLevel) stage.levels[level].insert(instance.value);
    held = level;
  }

  Choice choose(WeightsId id, const RoutingQuestion&, Costs&) const override {
    const Stage& stage = stages_[id.index()];
    for (int level = kIdleLevel; level >= 0; --level) {
      const std::uint32_t first = stage.levels[static_cast<std::size_t>(level)].first();
      if (first != kNoSlot) return {InstanceId{first}, level == kIdleLevel};
    }
    if (!stage.waiting.empty()) return {InstanceId{stage.waiting.begin()->second}, false};
    return {};
  }

 private:
  static constexpr std::uint32_t kMostSlots = 30;  ///< more free slots count alike
  static constexpr std::uint8_t kIdleLevel = kMostSlots + 1;
  static constexpr std::uint8_t kNoLevel = 0xff;
  struct Stage {
    std::array<BitSet, kIdleLevel + 1> levels;
    std::vector<std::uint8_t> level_of;                         // by instance
    std::vector<std::uint32_t> waiting_of;                      // by instance
    std::set<std::pair<std::uint32_t, std::uint32_t>> waiting;  // how many, instance
  };
  std::vector<Stage> stages_;
};

}  // namespace

std::unique_ptr<RoutingPolicy> make_most_free_routing(MapReader&, const Setup& setup) {
  return std::make_unique<MostFreeRouting>(setup);
}

}  // namespace disagfusion::scheduler
