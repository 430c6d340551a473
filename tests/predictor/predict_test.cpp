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
  ASSERT_EQ(answer.refused, "");
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
  ASSERT_EQ(answer.refused, "");
  EXPECT_TRUE(answer.offload_assumed);
  EXPECT_THAT(answer.source, HasSubstr("offload assumed"));
  options.dtype = "fp8";
  EXPECT_FALSE(predict(options, one_of_each()).offload_assumed);
}

TEST(Predict, RefusalsSayWhy) {
  const auto refusal = [](auto change) {
    PredictOptions options = flux_dit();
    change(options);
    return predict(options, one_of_each()).refused;
  };
  EXPECT_THAT(refusal([](auto& o) { o.model = "flux"; }), HasSubstr("did you mean flux.1-dev"));
  EXPECT_THAT(refusal([](auto& o) { o.stage = "transfer_enc_dit"; }), HasSubstr("is none of"));
  EXPECT_THAT(refusal([](auto& o) { o.gpu = "TPU"; }), HasSubstr("a known GPU type"));
  EXPECT_THAT(refusal([](auto& o) { o.dtype = "q4"; }), HasSubstr("bf16, fp16"));
  EXPECT_THAT(refusal([](auto& o) { o.batch = 0; }), HasSubstr("at least 1"));
  EXPECT_THAT(refusal([](auto& o) { o.height = 0; }), HasSubstr("both"));
  EXPECT_THAT(refusal([](auto& o) { o.width = 1U << 20U; }), HasSubstr("65536"));
}

TEST(Predict, LayoutsOfTheDataFile) {
  const auto is = [](const std::string& text, std::uint32_t s, std::uint32_t g, std::uint32_t v) {
    const Layout layout = parse_layout(text);
    return layout.sequence() == s && layout.guidance == g && layout.vae == v;
  };
  EXPECT_TRUE(is("none", 1, 1, 1));
  EXPECT_TRUE(is("usp4+fsdp", 4, 1, 1));
  EXPECT_TRUE(is("cfg2xulysses2xring2", 4, 2, 1));
  EXPECT_TRUE(is("ulysses2xcfg2", 2, 2, 1));
  EXPECT_TRUE(is("cfg2xulysses2+hsdp+vae4", 2, 2, 4));
  EXPECT_TRUE(is("disagg", 1, 1, 1));
  EXPECT_TRUE(is("", 1, 1, 1));
  EXPECT_TRUE(is("x2+ulysses999999999999", 1, 1, 1));
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
              HasSubstr("rows.csv:1:20: widht: expected a column of measured_latencies.csv or of "
                        "predict's answers, got widht (did you mean 'width'?)"));
  EXPECT_THAT(problems("id,model,stage,gpu\na,b,c\n"), HasSubstr("rows.csv:2:1"));
  EXPECT_THAT(problems("id,model,stage,gpu\na,\"b,c,d\n"), HasSubstr("closing quote"));
  EXPECT_THAT(problems("id,model,stage,gpu,width\na,m,dit,g,wide\nb,m,dit,g,1.5\n"),
              HasSubstr("rows.csv:2:11: width: expected a number, got wide\nrows.csv:3:11"));
  EXPECT_THAT(problems("id,model,stage,gpu,width\na,m,dit,g,nan\n"),
              HasSubstr("expected a number"));
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
