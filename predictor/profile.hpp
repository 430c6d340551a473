// What a fit leaves behind: a YAML file that people can read, and everything that predicting and
// refitting need.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "predictor/cross_validation.hpp"
#include "predictor/fit.hpp"

namespace disagfusion::predictor {

inline constexpr const char* kProfileSchema = "disagfusion.profile/1";
/// The shipped profile, as FileSource finds it.
inline constexpr const char* kShippedProfile = "configs:profiles/published.yaml";

/// What rows of a group of stages had.
struct Seen {
  std::set<std::string> models, gpus, layouts;
};

/// Errors on held-out rows.
struct HeldOutErrors {
  std::string left_out;  ///< "model", "gpu", "source"
  std::string stages;    ///< "dit and end_to_end", "encoder", "decoder"
  std::size_t rows = 0;
  double median = 0, p90 = 0;  ///< of |predicted / measured - 1|
  double inside = 0;           ///< share inside the 90 % interval as shipped
};

struct Profile {
  std::string date;                 ///< of the fit, as given
  std::vector<std::string> sha256;  ///< of the rows, this fit's last, the prior's before it
  Diagnostics diagnostics;
  Posterior posterior;
  std::array<Seen, kGroups> seen;
  /// Standard deviations that a 90 % interval reaches, by group and by what is unseen (LeftOut).
  std::array<std::array<double, kLeftOut>, kGroups> reach{};
  std::vector<HeldOutErrors> errors;
};

/// Whether held-out rows, at least ten, say how wide intervals of the group must be, and the rows
/// of a fit without a prior determine at least as much as all settings have in common. Else the
/// intervals are the priors'.
bool intervals_judged(const Profile& profile, Group group);
/// Effects that all settings have in common: what rows must determine before priors decide little.
std::size_t common_effects();

/// Whether the text is a day of the calendar, written 2026-11-24.
bool is_date(const std::string& text);

std::string profile_yaml(const Profile& profile);

/// Strict: unknown keys, wrong types, effects of another form, covariances that are none and
/// numbers out of range are Problems with their places.
Result<Profile> read_profile(const std::string& file, const std::string& text);

}  // namespace disagfusion::predictor
