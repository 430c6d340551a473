// The effects whose sum is the logarithm of a coefficient: what is common to all settings, what a
// property shifts, and what a GPU, a model, a framework or a source has of its own.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "predictor/features.hpp"
#include "predictor/time_model.hpp"

namespace disagfusion::predictor {

/// Who and where, beside the numbers of the call.
struct Setting {
  std::string model;  ///< lower case
  std::string gpu, gpu_arch;
  std::string framework;  ///< as written; empty: not stated
  std::string notes;      ///< of the row; attention kernels are named here too
  std::string source;     ///< where the measurement comes from; empty: not stated
};

/// One addend of one coefficient's logarithm: value x the parameter (effect, level).
struct Term {
  std::uint8_t effect = 0;
  std::string level;  ///< of a pooled effect; empty for the others
  double value = 1;
};

/// Prior of an effect. A pooled one has a parameter a level, all of mean 0 and one spread, which is
/// estimated from the data (empirical Bayes) around `sd`; the others have one parameter.
struct Effect {
  const char* name;
  Coefficient coefficient;
  double mean, sd;
  bool pooled;
};
inline constexpr std::size_t kEffects = 52;
/// By number; the names are unique and appear in profiles.
const std::array<Effect, kEffects>& effects();

/// Whether the levels of an effect are frameworks.
bool is_of_frameworks(std::uint8_t effect);

/// All terms of a question. What is not stated has
/// the level "unstated": rows and questions that leave out the same belong together.
std::vector<Term> terms_of(const Architecture& model, const GpuSpec& gpu, const Work& work,
                           const Setting& setting);

/// The family of a model by its name: its leading letters, without "video", "videox", "image".
std::string family_of(const std::string& model);
/// The framework without its version and mode: "xDiT compile" is "xdit".
std::string framework_of(const std::string& text);

}  // namespace disagfusion::predictor
