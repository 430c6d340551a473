// The shipped profile: that the published rows make it, what it answers over the whole catalogue,
// and that its answers are monotone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/scenario_reader.hpp"
#include "predictor/calibrate.hpp"
#include "predictor/predict.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kConfigs = std::string(DISAGFUSION_SOURCE_DIR) + "/configs";

std::string text_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Shipped {
  DiskFiles files{kConfigs};
  Catalogue catalogue = remembering({[this](const std::string& n) { return load_model(n, files); },
                                     [this](const std::string& n) { return load_gpu(n, files); },
                                     files.shipped_names("models")});
  Profile profile =
      read_profile("published.yaml", text_of_file(kConfigs + "/profiles/published.yaml")).value();
};
Shipped& shipped() {
  static Shipped all;
  return all;
}

/// Equal word by word; numbers within `tolerance` of one another (other compilers round otherwise).
void expect_alike(const std::string& a, const std::string& b, double tolerance) {
  std::istringstream left(a), right(b);
  std::string one, other;
  std::size_t words = 0, unlike = 0;
  while (left >> one && right >> other) {
    ++words;
    if (one == other) continue;
    const std::string strip = "{}[],:\"";
    for (std::string* word : {&one, &other})
      for (const char c : strip) std::erase(*word, c);
    char *end_one = nullptr, *end_other = nullptr;
    const double x = std::strtod(one.c_str(), &end_one);
    const double y = std::strtod(other.c_str(), &end_other);
    const bool numbers = *end_one == '\0' && *end_other == '\0' && !one.empty() && !other.empty();
    if (!numbers || std::abs(x - y) > tolerance * std::max({1.0, std::abs(x), std::abs(y)}))
      if (++unlike <= 5) ADD_FAILURE() << one << " against " << other << " (word " << words << ")";
  }
  EXPECT_FALSE(static_cast<bool>(left >> one) || static_cast<bool>(right >> other));
  EXPECT_EQ(unlike, 0U);
}

TEST(PublishedProfile, IsWhatThePublishedRowsMake) {
  const std::string file = kConfigs + "/profiles/published.csv";
  const auto rows = read_measured_rows(text_of_file(file), file, shipped().catalogue, priors());
  ASSERT_TRUE(rows) << testing::text_of(rows.error());
  CalibrateOptions how;
  how.date = shipped().profile.date;
  const auto made = calibrate(*rows, file, how);
  ASSERT_TRUE(made) << testing::text_of(made.error());
  EXPECT_EQ(made->sha256, shipped().profile.sha256);
  expect_alike(profile_yaml(*made), text_of_file(kConfigs + "/profiles/published.yaml"), 1e-3);
}

TEST(PublishedProfile, RowsAreTheSharedOnes) {
  const std::string shared = std::string(DISAGFUSION_SHARED_DIR) + "/data/measured_latencies.csv";
  const std::string text = text_of_file(shared);
  if (text.empty()) GTEST_SKIP() << "skipped: the shared data are not here";
  EXPECT_EQ(text, text_of_file(kConfigs + "/profiles/published.csv"));
}

// What docs/models/predictor.md promises of rows that the fit has not seen.
TEST(PublishedProfile, MissesAsStated) {
  const auto error = [](const std::string& left_out) {
    for (const HeldOutErrors& e : shipped().profile.errors)
      if (e.left_out == left_out && e.stages == "dit and end_to_end") return e;
    return HeldOutErrors{};
  };
  EXPECT_GE(error("model").rows, 230U);
  EXPECT_LE(error("model").median, 0.10);
  EXPECT_LE(error("model").p90, 0.35);
  EXPECT_LE(error("gpu").median, 0.15);
  for (const char* left_out : {"source", "gpu", "model"}) {
    EXPECT_GE(error(left_out).inside, 0.85);
    EXPECT_LE(error(left_out).inside, 0.95);
  }
}

TEST(PublishedProfile, EveryModelOnEveryGpu) {
  const Shipped& all = shipped();
  std::size_t asked = 0, answers = 0;
  for (const std::string& model : all.catalogue.models)
    for (const std::string& gpu : shipped().files.shipped_names("hardware"))
      for (const char* stage : {"encoder", "dit", "decoder", "end_to_end"}) {
        PredictOptions options;
        options.model = model;
        options.stage = stage;
        options.gpu = gpu;
        const Prediction answer = predict(options, all.catalogue, &all.profile);
        ++asked;
        if (!answer.refused().empty()) {
          EXPECT_GT(answer.refused().size(), 10U) << "a refusal says why";
          continue;
        }
        ++answers;
        EXPECT_TRUE(std::isfinite(answer.hi_s) && answer.lo_s > 0 && answer.lo_s < answer.seconds &&
                    answer.seconds < answer.hi_s)
            << model << gpu << stage;
        EXPECT_NEAR(answer.parts.total(), answer.seconds, 1e-9 * answer.seconds);
        EXPECT_THAT(answer.source, ::testing::AnyOf(StartsWith("fitted"), StartsWith("extrapol")));
      }
  EXPECT_GE(answers, 29U * 25U * 4U);
  std::printf("measured: %zu of %zu questions answered, each with an interval\n", answers, asked);
}

PredictOptions any_question() {
  Shipped& all = shipped();
  static const std::vector<std::string> gpus = all.files.shipped_names("hardware");
  PredictOptions options;
  options.model = *rc::gen::elementOf(all.catalogue.models);
  options.gpu = *rc::gen::elementOf(gpus);
  options.stage =
      *rc::gen::element<std::string>("encoder", "dit", "dit_step", "decoder", "end_to_end");
  options.width = 64 * *rc::gen::inRange(4U, 33U);
  options.height = 64 * *rc::gen::inRange(4U, 33U);
  const bool video = all.catalogue.model(options.model)->architecture->vae_t > 1;
  options.frames = video ? 1 + 8 * *rc::gen::inRange(0U, 17U) : 1;
  options.steps = *rc::gen::inRange(1U, 60U);
  options.batch = *rc::gen::inRange(1U, 9U);
  options.parallel =
      *rc::gen::element<std::string>("none", "ulysses2", "ring4", "cfg2xulysses2", "ulysses8+fsdp");
  options.framework = *rc::gen::element<std::string>("", "xDiT compile", "diffusers eager", "new");
  return options;
}

double seconds_of(const PredictOptions& options) {
  const Prediction answer = predict(options, shipped().catalogue, &shipped().profile);
  RC_ASSERT(answer.refused().empty());
  return answer.seconds;
}

RC_GTEST_PROP(PublishedProfile, MoreWorkNeverTakesLess, ()) {
  const PredictOptions asked = any_question();
  const double seconds = seconds_of(asked);
  const auto grown = [&](auto change) {
    PredictOptions more = asked;
    change(more);
    RC_ASSERT(seconds_of(more) >= seconds * (1 - 1e-9));
  };
  grown([](auto& o) { o.width += 64; });
  grown([](auto& o) { o.height += 192; });
  grown([](auto& o) { *o.frames += *o.frames > 1 ? 8 : 0; });
  grown([](auto& o) { *o.steps += 1; });
  grown([](auto& o) { o.batch += 1; });
  grown([](auto& o) { o.offload = true; });
}

// More GPUs: never faster than by their number, never slower than the links alone explain.
RC_GTEST_PROP(PublishedProfile, MoreGpusMakeSense, ()) {
  PredictOptions asked = any_question();
  asked.parallel.clear();
  asked.stage = "dit_step";
  asked.offload = false;
  const double alone = seconds_of(asked);
  const std::uint32_t degree = *rc::gen::element(2U, 4U, 8U);
  asked.degree = degree;
  const Prediction shared = predict(asked, shipped().catalogue, &shipped().profile);
  RC_ASSERT(shared.seconds >= 0.7 * alone / degree);
  RC_ASSERT(shared.seconds - shared.parts.communication <= 2.5 * alone);
}

TEST(PublishedProfile, UnseenThingsAreNamedAndWide) {
  PredictOptions options;
  options.model = "flux.1-dev";
  options.stage = "dit";
  options.gpu = "H100-SXM";
  const Prediction known = predict(options, shipped().catalogue, &shipped().profile);
  EXPECT_EQ(known.source, "fitted");
  options.gpu = "L40S";
  options.parallel = "tp2";
  const Prediction unknown = predict(options, shipped().catalogue, &shipped().profile);
  EXPECT_EQ(unknown.source, "extrapolated: GPU L40S and layout tensor not measured");
  EXPECT_GT(unknown.hi_s / unknown.lo_s, known.hi_s / known.lo_s);
}

TEST(PublishedProfile, NamesTheMeasurementThatWouldHelp) {
  PredictOptions options;
  options.model = "flux.2-dev";
  options.stage = "dit";
  options.gpu = "L40S";
  const std::string advice = helpful_measurement(options, shipped().catalogue, shipped().profile);
  EXPECT_THAT(advice, StartsWith("measure dit_step of "));
  EXPECT_THAT(advice, HasSubstr("on L40S"));
}

TEST(PublishedProfile, OwnRowsPullPredictionsOfAnUnseenGpu) {
  Shipped& all = shipped();
  const auto asked = [&](const Profile& profile) {
    PredictOptions options;
    options.model = "wan2.1-t2v-14b";
    options.stage = "dit";
    options.gpu = "L40S";
    return predict(options, all.catalogue, &profile);
  };
  const Prediction before = asked(all.profile);
  std::string text = "id,model,stage,gpu,dtype,seconds\n";
  for (const char* model : {"FLUX.1-dev", "Qwen-Image", "CogVideoX-5B"}) {
    PredictOptions options;
    options.model = model;
    for (char& c : options.model)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    options.stage = "dit_step";
    options.gpu = "L40S";
    const double seconds = predict(options, all.catalogue, &all.profile).seconds;
    text += fmt::format("own-{},{},dit_step,L40S,bf16,{}\n", model, model, 1.5 * seconds);
  }
  const auto rows = read_measured_rows(text, "own.csv", all.catalogue, all.profile.posterior);
  ASSERT_TRUE(rows) << testing::text_of(rows.error());
  CalibrateOptions how;
  how.date = "2026-11-24";
  how.prior = &all.profile;
  const auto profile = calibrate(*rows, "own.csv", how);
  ASSERT_TRUE(profile) << testing::text_of(profile.error());
  const Prediction after = asked(*profile);
  EXPECT_NEAR(after.seconds / before.seconds, 1.4, 0.15);
  EXPECT_LT(after.hi_s / after.lo_s, 0.8 * before.hi_s / before.lo_s);
  EXPECT_EQ(profile->sha256.size(), 2U);
}

// 2.3, 1.8 and 0.4 times what is expected of one GPU: no effect explains it.
TEST(PublishedProfile, OwnRowsThatContradictOneAnotherAreNamed) {
  Shipped& all = shipped();
  const std::string text =
      "id,model,stage,gpu,framework,seconds\na,flux.1-dev,dit_step,L40S,diffusers eager,1.35\n"
      "b,qwen-image,dit_step,L40S,diffusers eager,3.8\n"
      "c,wan2.1-t2v-1.3b,dit_step,L40S,diffusers eager,1.9\n";
  const auto rows = read_measured_rows(text, "own.csv", all.catalogue, all.profile.posterior);
  ASSERT_TRUE(rows) << testing::text_of(rows.error());
  CalibrateOptions how;
  how.prior = &all.profile;
  const auto profile = calibrate(*rows, "own.csv", how);
  ASSERT_FALSE(profile);
  EXPECT_THAT(testing::text_of(profile.error()), HasSubstr("own.csv:2:1: seconds: expected about"));
}

}  // namespace
}  // namespace disagfusion::predictor
