#include "predictor/fitted_node.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace disagfusion::predictor {
namespace {

Asked asked_of(StageKind kind) {
  switch (kind) {
    case StageKind::encoder:
      return Asked::encoder;
    case StageKind::image_encoder:
      return Asked::condition;
    case StageKind::dit:
      return Asked::dit;
    case StageKind::decoder:
      return Asked::decoder;
    case StageKind::other:
      break;
  }
  DF_CHECK(false, "a stage of no known kind was asked of a profile");
  return Asked::dit;
}

double passes_of(const Architecture& model) { return std::max(1, model.passes_per_step); }

}  // namespace

FittedNode::FittedNode(const Profile& profile, StageKind kind, const std::string& model_name,
                       const Architecture& model, const GpuSpec& gpu)
    : asked_(asked_of(kind)), model_(model), gpu_(gpu) {
  Setting setting;
  setting.model = model_name;
  setting.gpu = gpu.name;
  setting.gpu_arch = gpu.arch;
  for (const NumberFormat format : {NumberFormat::bf16, NumberFormat::int8})
    for (const std::uint32_t gpus : {1U, 2U})
      for (const bool streamed : {false, true}) {
        Work like;
        like.asked = asked_;
        like.passes = passes_of(model);
        like.layout.ulysses = gpus;
        like.format = format;
        like.offload = streamed;
        stages_.emplace_back(profile, model, gpu, like, setting);
      }
}

Estimate FittedNode::estimate(const Query& query, NumberFormat format) const {
  Work work;
  work.asked = asked_;
  work.shape = query.shape;
  work.batch = query.batch;
  work.passes = passes_of(model_);
  work.layout.ulysses = query.degree;
  work.format = format;
  work.offload = query.offload;
  const bool fast = peak_of(gpu_, format) > 1.5 * peak_16bit(gpu_);
  const FittedStage& stage = stages_[index(fast, query.degree > 1, query.offload)];
  const FittedSeconds answer = stage.answer(features_of(model_, gpu_, work));
  Estimate estimate;
  estimate.seconds = answer.seconds;
  estimate.lo_s = answer.lo_s;
  estimate.hi_s = answer.hi_s;
  const bool by_step = asked_ == Asked::dit && query.shape.steps > 0;
  estimate.fixed_s = by_step ? 0 : answer.seconds;
  estimate.per_step_s = by_step ? answer.seconds / query.shape.steps : 0;
  estimate.source = stage.unseen().any() ? Source::extrapolated : Source::fitted;
  return estimate;
}

}  // namespace disagfusion::predictor
