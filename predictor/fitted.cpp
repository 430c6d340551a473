#include "predictor/fitted.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.hpp"

namespace disagfusion::predictor {
namespace {

using Vector = Eigen::Matrix<double, static_cast<int>(kCoefficients), 1>;

}  // namespace

FittedStage::FittedStage(const Profile& profile, const Architecture& model, const GpuSpec& gpu,
                         const Work& like, const Setting& setting) {
  const CoefficientBelief belief =
      belief_of(terms_of(model, gpu, like, setting), profile.posterior);
  factors_ = factors_of(belief.logarithms);
  covariance_ = belief.covariance;
  const auto group = static_cast<std::size_t>(group_of(like.asked, like.offload));
  noise_variance_ = std::pow(profile.posterior.noise[group], 2);
  const Seen& seen = profile.seen[group];
  const std::string layout = layout_class(like.layout);
  unseen_.gpu = !seen.gpus.contains(setting.gpu);
  unseen_.model = !seen.models.contains(setting.model);
  unseen_.layout = !layout.empty() && !seen.layouts.contains(layout);
  const auto& reach = profile.reach[group];
  reach_ = reach[0];
  if (unseen_.gpu) reach_ = std::max(reach_, reach[1]);
  if (unseen_.model) reach_ = std::max(reach_, reach[2]);
}

FittedSeconds FittedStage::answer(const Features& features) const {
  const Timing timing = time_of(features, factors_);
  const Eigen::Map<const Vector> share(timing.elasticity.data());
  const double variance = noise_variance_ + share.dot(covariance_ * share);
  const double wide = portable_exp(reach_ * std::sqrt(std::max(0.0, variance)));
  return {timing.seconds, timing.seconds / wide, timing.seconds * wide, timing.parts};
}

std::string source_text(const Unseen& unseen, const Setting& setting, const Layout& layout) {
  if (!unseen.any()) return "fitted";
  std::vector<std::string> what;
  if (unseen.gpu) what.push_back("GPU " + setting.gpu);
  if (unseen.model) what.push_back("model " + setting.model);
  if (unseen.layout) what.push_back("layout " + layout_class(layout));
  return fmt::format("extrapolated: {} not measured", fmt::join(what, " and "));
}

Narrowing narrowing(const Candidate& question, const Candidate& candidate,
                    const Posterior& posterior) {
  const Posterior all = extended(posterior, {question.terms, candidate.terms});
  const Eigen::VectorXd asked = gradient_of(question.features, question.terms, all);
  const Eigen::VectorXd offered = gradient_of(candidate.features, candidate.terms, all);
  const Eigen::VectorXd spread = all.covariance * offered;
  const double variance = asked.dot(all.covariance * asked);
  const double common = asked.dot(spread);
  const double noise =
      std::pow(all.noise[static_cast<std::size_t>(candidate.group)], 2) * kOwnVariance;
  return {std::sqrt(variance),
          std::sqrt(std::max(0.0, variance - common * common / (offered.dot(spread) + noise)))};
}

}  // namespace disagfusion::predictor
