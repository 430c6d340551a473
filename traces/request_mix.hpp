// The request mix of a workload: what a request is where its source does not say.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.hpp"
#include "base/scenario.hpp"
#include "traces/request.hpp"

namespace disagfusion::traces {

/// workload.mix as a distribution. The entry of request `index` is a function of (seed, index)
/// alone: the same under every policy and every arrival process.
class RequestMix {
 public:
  /// No models: every entry drawn is empty.
  RequestMix() = default;
  /// Weights are not negative. Models without an entry get the default shape of their architecture.
  RequestMix(std::vector<MixEntry> entries, const std::vector<ModelSpec>& models,
             std::uint64_t seed);

  /// The entry of request `index`, out of all entries.
  [[nodiscard]] const MixEntry& pick(std::uint64_t index) const;
  /// The entry of request `index`, out of those of its model.
  [[nodiscard]] const MixEntry& pick(std::uint64_t index, ModelId model) const;

  /// Fills model, shape, guidance, priority, deadline and tenant.
  static void apply(const MixEntry& entry, Request& request);
  /// The columns that apply() can fill for these entries.
  [[nodiscard]] TraceColumns columns() const;

 private:
  struct OfModel {
    std::vector<MixEntry> entries;
    WeightedChoice choice;
  };
  [[nodiscard]] const MixEntry& pick(const OfModel& of_model, std::uint64_t index) const;

  std::uint64_t seed_ = 0;
  OfModel all_;
  std::vector<OfModel> by_model_;  ///< by ModelId
};

}  // namespace disagfusion::traces
