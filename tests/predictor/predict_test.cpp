#include "predictor/predict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "predictor/csv_rows.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace testing;  // NOLINT: the predictor's own test helpers

Catalogue one_of_each() {
  Catalogue catalogue;
  catalogue.model = [](const std::string& name) -> Result<ModelSpec> {
    if (name != "flux.1-dev")
      return fail(Problem{"", 0, 0, "", "a known model", name, "flux.1-dev"});
    ModelSpec model = chain(name);
    model.architecture = flux_architecture();
    return model;
  };
  catalogue.gpu = [](const std::string& name) -> Result<GpuSpec> {
    if (name == "H100-SXM") return h100();
    if (name != "RTX4090") return fail(Problem{"", 0, 0, "", "a known GPU type", name, ""});
    GpuSpec gpu = h100();
    gpu.name = name;
    gpu.memory_bytes = 24e9;
    return gpu;
  };
  return catalogue;
}

PredictOptions flux_dit() {
  PredictOptions options;
  options.model = "flux.1-dev";
  options.stage = "dit";
  options.gpu = "H100-SXM";
  options.width = options.height = 1024;
  options.steps = 28;
  return options;
}

TEST(Predict, OneQuestion) {
  const Prediction answer = predict(flux_dit(), one_of_each());
  ASSERT_EQ(answer.refused(), "");
  EXPECT_GT(answer.seconds, 1);
  EXPECT_LT(answer.lo_s, answer.seconds);
  EXPECT_GT(answer.hi_s, answer.seconds);
  EXPECT_NEAR(answer.parts.total(), answer.seconds, 1e-12);
  EXPECT_EQ(answer.source, "roofline");
  EXPECT_THAT(prediction_text(flux_dit(), answer), HasSubstr("attention"));
  const auto json = nlohmann::json::parse(prediction_json(flux_dit(), answer));
  EXPECT_EQ(json["predicted_s"], answer.seconds);
  EXPECT_EQ(json["schema"], "disagfusion.prediction/1");
}

TEST(Predict, WeightsThatDoNotFitAreStreamed) {
  PredictOptions options = flux_dit();
  options.gpu = "RTX4090";
  const Prediction answer = predict(options, one_of_each());
  ASSERT_EQ(answer.refused(), "");
  EXPECT_TRUE(answer.offload_assumed);
  EXPECT_THAT(answer.source, HasSubstr("offload assumed"));
  options.dtype = "fp8";
  EXPECT_FALSE(predict(options, one_of_each()).offload_assumed);
}

TEST(Predict, RefusalsSayWhy) {
  const auto refusal = [](auto change) {
    PredictOptions options = flux_dit();
    change(options);
    return predict(options, one_of_each()).refused();
  };
  EXPECT_THAT(refusal([](auto& o) { o.model = "flux"; }), HasSubstr("did you mean 'flux.1-dev'"));
  EXPECT_THAT(refusal([](auto& o) { o.stage = "transfer_enc_dit"; }),
              HasSubstr("stage: expected one of encoder"));
  EXPECT_THAT(refusal([](auto& o) { o.stage = "decodr"; }), HasSubstr("did you mean 'decoder'?"));
  EXPECT_THAT(refusal([](auto& o) { o.gpu = "TPU"; }), HasSubstr("a known GPU type"));
  EXPECT_THAT(refusal([](auto& o) { o.dtype = "q4"; }), HasSubstr("bf16, fp16"));
  EXPECT_THAT(refusal([](auto& o) { o.batch = 0; }), HasSubstr("batch: expected a count from 1"));
  EXPECT_THAT(refusal([](auto& o) { o.height = 0; }), HasSubstr("both"));
  EXPECT_THAT(refusal([](auto& o) { o.width = 1U << 20U; }), HasSubstr("65536"));
  EXPECT_EQ(refusal([](auto& o) { o.frames = 81; }),
            "frames: expected 1 frame, as flux.1-dev makes images, got 81");
  EXPECT_EQ(refusal([](auto& o) { o.frames = 1; }), "");
  EXPECT_THAT(refusal([](auto& o) { o.parallel = "foo"; }),
              HasSubstr("parallel: expected none, or ulysses4, usp4"));
}

TEST(Predict, AllProblemsAtOnce) {
  PredictOptions options = flux_dit();
  options.model = "sana";
  options.gpu = "TPU";
  options.dtype = "q4";
  options.parallel = "foo";
  const Problems problems = predict(options, one_of_each()).problems;
  ASSERT_EQ(problems.size(), 4U) << text_of(problems);
  EXPECT_EQ(problems[0].text(),
            "model: expected a known model, got sana (did you mean 'flux.1-dev'?)");
  EXPECT_EQ(problems[2].path, "dtype");
  EXPECT_EQ(problems[3].path, "parallel");
}

// 24 heads, 57 layers and 256 tokens: all-to-all gives each GPU a head, a ring a token.
TEST(Predict, ALayoutNeedsAPieceForEachGpu) {
  Catalogue catalogue = one_of_each();
  catalogue.model = [](const std::string& name) -> Result<ModelSpec> {
    ModelSpec model = chain(name);
    model.architecture = flux_architecture();
    model.architecture->heads = 24;
    return model;
  };
  const auto refusal = [&](std::uint32_t degree, const std::string& parallel) {
    PredictOptions options = flux_dit();
    options.width = options.height = 256;
    options.degree = degree;
    options.parallel = parallel;
    return predict(options, catalogue).refused();
  };
  EXPECT_EQ(refusal(24, ""), "");
  EXPECT_EQ(refusal(1000, ""),
            "degree: expected at most 24 GPUs over the attention heads of flux.1-dev, got 1000");
  EXPECT_THAT(refusal(1, "tp4xulysses8"), HasSubstr("parallel: expected at most 24 GPUs"));
  EXPECT_EQ(refusal(1, "ring32"), "");
  EXPECT_THAT(refusal(1, "ring64xulysses8"), HasSubstr("at most 256 GPUs over the image tokens"));
  EXPECT_THAT(refusal(1, "pp60"), HasSubstr("at most 57 GPUs over the layers"));
}

TEST(Predict, MoreGpusThanANodeHasWidenTheRoofline) {
  PredictOptions options = flux_dit();
  options.degree = 8;
  const Prediction node = predict(options, one_of_each());
  options.degree = 16;
  const Prediction two = predict(options, one_of_each());
  EXPECT_EQ(node.source, "roofline");
  EXPECT_EQ(two.source, "roofline; layout ulysses over 16 GPUs not measured");
  EXPECT_NEAR(two.hi_s / two.seconds, 2 * node.hi_s / node.seconds, 1e-9);
}

TEST(Predict, SaysWhatRateANumberFormatComputesAt) {
  PredictOptions options = flux_dit();
  const auto source = [&](const std::string& dtype, const std::string& stage) {
    options.dtype = dtype;
    options.stage = stage;
    return predict(options, one_of_each()).source;
  };
  EXPECT_EQ(source("fp8", "dit"), "roofline");
  EXPECT_EQ(source("fp4", "dit"),
            "roofline; fp4 computes at the fp8 rate: no fp4 figure for H100-SXM");
  EXPECT_EQ(source("fp4", "decoder"), "roofline");
  GpuSpec gpu = h100();
  gpu.fp8_dense_tflops = 0;
  EXPECT_EQ(computed_in(gpu, NumberFormat::fp4), NumberFormat::bf16);
  EXPECT_EQ(computed_in(gpu, NumberFormat::int8), NumberFormat::int8);
}

TEST(Predict, LayoutsOfTheDataFile) {
  const auto is = [](const std::string& text, std::uint32_t s, std::uint32_t g, std::uint32_t v) {
    const Layout layout = parse_layout(text).value();
    return layout.sequence() == s && layout.guidance == g && layout.vae == v;
  };
  EXPECT_TRUE(is("none", 1, 1, 1));
  EXPECT_TRUE(is("usp4+fsdp", 4, 1, 1));
  EXPECT_TRUE(is("cfg2xulysses2xring2", 4, 2, 1));
  EXPECT_TRUE(is("ulysses2xcfg2", 2, 2, 1));
  EXPECT_TRUE(is("cfg2xulysses2+hsdp+vae4", 2, 2, 4));
  EXPECT_TRUE(is("disagg", 1, 1, 1));
  EXPECT_TRUE(is("", 1, 1, 1));
  for (const char* text :
       {"foo", "ulysses", "ulysses0", "ulysses4x", "x2", "4", "fsdp2", "ulysses999999999999",
        "cfg2,ring2", "none+fsdp", "ring4096xring2", "ring4096xcfg4096xtp4096"})
    EXPECT_FALSE(parse_layout(text)) << text;
}

TEST(PredictCsv, RefusedRowsKeepTheirId) {
  const std::string csv =
      "id,model,stage,width,height,frames,steps,batch,dtype,gpu,num_gpus,parallel,seconds,notes\n"
      "a,FLUX.1-dev,dit_total,1024,1024,1,28,1,bf16,H100-SXM,1,none,,\"one, two\"\n"
      "b,SANA,dit_total,1024,1024,1,28,1,bf16,H100-SXM,1,none,3.5,\n"
      "c,FLUX.1-dev,memory_only,1024,1024,1,28,1,bf16,H100-SXM,1,none,,\r\n";
  const auto out = predict_csv(csv, "rows.csv", one_of_each());
  ASSERT_TRUE(out) << text_of(out.error());
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < out->size();) {
    const std::size_t end = out->find('\n', at);
    lines.push_back(out->substr(at, end - at));
    at = end + 1;
  }
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0], "id,predicted_s,lo_s,hi_s,source");
  EXPECT_THAT(lines[1], StartsWith("a,"));
  EXPECT_THAT(lines[1], HasSubstr(",roofline"));
  EXPECT_THAT(lines[2], StartsWith("b,,,,"));
  EXPECT_THAT(lines[2], HasSubstr("refused: "));
  EXPECT_THAT(lines[3], StartsWith("c,,,,"));
}

TEST(PredictCsv, MalformedFilesAreProblemsWithPlaces) {
  const auto problems = [](const std::string& csv) {
    const auto out = predict_csv(csv, "rows.csv", one_of_each());
    return out ? std::string("none") : text_of(out.error());
  };
  EXPECT_THAT(problems(""), HasSubstr("rows.csv:1:1"));
  EXPECT_THAT(problems("id,model,gpu\n"), HasSubstr("stage: expected a column"));
  EXPECT_THAT(problems("id,model,stage,gpu,gpu\n"), HasSubstr("a second one"));
  EXPECT_THAT(problems("id,model,stage,gpu,widht\nx,flux.1-dev,dit,H100-SXM,512\n"),
              HasSubstr("rows.csv:1:20: widht: expected a column of "
                        "docs/file-formats.md, got widht (did you mean 'width'?)"));
  EXPECT_THAT(problems("id,model,stage,gpu\na,b,c\n"), HasSubstr("rows.csv:2:1"));
  EXPECT_THAT(problems("id,model,stage,gpu\na,\"b,c,d\n"), HasSubstr("closing quote"));
  EXPECT_THAT(problems("id,model,stage,gpu\n"),
              HasSubstr("rows.csv:1:1: expected rows to predict, got a header alone"));
}

TEST(PredictCsv, ABadNumberRefusesItsRow) {
  const std::string csv =
      "id,model,stage,gpu,width,height,num_gpus,peak_mem_gb\n"
      "a,flux.1-dev,dit,H100-SXM,wide,1024,1,\n"
      "b,flux.1-dev,dit,H100-SXM,-5,1024,1.5,\n"
      "c,flux.1-dev,dit,H100-SXM,1024,1024,1,nan\n"
      "d,flux.1-dev,dit,H100-SXM,1024,1024,0,\n"
      "e,flux.1-dev,dit,H100-SXM,1024,1024,1,30\n";
  const auto out = predict_csv(csv, "rows.csv", one_of_each());
  ASSERT_TRUE(out) << text_of(out.error());
  EXPECT_THAT(*out,
              HasSubstr("a,,,,\"refused: width: expected a number, got wide\"\n"
                        "b,,,,\"refused: width: expected a whole number of at least 1, got -5; "
                        "num_gpus: expected a whole number of at least 1, got 1.5\"\n"
                        "c,,,,\"refused: peak_mem_gb: expected a number, got nan\"\n"
                        "d,,,,\"refused: num_gpus: expected a whole number of at least 1, got 0\"\n"
                        "e,"));
}

TEST(Csv, QuotesRoundTrip) {
  for (const std::string text : {"plain", "a,b", "say \"hi\"", "two\nlines", ""}) {
    const auto rows = parse_csv("h,i\n" + csv_field(text) + ",x\n", "f");
    ASSERT_TRUE(rows);
    EXPECT_EQ((*rows)[1].fields[0].text, text);
  }
}

}  // namespace
}  // namespace disagfusion::predictor
