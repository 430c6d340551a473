// The fitted form: seconds with an interval from a profile, and which of GPU, model, framework and
// layout the profile's rows never had.
#pragma once

#include <Eigen/Core>
#include <string>

#include "predictor/profile.hpp"

namespace disagfusion::predictor {

/// What a question has that no row of its group of stages had.
struct Unseen {
  bool gpu = false, model = false, framework = false, layout = false;
  [[nodiscard]] bool any() const { return gpu || model || framework || layout; }
};

struct FittedSeconds {
  double seconds = 0, lo_s = 0, hi_s = 0;  ///< median, 5 % and 95 %
  Parts parts;                             ///< of `seconds`
};

/// Calls that differ in their features only: one model, GPU type, layout, format and setting.
/// Immutable; answers cost some hundred nanoseconds and allocate nothing.
class FittedStage {
 public:
  /// `like` gives stage, layout, format, passes and offload; its shape does not matter.
  FittedStage(const Profile& profile, const Architecture& model, const GpuSpec& gpu,
              const Work& like, const Setting& setting);

  [[nodiscard]] FittedSeconds answer(const Features& features) const;
  [[nodiscard]] const Unseen& unseen() const { return unseen_; }

 private:
  Coefficients factors_{};
  Eigen::Matrix<double, static_cast<int>(kCoefficients), static_cast<int>(kCoefficients)>
      covariance_;
  double noise_variance_ = 0, reach_ = 0;
  Unseen unseen_;
};

/// How many times more GPUs than a node of the published rows has a layout spreads DiT steps over;
/// at least 1.
double beyond_a_node(const Work& work);

/// "ulysses", or "ulysses over 16 GPUs" where they are more than the published rows' nodes have.
std::string layout_text(const Layout& layout);

/// "fitted", or "extrapolated: GPU A10 and layout ring not measured".
std::string source_text(const Unseen& unseen, const Setting& setting, const Layout& layout);

/// A measurement that could be made, and what it would do for one question.
struct Candidate {
  Features features;
  std::vector<Term> terms;
  Group group = Group::dit;
};
/// The standard deviation of the question's ln(seconds) once `candidate` has been measured, as
/// against before: sqrt(v - c^2 / (w + s^2)), v and w the variances of the two expectations, c
/// their covariance, s the noise of a row of the user's own.
struct Narrowing {
  double before = 0, after = 0;
};
Narrowing narrowing(const Candidate& question, const Candidate& candidate,
                    const Posterior& posterior);

/// How much less a row of the user's own scatters than a published one: factor of the variance.
inline constexpr double kOwnVariance = 0.25;

}  // namespace disagfusion::predictor
