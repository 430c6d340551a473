#include "traces/trace_commands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/traces/temporary_folder.hpp"
#include "traces/trace_stats.hpp"

namespace disagfusion::traces {
namespace {

using ::testing::HasSubstr;

struct Finished {
  int status = 0;
  std::string out, err;
};

Finished stats(const std::string& path, bool json) {
  std::ostringstream out, err;
  const int status = run_trace_stats({path, json}, out, err);
  return {status, out.str(), err.str()};
}

Finished generate(const TraceGenerateOptions& options) {
  std::ostringstream out, err;
  const int status = run_trace_generate(options, out, err);
  return {status, out.str(), err.str()};
}

TEST(TraceStats, ByHand) {
  const TemporaryFolder folder;
  // Gaps 0, 10, 50, 60, 120: mean 48, population variance (0 + 100 + 2500 + 3600 + 14400) / 5 -
  // 48^2 = 1816. Whole minutes before the last arrival (at 240 s): counts 3, 1, 1, 0; mean 5/4,
  // variance 11/4 - 25/16 = 19/16; dispersion 19/20.
  const std::string path = folder.write(
      "t.csv",
      "arrival_s,model,width,height,steps\n0,a,8,8,1\n0,a,8,8,1\n10,b,8,8,1\n60,a,16,8,2\n"
      "120,a,8,8,1\n240,a,8,8,1\n");
  const auto found = trace_stats(path);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rows, 6U);
  EXPECT_DOUBLE_EQ(found->rate_per_s, 5.0 / 240);
  EXPECT_DOUBLE_EQ(*found->gap_mean_s, 48);
  EXPECT_DOUBLE_EQ(*found->gap_cv, std::sqrt(1816.0) / 48);
  EXPECT_EQ(found->zero_gaps, 1U);
  EXPECT_EQ(found->minute.requests, 3U);  // [0, 60); 60 is outside
  EXPECT_EQ(found->hour.requests, 6U);
  EXPECT_DOUBLE_EQ(*found->dispersion_minute, 0.95);
  EXPECT_EQ(found->by_model.at("a"), 5U);
  EXPECT_EQ(found->by_shape.at("16x8, 2 steps"), 1U);

  const Finished json = stats(path, true);
  EXPECT_EQ(json.status, 0);
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["schema"], "disagfusion.trace-stats/1");
  EXPECT_EQ(parsed["gap_s"]["mean"], 48.0);
  EXPECT_EQ(parsed["models"]["b"], 1);
  const Finished table = stats(path, false);
  EXPECT_THAT(table.out, HasSubstr("3 requests in the 60 s from 0 s"));
}

TEST(TraceStats, OneRowHasNoNan) {
  const TemporaryFolder folder;
  const Finished json = stats(folder.write("t.csv", "arrival_s\n5\n"), true);
  EXPECT_EQ(json.status, 0);
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_TRUE(parsed["gap_s"]["mean"].is_null());
  EXPECT_TRUE(parsed["dispersion_minute"].is_null());
  EXPECT_EQ(parsed["rate_per_s"], 0.0);
}

TEST(TraceStats, BadInput) {
  const TemporaryFolder folder;
  const Finished run = stats(folder.write("t.csv", "arrival_s\n5\n4\nx\n"), true);
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("t.csv:3:1: arrival_s"));
  EXPECT_THAT(run.err, HasSubstr("t.csv:4:1: arrival_s"));
}

TEST(TraceGenerate, FromFlags) {
  const TemporaryFolder folder;
  TraceGenerateOptions options;
  options.process = "deterministic";
  options.rate_per_s = 2;
  options.requests = 3;
  options.output = folder.path("out.csv");
  EXPECT_EQ(generate(options).status, 0);
  EXPECT_EQ(read_text(options.output), "arrival_s\n0\n0.5\n1\n");
  options.process = "poisson";
  options.requests = 2000;
  EXPECT_EQ(generate(options).status, 0);
  const auto found = trace_stats(options.output);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->rate_per_s, 2, 0.25);
  EXPECT_NEAR(*found->gap_cv, 1, 0.1);
}

TEST(TraceGenerate, WrongFlags) {
  const TemporaryFolder folder;
  TraceGenerateOptions options;
  options.process = "poison";
  options.width = 0;
  options.output = folder.path("out.csv");
  const Finished run = generate(options);
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("--requests"));
  EXPECT_THAT(run.err, HasSubstr("did you mean 'poisson'?"));
  EXPECT_THAT(run.err, HasSubstr("--width"));
  EXPECT_THAT(run.err, HasSubstr("--model"));
  EXPECT_EQ(folder.files(), 0U);
  options.process = "gamma";
  options.width.reset();
  options.requests = 5;
  EXPECT_THAT(generate(options).err, HasSubstr("--rate"));
  options.rate_per_s = std::nan("");
  EXPECT_EQ(generate(options).status, 2);
  options.rate_per_s = 1;
  EXPECT_THAT(generate(options).err, HasSubstr("--cv"));
  options.cv = 2;
  EXPECT_EQ(generate(options).status, 0);
  options.output = folder.path("out.jsonl");
  EXPECT_THAT(generate(options).err, HasSubstr("a CSV file"));
}

TEST(TraceGenerate, FromScenario) {
  const TemporaryFolder folder;
  TraceGenerateOptions options;
  options.scenario = folder.write("s.yaml", R"(name: toy
models:
  - {name: toy, stages: [{name: encoder}, {name: dit, after: [encoder]}]}
workload:
  trace: in.csv
  rate_scale: 2
  mix: [{weight: 1, model: toy, width: 640, height: 480, steps: 4}]
fleet:
  gpus: {A10: 2}
  pools: [{stages: [encoder], gpu: A10, count: 1}, {stages: [dit], gpu: A10, count: 1}]
network: none
costs: [{stage: encoder, seconds: 1}, {stage: dit, seconds: 2}]
)");
  folder.write("in.csv", "arrival_s,tag\n0,a\n3,b\n");
  options.output = folder.path("out.csv");
  ::setenv("DISAGFUSION_CONFIGS", DISAGFUSION_SOURCE_DIR "/configs", 1);
  const Finished run = generate(options);
  EXPECT_EQ(run.err, "");
  EXPECT_EQ(read_text(options.output),
            "arrival_s,model,width,height,frames,steps,images,tag\n0,toy,640,480,1,4,1,a\n"
            "1.5,toy,640,480,1,4,1,b\n");
  options.rate_per_s = 3;
  EXPECT_THAT(generate(options).err, HasSubstr("--rate"));
  options.rate_per_s.reset();
  folder.write("in.csv", "arrival_s,tag\n0,a\n-3,b\n");
  EXPECT_THAT(generate(options).err, HasSubstr("in.csv:3:1: arrival_s"));
}

TEST(TraceImport, Reports) {
  const TemporaryFolder folder;
  const std::string in = folder.write("in.csv",
                                      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                                      "2023-11-16 18:15:46.6805900,374,44\n");
  std::ostringstream out, err;
  EXPECT_EQ(run_trace_import({"azure-llm-2023", in, folder.path("o.csv"), ""}, out, err), 0);
  EXPECT_THAT(out.str(), HasSubstr("1 rows of"));
  EXPECT_EQ(err.str(), "");
  EXPECT_EQ(run_trace_import({"azure-llm-2023", in, folder.path("o.csv"), "m.yaml"}, out, err), 2);
  EXPECT_THAT(err.str(), HasSubstr("--mapping"));
  EXPECT_THAT(importer_list(), HasSubstr("alibaba-gentd26"));
}

}  // namespace
}  // namespace disagfusion::traces
