#include "predictor/fitted.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.hpp"

namespace disagfusion::predictor {
namespace {

using Vector = Eigen::Matrix<double, static_cast<int>(kCoefficients), 1>;
constexpr double kNormal95 = 1.6448536269514722;

/// What is not stated is no framework that could have been seen.
bool is_new_framework(const std::string& framework, const Posterior& posterior) {
  if (framework.empty()) return false;
  const std::string level = framework_of(framework);
  for (const auto& [effect, name] : posterior.keys)
    if (name == level && is_of_frameworks(effect)) return false;
  return true;
}

}  // namespace

FittedStage::FittedStage(const Profile& profile, const Architecture& model, const GpuSpec& gpu,
                         const Work& like, const Setting& setting) {
  const CoefficientBelief belief =
      belief_of(terms_of(model, gpu, like, setting), profile.posterior);
  factors_ = factors_of(belief.logarithms);
  covariance_ = belief.covariance;
  const auto group = static_cast<std::size_t>(group_of(like.asked, like.offload));
  // More GPUs than a node has: the interval reaches to where those beyond it bring nothing.
  const double reach_beyond = portable_log(beyond_a_node(like)) / kNormal95;
  noise_variance_ = std::pow(profile.posterior.noise[group], 2) + reach_beyond * reach_beyond;
  const Seen& seen = profile.seen[group];
  const std::string layout = layout_class(like.layout);
  unseen_.gpu = !seen.gpus.contains(setting.gpu);
  unseen_.model = !seen.models.contains(setting.model);
  unseen_.framework = is_new_framework(setting.framework, profile.posterior);
  unseen_.layout =
      !layout.empty() && (like.layout.gpus() > kNodeGpus || !seen.layouts.contains(layout));
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

double beyond_a_node(const Work& work) {
  if (!has_dit(work.asked)) return 1;
  return std::max(1.0, static_cast<double>(work.layout.gpus()) / kNodeGpus);
}

std::string layout_text(const Layout& layout) {
  const std::string ways = layout_class(layout);
  return layout.gpus() > kNodeGpus ? fmt::format("{} over {} GPUs", ways, layout.gpus()) : ways;
}

std::string source_text(const Unseen& unseen, const Setting& setting, const Layout& layout) {
  if (!unseen.any()) return "fitted";
  std::vector<std::string> what;
  if (unseen.gpu) what.push_back("GPU " + setting.gpu);
  if (unseen.model) what.push_back("model " + setting.model);
  if (unseen.framework) what.push_back("framework " + setting.framework);
  if (unseen.layout) what.push_back("layout " + layout_text(layout));
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
