#include "predictor/roofline.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "predictor/bytes.hpp"
#include "predictor/memory.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

using namespace testing;  // NOLINT: the predictor's own test helpers

Architecture wan_i2v() {
  Architecture wan;
  wan.task = "i2v";
  wan.block_type = "self+cross";
  wan.image_encoder = "CLIP ViT-H/14 0.63B 257 tokens";
  wan.dit_params_b = 16.4;
  wan.text_params_b = 5.68;
  wan.vae_params_m = 127;
  wan.double_layers = 40;
  wan.hidden = 5120;
  wan.vae_t = 4;
  wan.text_seq_in_dit = 769;
  wan.text_max_tokens = 512;
  wan.text_layers = 24;
  wan.text_dim_to_dit = 4096;
  wan.passes_per_step = 2;
  wan.default_steps = 40;
  wan.default_width = 1280;
  wan.default_height = 720;
  wan.default_frames = 81;
  wan.lin_gmac_per_img_token = 11.9538;
  wan.lin_gmac_per_text_token = 2.0972;
  return wan;
}

// n = 21 x 30 x 52 = 32760 tokens; F_lin = 2e9 (n 11.9538 + 769 x 2.0972);
// F_att = 4 x 40 x 5120 n (n + 769)
TEST(Roofline, TokensAndFlopOfWan) {
  const Shape shape{832, 480, 81, 4, 1};
  EXPECT_EQ(image_tokens(wan_i2v(), shape), 32760);
  const DitWork work = dit_work(wan_i2v(), shape);
  EXPECT_DOUBLE_EQ(work.linear_flop, 2e9 * (32760 * 11.9538 + 769 * 2.0972));
  EXPECT_DOUBLE_EQ(work.attention_flop, 4.0 * 40 * 5120 * 32760 * (32760 + 769));
}

// n = (1024 / 16)^2 = 4096, joint attention over n + 512
TEST(Roofline, TokensAndFlopOfFlux) {
  const Shape shape{1024, 1024, 1, 28, 1};
  EXPECT_EQ(image_tokens(flux_architecture(), shape), 4096);
  const DitWork work = dit_work(flux_architecture(), shape);
  EXPECT_DOUBLE_EQ(work.linear_flop, 2e9 * (4096 + 512) * 6.455);
  EXPECT_DOUBLE_EQ(work.attention_flop, 4.0 * 57 * 3072 * 4608 * 4608);
}

TEST(Roofline, OddSizesRoundUp) {
  EXPECT_EQ(image_tokens(flux_architecture(), {1000, 999, 1, 1, 1}), 63.0 * 63.0);
  EXPECT_EQ(latent_frames(wan_i2v(), {832, 480, 80, 1, 1}), 20);
  EXPECT_EQ(latent_frames(wan_i2v(), {832, 480, 1, 1, 1}), 1);
}

// step = (F_lin / (P 0.50) + F_att / (P 0.45)) / phi + 57 x 31 us, phi = (700 / 989)^0.44
TEST(Roofline, StepOfFluxByHand) {
  Call call;
  call.shape = {1024, 1024, 1, 28, 1};
  const StageSeconds seconds = Roofline(flux_architecture(), h100()).seconds(StageKind::dit, call);
  const DitWork work = dit_work(flux_architecture(), call.shape);
  const double phi = std::pow(700.0 / 989.0, 0.44);
  const double step = (work.linear_flop / 0.5 + work.attention_flop / 0.45) / 989e12 / phi;
  EXPECT_NEAR(seconds.per_step.total(), step + 57 * 31e-6, 1e-12);
  EXPECT_NEAR(seconds.total(28), 28 * (step + 57 * 31e-6) + 2e-3, 1e-10);
}

TEST(Roofline, StreamedWeightsBoundASmallStep) {
  Call call;
  call.shape = {256, 256, 1, 1, 1};
  call.offload = true;
  const Parts step = Roofline(flux_architecture(), h100()).seconds(StageKind::dit, call).per_step;
  EXPECT_GT(step.offload, step.linear + step.attention);
  EXPECT_NEAR(step.total() - step.overhead, 2 * 11.9e9 / (0.8 * 64e9), 1e-9);
}

TEST(Roofline, RefusalsSayWhy) {
  Architecture flux = flux_architecture();
  EXPECT_EQ(Roofline(flux, h100()).refusal(StageKind::dit), "");
  EXPECT_NE(Roofline(flux, h100()).refusal(StageKind::other), "");
  flux.lin_gmac_per_img_token = 0;
  EXPECT_NE(Roofline(flux, h100()).refusal(StageKind::dit), "");
  GpuSpec unknown;
  unknown.name = "toy";
  EXPECT_EQ(Roofline(flux_architecture(), unknown).refusal(StageKind::decoder),
            "GPU toy has no 16-bit peak rate");
}

TEST(Bytes, BetweenStages) {
  const Shape image{1024, 1024, 1, 28, 2};
  EXPECT_EQ(encoder_output_bytes(flux_architecture(), image), 2.0 * 512 * 4096);
  EXPECT_EQ(latent_bytes(flux_architecture(), image), 2.0 * 16 * 128 * 128 * 2);
  // Two prompts of 512 tokens, latents of the condition, 257 x 1280 of CLIP.
  const Shape video{832, 480, 81, 4, 1};
  EXPECT_EQ(latent_bytes(wan_i2v(), video), 2.0 * 16 * 21 * 60 * 104);
  EXPECT_EQ(encoder_output_bytes(wan_i2v(), video),
            2 * 2.0 * 512 * 4096 + 2.0 * 16 * 21 * 60 * 104 + 2.0 * 257 * 1280);
  EXPECT_EQ(stage_output_bytes(StageKind::decoder, wan_i2v(), video), 0);
}

TEST(Memory, WeightsAndActivations) {
  EXPECT_DOUBLE_EQ(stage_weight_bytes(StageKind::dit, flux_architecture(), NumberFormat::bf16),
                   23.8e9);
  EXPECT_DOUBLE_EQ(stage_weight_bytes(StageKind::dit, flux_architecture(), NumberFormat::fp8),
                   11.9e9);
  EXPECT_DOUBLE_EQ(stage_weight_bytes(StageKind::encoder, wan_i2v(), NumberFormat::bf16),
                   2 * (5.68e9 + 0.63e9 + 127e6));
  EXPECT_DOUBLE_EQ(streamed_weight_bytes(StageKind::dit, flux_architecture(), NumberFormat::bf16),
                   23.8e9 * 2 / 57);
  Call call;
  call.shape = {1024, 1024, 1, 28, 1};
  EXPECT_DOUBLE_EQ(stage_activation_bytes(StageKind::decoder, flux_architecture(), call),
                   1.7e3 * 1024 * 1024 + kContextBytes);
  EXPECT_DOUBLE_EQ(stage_activation_bytes(StageKind::dit, flux_architecture(), call),
                   28.0 * 4608 * 3072 + kContextBytes);
}

// 1024 in tiles of 512 at every 384: 512 + 512 + 256 a side. The picture: 6 bytes a pixel.
TEST(Memory, TilesLowerTheDecodersPeakAndCostTheirOverlap) {
  Call call;
  call.shape = {1024, 1024, 1, 28, 1};
  call.vae_tile = 512;
  EXPECT_DOUBLE_EQ(stage_activation_bytes(StageKind::decoder, flux_architecture(), call),
                   1.7e3 * 512 * 512 + 6.0 * 1024 * 1024 + kContextBytes);
  EXPECT_DOUBLE_EQ(tiled_share(call.shape, 512), 1.25 * 1.25);
  EXPECT_DOUBLE_EQ(tiled_share(call.shape, 1024), 1);
  EXPECT_DOUBLE_EQ(tiled_share(call.shape, 0), 1);
}

// ---- properties
// ----------------------------------------------------------------------------------

rc::Gen<Call> calls() {
  return rc::gen::map(rc::gen::tuple(rc::gen::inRange(16, 4096), rc::gen::inRange(16, 4096),
                                     rc::gen::inRange(1, 200), rc::gen::inRange(1, 100),
                                     rc::gen::inRange(1, 16), rc::gen::element(1U, 2U, 4U, 8U),
                                     rc::gen::arbitrary<bool>(), rc::gen::inRange(0, 6)),
                      [](const auto& t) {
                        Call call;
                        call.shape = {static_cast<std::uint32_t>(std::get<0>(t)),
                                      static_cast<std::uint32_t>(std::get<1>(t)),
                                      static_cast<std::uint32_t>(std::get<2>(t)),
                                      static_cast<std::uint32_t>(std::get<3>(t)), 1};
                        call.batch = static_cast<std::uint32_t>(std::get<4>(t));
                        call.sequence = std::get<5>(t);
                        call.offload = std::get<6>(t);
                        call.format = static_cast<NumberFormat>(std::get<7>(t));
                        return call;
                      });
}

struct Answers {
  double encoder, dit, decoder, all, memory;
};
Answers answers(const Architecture& model, const Call& call) {
  const Roofline roofline(model, h100());
  const std::uint32_t steps = call.shape.steps;
  return {roofline.seconds(StageKind::encoder, call).total(steps),
          roofline.seconds(StageKind::dit, call).total(steps),
          roofline.seconds(StageKind::decoder, call).total(steps), roofline.end_to_end(call),
          stage_activation_bytes(StageKind::dit, model, call) +
              stage_activation_bytes(StageKind::decoder, model, call)};
}

void expect_no_less(const Answers& more, const Answers& less) {
  constexpr double kRounding =
      1 - 1e-14;  // seconds are sums of parts that grow and parts that fall
  RC_ASSERT(more.encoder >= less.encoder * kRounding);
  RC_ASSERT(more.dit >= less.dit * kRounding);
  RC_ASSERT(more.decoder >= less.decoder * kRounding);
  RC_ASSERT(more.all >= less.all * kRounding);
  RC_ASSERT(more.memory >= less.memory);
}

RC_GTEST_PROP(RooflineProperty, MoreWorkNeverTakesLess, ()) {
  Call call = *calls();
  const Architecture model = *rc::gen::element(wan_i2v(), flux_architecture());
  const Answers before = answers(model, call);
  RC_ASSERT(std::isfinite(before.all) && before.all > 0);
  const auto more = static_cast<std::uint32_t>(*rc::gen::inRange(0, 300));
  switch (*rc::gen::inRange(0, 5)) {
    case 0:
      call.shape.width += more;
      break;
    case 1:
      call.shape.height += more;
      break;
    case 2:
      call.shape.frames += more;
      break;
    case 3:
      call.shape.steps += more;
      break;
    default:
      call.batch += more;
      break;
  }
  expect_no_less(answers(model, call), before);
}

RC_GTEST_PROP(RooflineProperty, MoreGpusHelpAtMostInProportion, ()) {
  Call call = *calls();
  call.sequence = 1;
  const double one = answers(wan_i2v(), call).dit;
  call.sequence = *rc::gen::element(2U, 4U, 8U);
  const double shared = answers(wan_i2v(), call).dit;
  RC_ASSERT(shared * call.sequence >= one * (1 - 1e-9));
}

}  // namespace
}  // namespace disagfusion::predictor
