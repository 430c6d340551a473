#include "traces/importers/importer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/traces/temporary_folder.hpp"
#include "traces/importers/source_table.hpp"
#include "traces/trace_reader.hpp"
#include "traces/trace_stats.hpp"

namespace disagfusion::traces {
namespace {

using ::testing::HasSubstr;

const std::string kShared = DISAGFUSION_SHARED_DIR;

Result<ImportSummary> import(const std::string& format, const ImportJob& job) {
  return (*find_importer(format))->import(job);
}

TEST(Timestamps, Parsed) {
  EXPECT_EQ(parse_timestamp("1970-01-01 00:00:00"), 0);
  EXPECT_EQ(parse_timestamp("2023-11-16T18:15:46.6805900"), 1'700'158'546'680'590'000);
  EXPECT_EQ(parse_timestamp("2024-02-29 23:59:59"), 1'709'251'199'000'000'000);
  for (const char* text :
       {"", "2023-02-29 00:00:00", "2023-13-01 00:00:00", "2023-01-01 24:00:00", "2023-01-01",
        "2023-01-01 00:00:00Z", "2023-01-01 00:00:00.", "2023-01-01 00:00:00.x",
        "1969-01-01 00:00:00", "2023-01-01 00:00:00.9999999999"}) {
    EXPECT_FALSE(parse_timestamp(text)) << text;
  }
}

TEST(Importers, UnknownFormat) {
  const auto found = find_importer("alibaba-gentd27");
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error()[0].text(), HasSubstr("did you mean 'alibaba-gentd26'?"));
}

TEST(Importers, AzureSample) {
  const TemporaryFolder folder;
  const std::string in =
      folder.write("in.csv",
                   "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
                   "2023-11-16 18:15:50.9951690,396,109");
  const auto summary = import("azure-llm-2023", {in, folder.path("out.csv"), ""});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->rows_written, 2U);
  EXPECT_EQ(read_text(folder.path("out.csv")),
            "arrival_s,ContextTokens,GeneratedTokens\n0,374,44\n4.314579,396,109\n");
}

TEST(Importers, WrongInputLeavesNothing) {
  const TemporaryFolder folder;
  const std::string head = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  for (const std::string& text :
       {std::string(), head, head + "yesterday,1,2\n", head + "2023-11-16 18:15:46,1\n",
        head + "2023-11-16 18:15:46,1,2\n2023-11-16 18:15:45,1,2\n", std::string("a,b\n1,2\n")}) {
    const auto summary =
        import("azure-llm-2023", {folder.write("in.csv", text), folder.path("out.csv"), ""});
    ASSERT_FALSE(summary) << text;
    EXPECT_EQ(folder.files(), 1U);
  }
}

constexpr const char* kGentd26 =
    "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,"
    "negative_prompt_length,num_images_per_prompt,num_inference_steps,checkpoint_model_version_id,"
    "num_lora\n"
    "2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,32.0,G0000,63.0,26.0,1.0,30.0,M0000,0\n"
    "2024-11-15 16:57:59,IMG_2_IMG,FAILED,1.0,G0001,,,,,,2\n";

TEST(Importers, Gentd26Sample) {
  const TemporaryFolder folder;
  const std::string in = folder.write("in.csv", kGentd26);
  const auto summary = import("alibaba-gentd26", {in, folder.path("out.csv"), ""});
  ASSERT_TRUE(summary) << summary.error()[0].text();
  EXPECT_EQ(summary->rows_read, 2U);
  EXPECT_EQ(summary->rows_written, 2U);
  EXPECT_THAT(summary->notes[0], HasSubstr("1 rows with status FAILED are kept"));
  EXPECT_EQ(read_text(folder.path("out.csv")),
            "arrival_s,model,width,height,steps,images,variant,tenant,input_bytes,prompt_tokens,"
            "predict_type,predict_status,exec_time_seconds,prompt_length,negative_prompt_length,"
            "num_lora\n"
            "0,sd3-medium,1024,1024,30,1,M0000,G0000,,16,TXT_2_IMG,SUCCEED,32.0,63.0,26.0,0\n"
            "9,sd3-medium,1024,1024,30,1,,G0001,1500000,,IMG_2_IMG,FAILED,1.0,,,2\n");
}

TEST(Importers, Gentd26OwnMapping) {
  const TemporaryFolder folder;
  const std::string in = folder.write("in.csv", kGentd26);
  const std::string mapping = folder.write(
      "map.yaml",
      "requests:\n  TXT_2_IMG: {model: flux.1-dev, width: 512, height: 768}\n"
      "  IMG_2_IMG: {model: qwen-image-edit, width: 512, height: 512}\n"
      "statuses: [SUCCEED]\nmissing: {steps: 20, images: 2}\ncharacters_per_token: 3\n");
  const auto summary = import("alibaba-gentd26", {in, folder.path("out.csv"), mapping});
  ASSERT_TRUE(summary) << summary.error()[0].text();
  EXPECT_EQ(summary->rows_read, 2U);
  EXPECT_EQ(summary->rows_written, 1U);
  EXPECT_THAT(summary->notes[0], HasSubstr("1 rows with status FAILED are left out"));
  EXPECT_THAT(read_text(folder.path("out.csv")), HasSubstr("\n0,flux.1-dev,512,768,30,1,"));
}

TEST(Importers, Gentd26WrongMapping) {
  const TemporaryFolder folder;
  const std::string in = folder.write("in.csv", kGentd26);
  for (const char* text :
       {"", "[1]", "requests: {}\n", "requests: [a]\nstatuses: [SUCCEED]\n",
        "requests: {TXT_2_IMG: {model: a, width: -1, height: 4, x: 2}}\nstatuses: [SUCCEED]\n"
        "missing: {steps: 1, images: 1}\ncharacters_per_token: 4\n",
        "requests: {TXT_2_IMG: {model: a, width: 8, height: 8}}\nstatuses: [SUCCEED, FAILED]\n"
        "missing: {steps: 1, images: 1}\ncharacters_per_token: 4\n"}) {
    const auto summary =
        import("alibaba-gentd26", {in, folder.path("out.csv"), folder.write("map.yaml", text)});
    ASSERT_FALSE(summary) << text;
    EXPECT_EQ(folder.files(), 2U);
  }
}

TEST(Importers, ShippedAzureTraceIsTheImporters) {
  const std::string source = kShared + "/traces/azure-llm-2023/AzureLLMInferenceTrace_conv.csv";
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "skipped: " << source << " is missing";
  const TemporaryFolder folder;
  const auto summary = import("azure-llm-2023", {source, folder.path("out.csv"), ""});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->rows_written, 19'366U);
  EXPECT_EQ(
      read_text(folder.path("out.csv")),
      read_text(std::string(DISAGFUSION_SOURCE_DIR) + "/traces/azure-llm-2023-conversation.csv"));
}

TEST(Importers, ShippedAzureTraceReads) {
  const std::string path =
      std::string(DISAGFUSION_SOURCE_DIR) + "/traces/azure-llm-2023-conversation.csv";
  EXPECT_LT(std::filesystem::file_size(path), 800'000U);
  const auto stats = trace_stats(path);
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->rows, 19'366U);
  EXPECT_EQ(stats->first.ns, 0);
  EXPECT_NEAR(stats->last.seconds(), 3501.7, 0.1);
}

TEST(Importers, AllOfGentd26) {
  const std::string source = kShared + "/traces/alibaba-gentd26/lora_request_trace.csv";
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "skipped: " << source << " is missing";
  const TemporaryFolder folder;
  const auto summary = import("alibaba-gentd26", {source, folder.path("out.csv"), ""});
  ASSERT_TRUE(summary) << summary.error()[0].text();
  EXPECT_EQ(summary->rows_read, 26'823U);
  EXPECT_EQ(summary->rows_written, 26'823U);
  const auto stats = trace_stats(folder.path("out.csv"));
  ASSERT_TRUE(stats) << stats.error()[0].text();
  // The figures of SOURCE.md beside the file; its peaks are those of whole minutes and hours.
  EXPECT_EQ(stats->rows, 26'823U);
  EXPECT_EQ(stats->last.ns, 1'989'367'000'000'000);
  EXPECT_NEAR(*stats->gap_mean_s, 74.2, 0.05);
  EXPECT_NEAR(*stats->gap_cv, 12.0, 0.05);
  EXPECT_EQ(stats->zero_gaps, 876U);
  EXPECT_EQ(stats->minute.requests, 65U);
  EXPECT_EQ(stats->hour.requests, 480U);
}

}  // namespace
}  // namespace disagfusion::traces
