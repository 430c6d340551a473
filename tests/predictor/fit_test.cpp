// The fitted predictor by itself: formulas, fit, profile, intervals, bad input.
#include "predictor/fit.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "predictor/calibrate.hpp"
#include "predictor/fitted.hpp"
#include "predictor/predict.hpp"
#include "predictor/profile.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

using ::testing::HasSubstr;
using namespace testing;  // NOLINT: the predictor's own test helpers

Work flux_work(Asked asked = Asked::dit_step) {
  Work work;
  work.asked = asked;
  work.shape = {1024, 1024, 1, 28, 1};
  return work;
}

Setting flux_setting() { return {"flux", "H100-SXM", "Hopper", "xDiT eager", "", "a page"}; }

Catalogue flux_on_h100() {
  Catalogue catalogue;
  catalogue.model = [](const std::string& name) -> Result<ModelSpec> {
    if (name != "flux") return fail(Problem{"", 0, 0, "", "a known model", name, "flux"});
    ModelSpec model = chain(name);
    model.architecture = flux_architecture();
    return model;
  };
  catalogue.gpu = [](const std::string& name) -> Result<GpuSpec> {
    if (name != "H100-SXM" && name != "A10")
      return fail(Problem{"", 0, 0, "", "a known GPU type", name, ""});
    GpuSpec gpu = h100();
    gpu.name = name;
    return gpu;
  };
  return catalogue;
}

// n = 4096, m = 512, 57 layers of 3072, b = s = 1, two GPUs by all-to-all over 450 GB/s:
// exchange = 4 x 57 x 4608 x 3072 x 2 x (2 - 1) / 2^2 / 450e9
TEST(Features, OfFluxByHand) {
  Work work = flux_work();
  work.layout.ulysses = 2;
  const Features f = features_of(flux_architecture(), h100(), work);
  EXPECT_DOUBLE_EQ(f.linear, 2e9 * 4608 * 6.455 / 2 / 989e12);
  EXPECT_DOUBLE_EQ(f.attention, 4.0 * 57 * 3072 * 4608 * 4608 / 2 / 989e12);
  EXPECT_DOUBLE_EQ(f.elementwise, 2.0 * 57 * 4608 * 3072 / 2 / 3.35e12);
  EXPECT_DOUBLE_EQ(f.weights, 11.9e9 * 2 / 3.35e12);
  EXPECT_DOUBLE_EQ(f.launch, 57e-3);
  EXPECT_NEAR(f.exchange, 57.0 * 4608 * 3072 * 2 / 450e9, 1e-12);
  EXPECT_DOUBLE_EQ(f.collectives, 57 * 40e-6);
  EXPECT_EQ(f.ring + f.gather + f.stream, 0);
}

TEST(Features, WhatALayoutSends) {
  const auto of = [](const std::string& layout) {
    Work work = flux_work();
    work.layout = parse_layout(layout).value();
    return features_of(flux_architecture(), h100(), work);
  };
  const double all = 57.0 * 4608 * 3072 * 2 / 450e9;
  EXPECT_NEAR(of("ring4").ring, 2 * all * 3 / 4, 1e-12);
  EXPECT_EQ(of("ring4").exchange, 0);
  EXPECT_NEAR(of("tp2").exchange, 4 * all / 2, 1e-12);
  EXPECT_NEAR(of("ulysses2+fsdp").gather, 11.9e9 * 2 / 2 / 450e9, 1e-12);
  EXPECT_DOUBLE_EQ(of("pipefusion2").launch, 57e-3 / 2);
}

// The parts sum to the seconds, and each elasticity is the derivative.
RC_GTEST_PROP(TimeModel, ElasticitiesAreDerivatives, ()) {
  Work work = flux_work(*rc::gen::element(Asked::dit, Asked::end_to_end, Asked::text_encoder));
  work.layout =
      parse_layout(*rc::gen::element<std::string>("none", "ring2", "ulysses2+fsdp")).value();
  work.offload = *rc::gen::arbitrary<bool>();
  const Features features = features_of(flux_architecture(), h100(), work);
  Coefficients logarithms{};
  for (double& x : logarithms) x = *rc::gen::inRange(-200, 200) / 100.0;
  const Timing timing = time_of(features, factors_of(logarithms));
  RC_ASSERT(std::abs(timing.parts.total() - timing.seconds) <= 1e-9 * timing.seconds);
  for (std::size_t c = 0; c < kCoefficients; ++c) {
    Coefficients more = logarithms, less = logarithms;
    more[c] += 1e-4;
    less[c] -= 1e-4;
    const double slope = (std::log(time_of(features, factors_of(more)).seconds) -
                          std::log(time_of(features, factors_of(less)).seconds)) /
                         2e-4;
    RC_ASSERT(std::abs(slope - timing.elasticity[c]) < 1e-6);
    RC_ASSERT(timing.elasticity[c] >= 0);
  }
}

TEST(Effects, NamesOfFrameworksAndFamilies) {
  EXPECT_EQ(framework_of("xDiT compile"), "xdit");
  EXPECT_EQ(framework_of("Wan2.1 official"), "official");
  EXPECT_EQ(framework_of("LightX2V_5 sage"), "lightx2v");
  EXPECT_EQ(framework_of("diffusers+torchao eager"), "diffusers");
  EXPECT_EQ(family_of("wan2.2-i2v-a14b"), "wan");
  EXPECT_EQ(family_of("hunyuanvideo-1.5"), "hunyuan");
  EXPECT_EQ(family_of("cogvideox1.5-5b"), "cog");
  EXPECT_EQ(family_of("video"), "video");
}

std::vector<Observation> rows_at(double factor, std::size_t count) {
  std::vector<Observation> rows;
  for (std::size_t i = 0; i < count; ++i) {
    Work work = flux_work();
    work.shape.width = 512 + 256 * static_cast<std::uint32_t>(i % 4);
    Observation row;
    row.id = std::to_string(i);
    row.model = "flux";
    row.gpu = "H100-SXM";
    row.source = "a page";
    row.features = features_of(flux_architecture(), h100(), work);
    row.terms = terms_of(flux_architecture(), h100(), work, flux_setting());
    row.log_seconds =
        predict_log(row.features, row.terms, row.group, priors()).mean + std::log(factor);
    rows.push_back(row);
  }
  return rows;
}

TEST(Fit, LearnsAFactorAndNarrows) {
  const auto rows = rows_at(1.3, 12);
  const Posterior posterior = fit(rows);
  const LogPrediction before =
      predict_log(rows[0].features, rows[0].terms, rows[0].group, priors());
  const LogPrediction after =
      predict_log(rows[0].features, rows[0].terms, rows[0].group, posterior);
  EXPECT_NEAR(after.mean, rows[0].log_seconds, 0.02);
  EXPECT_LT(after.parameter_sd, 0.2 * before.parameter_sd);
  const Diagnostics found = diagnose(rows, posterior);
  EXPECT_GT(found.rank, 0U);
  EXPECT_LT(found.rank, rows.size());
  EXPECT_GT(found.least_weight, 0.9);
}

TEST(Fit, OneWildRowMovesLittle) {
  auto rows = rows_at(1, 12);
  const Posterior calm = fit(rows);
  rows[5].log_seconds += 3;
  const Posterior disturbed = fit(rows);
  const double moved = predict_log(rows[0].features, rows[0].terms, Group::dit, disturbed).mean -
                       predict_log(rows[0].features, rows[0].terms, Group::dit, calm).mean;
  EXPECT_LT(std::abs(moved), 0.15);
  EXPECT_LT(diagnose(rows, disturbed).least_weight, 0.3);
}

TEST(Fit, IsDeterministicAndContinues) {
  const auto rows = rows_at(1.1, 6);
  const Posterior once = fit(rows), again = fit(rows);
  EXPECT_TRUE(once.mean == again.mean && once.covariance == again.covariance);
  auto own = rows_at(1.8, 3);
  for (Observation& row : own) row.variance_factor = kOwnVariance;
  const Posterior both = fit(own, &once);
  const double before = predict_log(own[0].features, own[0].terms, Group::dit, once).mean;
  const double after = predict_log(own[0].features, own[0].terms, Group::dit, both).mean;
  EXPECT_GT(after, before + 0.5 * (own[0].log_seconds - before));
}

TEST(Fitted, UnseenThingsWidenAndAreNamed) {
  Profile profile;
  profile.posterior = fit(rows_at(1, 12));
  profile.seen[0] = {{"flux"}, {"H100-SXM"}, {}};
  profile.reach = {{{1.6, 2, 2}, {1.6, 2, 2}, {2, 3, 3}}};
  const Work work = flux_work();
  const Features features = features_of(flux_architecture(), h100(), work);
  const FittedStage known(profile, flux_architecture(), h100(), work, flux_setting());
  Setting elsewhere = flux_setting();
  elsewhere.gpu = "A10";
  elsewhere.model = "flux.9";
  const FittedStage unknown(profile, flux_architecture(), h100(), work, elsewhere);
  const FittedSeconds a = known.answer(features), b = unknown.answer(features);
  EXPECT_FALSE(known.unseen().any());
  EXPECT_TRUE(unknown.unseen().gpu && unknown.unseen().model);
  EXPECT_GT(b.hi_s / b.lo_s, 1.2 * a.hi_s / a.lo_s);
  EXPECT_LT(a.lo_s, a.seconds);
  EXPECT_EQ(source_text(known.unseen(), flux_setting(), work.layout), "fitted");
  EXPECT_EQ(source_text(unknown.unseen(), elsewhere, work.layout),
            "extrapolated: GPU A10 and model flux.9 not measured");
}

// A framework that no row had is one drawn from those that had rows; one not stated is no new one.
TEST(Fitted, AnUnseenFrameworkIsNamed) {
  Profile profile;
  profile.posterior = fit(rows_at(1, 12));
  profile.seen[0] = {{"flux"}, {"H100-SXM"}, {}};
  profile.reach = {{{1.6, 2, 2}, {1.6, 2, 2}, {2, 3, 3}}};
  const auto ask = [&](const std::string& framework) {
    Setting setting = flux_setting();
    setting.framework = framework;
    const FittedStage stage(profile, flux_architecture(), h100(), flux_work(), setting);
    const FittedSeconds answer =
        stage.answer(features_of(flux_architecture(), h100(), flux_work()));
    return std::make_pair(source_text(stage.unseen(), setting, {}), answer.hi_s / answer.lo_s);
  };
  EXPECT_EQ(ask("xDiT eager").first, "fitted");
  EXPECT_EQ(ask("").first, "fitted");
  EXPECT_EQ(ask("foo").first, "extrapolated: framework foo not measured");
  EXPECT_GT(ask("foo").second, 1.2 * ask("xDiT eager").second);
}

// The interval of 16 GPUs reaches from where the second node doubles the speed of the first to
// where it adds nothing: sd = ln(16 / 8) / 1.645 beside the rest.
TEST(Fitted, MoreGpusThanANodeHasAreAnUnseenLayout) {
  Profile profile;
  profile.posterior = fit(rows_at(1, 12));
  profile.seen[0] = {{"flux"}, {"H100-SXM"}, {"ulysses"}};
  profile.reach = {{{1.6449, 2, 2}, {1.6, 2, 2}, {2, 3, 3}}};
  const auto ask = [&](std::uint32_t gpus) {
    Work work = flux_work();
    work.layout.ulysses = gpus;
    const FittedStage stage(profile, flux_architecture(), h100(), work, flux_setting());
    const FittedSeconds answer = stage.answer(features_of(flux_architecture(), h100(), work));
    return std::make_pair(source_text(stage.unseen(), flux_setting(), work.layout),
                          answer.hi_s / answer.seconds);
  };
  EXPECT_EQ(ask(8).first, "fitted");
  EXPECT_EQ(ask(16).first, "extrapolated: layout ulysses over 16 GPUs not measured");
  EXPECT_GT(ask(16).second, 2);
  EXPECT_GT(ask(64).second, 8);
  EXPECT_LT(ask(8).second, 2);
}

// What a measurement promises to narrow is what it narrows once made, with the noise kept.
TEST(Fitted, NarrowingIsWhatTheFitDoes) {
  const auto rows = rows_at(1, 12);
  const Posterior before = fit(rows);
  Setting elsewhere = flux_setting();
  elsewhere.gpu = "A10";
  Observation own = rows[0];
  own.variance_factor = kOwnVariance;
  own.terms = terms_of(flux_architecture(), h100(), flux_work(), elsewhere);
  own.log_seconds = predict_log(own.features, own.terms, Group::dit, before).mean;
  const Candidate question{rows[1].features, own.terms, Group::dit};
  const Narrowing promised = narrowing(question, {own.features, own.terms, Group::dit}, before);
  const Posterior after = fit({own}, &before);
  EXPECT_NEAR(promised.before,
              predict_log(question.features, question.terms, Group::dit, before).parameter_sd,
              1e-9);
  EXPECT_NEAR(promised.after,
              predict_log(question.features, question.terms, Group::dit, after).parameter_sd,
              0.02 * promised.before);
}

TEST(Profile, ReadsWhatItWrites) {
  Profile profile;
  profile.date = "2026-11-24";
  profile.sha256 = {"0123abcd"};
  const auto rows = rows_at(1.2, 12);
  profile.posterior = fit(rows);
  profile.diagnostics = diagnose(rows, profile.posterior);
  profile.seen[0] = {{"flux"}, {"H100-SXM"}, {"ring"}};
  profile.reach = {{{1.6, 1.7, 1.8}, {2, 2, 2}, {2, 3, 3}}};
  profile.errors.push_back({"gpu", "dit and end_to_end", 12, 0.1, 0.2, 0.9});
  const std::string text = profile_yaml(profile);
  const auto read = read_profile("p.yaml", text);
  ASSERT_TRUE(read) << text_of(read.error());
  EXPECT_EQ(read->posterior.keys, profile.posterior.keys);
  EXPECT_TRUE(read->posterior.mean.isApprox(profile.posterior.mean, 1e-4));
  EXPECT_TRUE(read->posterior.covariance.isApprox(profile.posterior.covariance, 1e-3));
  EXPECT_EQ(profile_yaml(*read).size(), text.size());
}

TEST(Profile, ProblemsHaveTheirPlaces) {
  Profile profile;
  profile.date = "2026-11-24";
  profile.sha256 = {"0123abcd"};
  const auto rows = rows_at(1.2, 12);
  profile.posterior = fit(rows);
  profile.diagnostics = diagnose(rows, profile.posterior);
  profile.reach = {{{1.6, 1.7, 1.8}, {2, 2, 2}, {2, 3, 3}}};
  const std::string text = profile_yaml(profile);
  const auto problems = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    const auto read = read_profile("p.yaml", changed);
    return read ? std::string("none") : text_of(read.error());
  };
  EXPECT_THAT(problems("noise: {dit: ", "noise: {dat: 1, dit: "), HasSubstr("dat"));
  EXPECT_THAT(problems("effect: linear,", "effect: lineal,"), HasSubstr("did you mean"));
  EXPECT_THAT(problems("mean: ", "mean: .nan, was: "), HasSubstr("p.yaml:"));
  EXPECT_THAT(problems("correlations:\n  - \"\"\n", "correlations:\n"), HasSubstr("lines, one a"));
  EXPECT_THAT(problems("schema: disagfusion.profile/1", "schema: disagfusion.profile/9"),
              HasSubstr("p.yaml:2:9"));
}

// ---- rows of the user --------------------------------------------------------------------------

const char* const kHeader =
    "id,model,stage,width,height,frames,steps,batch,dtype,gpu,seconds,notes\n";

std::string problems_of(const std::string& rows) {
  const auto read = read_measured_rows(kHeader + rows, "rows.csv", flux_on_h100(), priors());
  return read ? "none" : text_of(read.error());
}

TEST(CalibrateRows, BadInputIsALineEach) {
  const std::string good = "a,FLUX,dit_step,1024,1024,1,28,1,bf16,H100-SXM,0.2,\n";
  EXPECT_EQ(problems_of(good), "none");
  EXPECT_THAT(problems_of(""), HasSubstr("rows.csv:1:1: expected rows to fit, got none"));
  EXPECT_THAT(problems_of("a,FLUX,dit_step,1024,1024,1,28,1,bf16,H100-SXM,0,\n"
                          "b,FLUX,dit_step,512,1024,1,28,1,bf16,H100-SXM,-2,\n"
                          "c,FLUX,dit_step,256,1024,1,28,1,bf16,H100-SXM,,\n"
                          "d,FLUX,dit_step,768,1024,1,28,1,bf16,H100-SXM,nan,\n"),
              ::testing::AllOf(HasSubstr("rows.csv:2:48: seconds"), HasSubstr("rows.csv:3:47"),
                               HasSubstr("rows.csv:4:"), HasSubstr("rows.csv:5:")));
  EXPECT_THAT(problems_of("a,SANA,dit_step,1024,1024,1,28,1,bf16,H100-SXM,0.2,\n"),
              HasSubstr("rows.csv:2:3: model"));
  EXPECT_THAT(problems_of("a,FLUX,dit_step,1024,1024,1,28,1,bf16,TPU,0.2,\n"), HasSubstr("gpu"));
  EXPECT_THAT(problems_of(good + "b,FLUX,dit_step,1024,1024,1,28,1,bf16,H100-SXM,0.3,\n"),
              HasSubstr("rows.csv:3:48: seconds: expected about 0.2 s, as line 2 has"));
  EXPECT_THAT(problems_of(good + "a,FLUX,dit_step,512,1024,1,28,1,bf16,H100-SXM,0.1,\n"),
              HasSubstr("each id once"));
  EXPECT_THAT(problems_of("a,FLUX,dit_step,1024,1024,1,28,1,bf16,H100-SXM,200,\n"),
              HasSubstr("milliseconds"));
}

TEST(CalibrateRows, EveryColumnIsKnownAndRead) {
  const auto problems = [](const std::string& text) {
    const auto read = read_measured_rows(text, "rows.csv", flux_on_h100(), priors());
    return read ? "none" : text_of(read.error());
  };
  const std::string header = "id,model,stage,gpu,seconds,";
  const std::string row = "\na,flux,dit_step,H100-SXM,0.2,";
  EXPECT_THAT(problems(header + "widht" + row + "1024\n"),
              HasSubstr("rows.csv:1:28: widht: expected a column"));
  EXPECT_THAT(problems(header + "widht" + row + "1024\n"), HasSubstr("did you mean 'width'?"));
  EXPECT_EQ(problems(header + "peak_mem_gb" + row + "31.5\n"), "none");
  EXPECT_THAT(problems(header + "peak_mem_gb" + row + "nan\n"),
              HasSubstr("rows.csv:2:30: peak_mem_gb: expected a number, got nan"));
  EXPECT_THAT(problems(header + "peak_mem_gb" + row + "-3\n"), HasSubstr("at least 0, got -3"));
}

TEST(Profile, DatesAreDaysOfTheCalendar) {
  EXPECT_TRUE(is_date("2026-11-24"));
  EXPECT_TRUE(is_date("2028-02-29"));
  for (const char* text : {"", "yesterday", "2026-02-30", "2026-13-01", "2026-1-1", "26-11-24",
                           "2026-11-24 ", "+026-11-24"})
    EXPECT_FALSE(is_date(text)) << text;
}

TEST(CalibrateRows, ReferenceRowsAreLeftOut) {
  const auto read = read_measured_rows(
      "id,model,stage,gpu,seconds,split\na,flux,dit_step,H100-SXM,0.2,calibrate\n"
      "b,flux,dit_step,H100-SXM,0.2,reference\nc,flux,transfer_enc_dit,H100-SXM,0.2,calibrate\n",
      "rows.csv", flux_on_h100(), priors());
  ASSERT_TRUE(read) << text_of(read.error());
  EXPECT_EQ(read->observations.size(), 1U);
  EXPECT_EQ(read->left_out, 2U);
}

TEST(CalibrateRows, WhatAQuestionLacksIsInItsColumn) {
  const auto problems = [](const std::string& rest) {
    const auto read =
        read_measured_rows("id,model,stage,gpu,seconds,parallel,num_gpus,frames\n" + rest,
                           "rows.csv", flux_on_h100(), priors());
    return read ? "none" : text_of(read.error());
  };
  EXPECT_EQ(
      problems("a,sana,dti,H100-SXM,0.2,foo,,\n"),
      "rows.csv:2:3: model: expected a known model, got sana (did you mean 'flux'?)\n"
      "rows.csv:2:8: stage: expected one of encoder, text_encoder, image_encoder, vae_encode, "
      "dit, dit_total, dit_step, decoder, end_to_end, got dti (did you mean 'dit'?)\n"
      "rows.csv:2:25: parallel: expected none, or ulysses4, usp4, sp4, ring4, pipefusion4, pp4, "
      "tp4, cfg2, vae4, fsdp, hsdp, or several of these joined by x or +, got foo\n");
  EXPECT_THAT(problems("a,flux,dit_step,H100-SXM,0.2,,5000,\n"),
              HasSubstr("rows.csv:2:31: num_gpus: expected at most 4096 GPUs over the image tokens "
                        "of flux, got 5000"));
  EXPECT_THAT(problems("a,flux,dit_step,H100-SXM,0.2,,,81\n"),
              HasSubstr("frames: expected 1 frame, as flux makes images, got 81"));
}

// One row determines one direction; what held-out rows judge is nothing.
TEST(Calibrate, AFitOfTooFewRowsSaysSo) {
  const auto rows = read_measured_rows(
      std::string(kHeader) + "a,flux,dit_step,1024,1024,1,28,1,bf16,H100-SXM,0.2,\n", "rows.csv",
      flux_on_h100(), priors());
  ASSERT_TRUE(rows);
  const auto profile = calibrate(*rows, "rows.csv", {"2026-11-24", nullptr, nullptr});
  ASSERT_TRUE(profile) << text_of(profile.error());
  EXPECT_THAT(doubt_of(*profile),
              ::testing::StartsWith(fmt::format("rank 1 of {} parameters (1 row, ",
                                                profile->diagnostics.parameters)));
  EXPECT_THAT(doubt_of(*profile), HasSubstr("the priors decide most; intervals are theirs"));
  const auto read = read_profile("p.yaml", profile_yaml(*profile));
  ASSERT_TRUE(read) << text_of(read.error());
  PredictOptions options;
  options.model = "flux";
  options.stage = "dit_step";
  options.gpu = "H100-SXM";
  EXPECT_EQ(predict(options, flux_on_h100(), &*read).source,
            "fitted; interval by the priors, not checked on rows held out");
  Profile judged = *read;
  judged.errors.push_back({"model", "dit and end_to_end", 10, 0.1, 0.2, 0.9});
  EXPECT_FALSE(intervals_judged(judged, Group::dit)) << "the rank is below the common effects";
  judged.diagnostics.rank = common_effects();
  EXPECT_TRUE(intervals_judged(judged, Group::dit));
  EXPECT_FALSE(intervals_judged(judged, Group::other));
  EXPECT_EQ(doubt_of(judged), "");
}

TEST(Calibrate, ThePriorsOwnRowsAreRefused) {
  const auto rows = read_measured_rows(
      std::string(kHeader) + "a,flux,dit_step,1024,1024,1,28,1,bf16,H100-SXM,0.2,\n", "rows.csv",
      flux_on_h100(), priors());
  ASSERT_TRUE(rows);
  CalibrateOptions how;
  how.date = "2026-11-24";
  const auto first = calibrate(*rows, "rows.csv", how);
  ASSERT_TRUE(first) << text_of(first.error());
  how.prior = &*first;
  const auto again = calibrate(*rows, "rows.csv", how);
  ASSERT_FALSE(again);
  EXPECT_THAT(text_of(again.error()), HasSubstr("count twice"));
}

}  // namespace
}  // namespace disagfusion::predictor
