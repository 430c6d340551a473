#include "predictor/predict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "predictor/bytes.hpp"
#include "predictor/fitted.hpp"
#include "predictor/memory.hpp"
#include "predictor/question_rows.hpp"

namespace disagfusion::predictor {
namespace {

constexpr double kShownShare = 5e-4;  // parts below it would print as 0.0 %

Parts with_steps(const StageSeconds& seconds, std::uint32_t steps) {
  const auto sum = [steps](double fixed, double per_step) { return fixed + per_step * steps; };
  const Parts& a = seconds.fixed;
  const Parts& b = seconds.per_step;
  Parts parts;
  parts.linear = sum(a.linear, b.linear);
  parts.attention = sum(a.attention, b.attention);
  parts.other = sum(a.other, b.other);
  parts.memory = sum(a.memory, b.memory);
  parts.offload = sum(a.offload, b.offload);
  parts.communication = sum(a.communication, b.communication);
  parts.overhead = sum(a.overhead, b.overhead);
  return parts;
}

void by_roofline(const Question& question, Prediction& prediction) {
  const Roofline roofline(question.architecture(), question.gpu);
  const Call call = call_of(question.work);
  const auto whole = [&](StageKind kind) {
    return with_steps(roofline.seconds(kind, call), call.shape.steps);
  };
  switch (question.work.asked) {
    case Asked::encoder:
      prediction.parts = whole(StageKind::encoder);
      break;
    case Asked::text_encoder:
      prediction.parts.other = roofline.text_encoder(call);
      break;
    case Asked::image_encoder:
      prediction.parts.other = roofline.image_encoder(call);
      break;
    case Asked::vae_encode:
      prediction.parts.other = roofline.vae_encode(call);
      break;
    case Asked::dit:
      prediction.parts = whole(StageKind::dit);
      break;
    case Asked::dit_step:
      prediction.parts = roofline.seconds(StageKind::dit, call).per_step;
      break;
    case Asked::decoder:
      prediction.parts = whole(StageKind::decoder);
      break;
    case Asked::condition:
      prediction.parts = whole(StageKind::image_encoder);
      break;
    case Asked::end_to_end:
      prediction.seconds = roofline.end_to_end(call);
      break;
  }
  if (question.work.asked != Asked::end_to_end) prediction.seconds = prediction.parts.total();
  const Spread spread = spread_of(question.kind);
  prediction.lo_s = prediction.seconds * spread.lo;
  prediction.hi_s = prediction.seconds * spread.hi;
  prediction.source = "roofline";
  const double nodes = beyond_a_node(question.work);
  if (nodes <= 1) return;
  prediction.lo_s /= nodes;
  prediction.hi_s *= nodes;
  prediction.source += fmt::format("; layout {} not measured", layout_text(question.work.layout));
}

/// Whether other formats than the one asked for set the pace, for `source`.
std::string rate_note(const Question& question) {
  const NumberFormat asked = question.work.format;
  const NumberFormat computed = computed_in(question.gpu, asked);
  if (!has_dit(question.work.asked) || computed == asked) return {};
  return fmt::format("; {} computes at the {} rate: no {} figure for {}", name_of(asked),
                     computed == NumberFormat::bf16 ? "16-bit" : name_of(computed), name_of(asked),
                     question.gpu.name);
}

void by_profile(const Question& question, const Profile& profile, Prediction& prediction) {
  const FittedStage stage(profile, question.architecture(), question.gpu, question.work,
                          question.setting);
  const FittedSeconds answer =
      stage.answer(features_of(question.architecture(), question.gpu, question.work));
  prediction.seconds = answer.seconds;
  prediction.lo_s = answer.lo_s;
  prediction.hi_s = answer.hi_s;
  prediction.parts = answer.parts;
  prediction.source = source_text(stage.unseen(), question.setting, question.work.layout);
  if (!intervals_judged(profile, group_of(question.work.asked, question.work.offload)))
    prediction.source += "; interval by the priors, not checked on rows held out";
}

Prediction answer_to(const Question& question, const Profile* profile) {
  Prediction prediction;
  prediction.gpu_memory_bytes = question.gpu.memory_bytes;
  prediction.memory_bytes = question.memory_bytes;
  prediction.tiled_memory_bytes = question.tiled_bytes;
  prediction.load_disk_s = load_seconds(question.weight_bytes, question.gpu, WeightsFrom::disk);
  prediction.load_host_s = load_seconds(question.weight_bytes, question.gpu, WeightsFrom::host);
  if (question.work.asked != Asked::end_to_end)
    prediction.output_bytes =
        stage_output_bytes(question.kind, question.architecture(), question.work.shape);
  prediction.offload_assumed = question.offload_assumed;
  if (profile != nullptr)
    by_profile(question, *profile, prediction);
  else
    by_roofline(question, prediction);
  prediction.source += rate_note(question);
  if (prediction.offload_assumed) prediction.source += "; offload assumed: weights do not fit";
  if (prediction.gpu_memory_bytes > 0 && prediction.memory_bytes > prediction.gpu_memory_bytes)
    prediction.source += "; activations do not fit either";
  return prediction;
}

Candidate candidate_of(const Question& question) {
  return {features_of(question.architecture(), question.gpu, question.work),
          terms_of(question.architecture(), question.gpu, question.work, question.setting),
          group_of(question.work.asked, question.work.offload)};
}

}  // namespace

std::string Prediction::refused() const {
  std::string line;
  for (const Problem& problem : problems) line += (line.empty() ? "" : "; ") + problem.text();
  return line;
}

Prediction predict(const PredictOptions& options, const Catalogue& catalogue,
                   const Profile* profile) {
  const auto question = question_of(options, catalogue);
  if (question) return answer_to(*question, profile);
  Prediction refused;
  refused.problems = question.error();
  return refused;
}

std::string helpful_measurement(const PredictOptions& options, const Catalogue& catalogue,
                                const Profile& profile) {
  const auto question = question_of(options, catalogue);
  if (!question) return {};
  const Candidate asked = candidate_of(*question);
  Narrowing best;
  PredictOptions chosen;
  std::vector<std::string> models = catalogue.models;
  models.push_back(options.model);
  for (const std::string& model : models)
    for (const char* stage : {"dit_step", "text_encoder", "decoder"}) {
      PredictOptions offered;
      offered.model = model;
      offered.gpu = options.gpu;
      offered.stage = stage;
      offered.framework = options.framework;
      offered.dtype = model == options.model ? options.dtype : "";
      const auto other = question_of(offered, catalogue);
      if (!other || (other->offload_assumed && !question->work.offload)) continue;
      const Narrowing narrowed = narrowing(asked, candidate_of(*other), profile.posterior);
      if (!chosen.model.empty() && narrowed.after >= best.after) continue;
      best = narrowed;
      chosen = offered;
    }
  if (chosen.model.empty()) return {};
  return fmt::format(
      "measure {} of {} on {} at its default size: the spread of the expected seconds falls from "
      "{:.0f} % to {:.0f} %",
      chosen.stage, chosen.model, chosen.gpu, 100 * best.before, 100 * best.after);
}

std::string prediction_text(const PredictOptions& options, const Prediction& prediction,
                            bool with_parts) {
  std::string text = fmt::format("{} {} on {}{}{}\n", options.model, options.stage, options.gpu,
                                 options.parallel.empty() ? "" : ", ", options.parallel);
  if (!prediction.problems.empty()) return text + "  refused: " + prediction.refused() + "\n";
  text += fmt::format("  takes         {:.4g} s   (5 % to 95 %: {:.4g} s to {:.4g} s)\n",
                      prediction.seconds, prediction.lo_s, prediction.hi_s);
  const Parts& parts = prediction.parts;
  const std::array<std::pair<const char*, double>, 8> rows = {
      {{"linear", parts.linear},
       {"attention", parts.attention},
       {"elementwise", parts.elementwise},
       {"encode, decode", parts.other},
       {"reading weights", parts.memory},
       {"offload", parts.offload},
       {"communication", parts.communication},
       {"overhead", parts.overhead}}};
  for (const auto& [name, seconds] : rows)
    if (with_parts && seconds >= kShownShare * prediction.seconds)
      text += fmt::format("    {:<16}{:>10.4g} s {:>5.1f} %\n", name, seconds,
                          100 * seconds / prediction.seconds);
  text += fmt::format("  peak memory   {:.1f} GB of {:.0f} GB", prediction.memory_bytes / 1e9,
                      prediction.gpu_memory_bytes / 1e9);
  if (prediction.tiled_memory_bytes > 0)
    text += fmt::format("; decoding in tiles of {} pixels {:.1f} GB", kUsualTile,
                        prediction.tiled_memory_bytes / 1e9);
  text += '\n';
  text += fmt::format("  loading       {:.3g} s from disk, {:.3g} s from host memory\n",
                      prediction.load_disk_s, prediction.load_host_s);
  if (prediction.output_bytes > 0)
    text += fmt::format("  hands over    {:.2f} MB\n", prediction.output_bytes / 1e6);
  text += "  source        " + prediction.source + "\n";
  if (!prediction.advice.empty()) text += "  would help    " + prediction.advice + "\n";
  return text;
}

std::string prediction_json(const PredictOptions& options, const Prediction& prediction) {
  nlohmann::ordered_json json;
  json["schema"] = "disagfusion.prediction/1";
  json["model"] = options.model;
  json["stage"] = options.stage;
  json["gpu"] = options.gpu;
  if (!prediction.problems.empty()) {
    json["refused"] = prediction.refused();
    return json.dump(2) + "\n";
  }
  json["predicted_s"] = prediction.seconds;
  json["lo_s"] = prediction.lo_s;
  json["hi_s"] = prediction.hi_s;
  json["source"] = prediction.source;
  const Parts& parts = prediction.parts;
  json["parts_s"] = {{"linear", parts.linear},
                     {"attention", parts.attention},
                     {"elementwise", parts.elementwise},
                     {"other", parts.other},
                     {"memory", parts.memory},
                     {"offload", parts.offload},
                     {"communication", parts.communication},
                     {"overhead", parts.overhead}};
  json["memory_bytes"] = prediction.memory_bytes;
  if (prediction.tiled_memory_bytes > 0) json["tiled_memory_bytes"] = prediction.tiled_memory_bytes;
  json["gpu_memory_bytes"] = prediction.gpu_memory_bytes;
  json["load_s"] = {{"disk", prediction.load_disk_s}, {"host", prediction.load_host_s}};
  json["output_bytes"] = prediction.output_bytes;
  json["offload_assumed"] = prediction.offload_assumed;
  if (!prediction.advice.empty()) json["advice"] = prediction.advice;
  return json.dump(2) + "\n";
}

Result<std::string> predict_csv(const std::string& text, const std::string& file,
                                const Catalogue& catalogue, const Profile* profile) {
  auto rows = parse_csv(text, file);
  if (!rows) return tl::unexpected<Problems>(std::move(rows.error()));
  Problems problems;
  const Columns columns(rows->front(), file, problems);
  if (problems.empty() && rows->size() == 1)
    problems.push_back({file, 1, 1, "", "rows to predict", "a header alone", ""});
  if (!problems.empty()) return fail(std::move(problems));
  const Catalogue cached = remembering(catalogue);
  std::string out = "id,predicted_s,lo_s,hi_s,source\n";
  for (std::size_t i = 1; i < rows->size(); ++i) {
    const CsvRow& row = (*rows)[i];
    const std::string id = csv_field(columns.text(row, "id"));
    Prediction answer;
    const PredictOptions options = options_of(columns, row, "", answer.problems);
    for (Problem& problem : answer.problems) problem.line = 0;
    if (answer.problems.empty()) answer = predict(options, cached, profile);
    if (answer.problems.empty()) {
      out += fmt::format("{},{:.6g},{:.6g},{:.6g},{}\n", id, answer.seconds, answer.lo_s,
                         answer.hi_s, csv_field(answer.source));
    } else {
      for (Problem& problem : answer.problems)
        if (problem.file.empty()) problem.path = column_of(problem.path);
      out += fmt::format("{},,,,{}\n", id, csv_field("refused: " + answer.refused()));
    }
  }
  return out;
}

}  // namespace disagfusion::predictor
