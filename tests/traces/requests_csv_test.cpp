#include "traces/requests_csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/traces/temporary_folder.hpp"

namespace disagfusion::traces {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RequestsCsvColumns columns() {
  RequestsCsvColumns made;
  for (const Column column : {Column::arrival_s, Column::model, Column::width, Column::prompt,
                              Column::id, Column::deadline_s}) {
    made.trace.add(column);
  }
  made.trace.extra = {"note", "state"};
  made.stages = {"toy/encoder", "toy/dit"};
  made.model_names = {"toy"};
  return made;
}

Request request() {
  Request made;
  made.clear();
  made.model = ModelId(0);
  made.arrival = TimePoint{1'500'000'000};
  made.shape.width = 512;
  made.prompt = "a \"red\",\nsneaker";
  made.deadline = Duration{60'000'000'001};
  made.extra = {" x", "old"};
  return made;
}

RequestRow completed() {
  RequestRow row;
  row.state = Outcome::completed;
  row.admitted = TimePoint{1'500'000'000};
  row.stages.resize(2);
  row.stages[0] = {
      TimePoint{1}, TimePoint{2}, TimePoint{3}, TimePoint{4}, TimePoint{5}, InstanceId(1), 1, 1};
  row.stages[1].ready = TimePoint{6};
  row.stages[1].instance = InstanceId(2);
  row.stages[1].attempt = 2;
  row.done = TimePoint{3'000'000'000};
  row.latency = Duration{1'500'000'000};
  row.slo_met = true;
  return row;
}

TEST(RequestsCsv, ExactText) {
  const TemporaryFolder folder;
  const std::string path = folder.path("requests.csv");
  auto writer = RequestsCsvWriter::create(path, columns());
  ASSERT_TRUE(writer);
  writer->write(request(), completed());
  RequestRow rejected;
  rejected.state = Outcome::rejected;
  rejected.reason = "queue full";
  Request second = request();
  second.index = 1;
  second.prompt = "";
  second.deadline.reset();
  second.extra = {"", ""};
  writer->write(second, rejected);
  EXPECT_EQ(folder.files(), 0U);  // nothing before commit
  ASSERT_TRUE(writer->commit());
  EXPECT_EQ(read_text(path),
            "id,model,width,deadline_s,prompt,note,trace_state,state,reason,arrival_s,admitted_s,"
            "toy/encoder_ready_s,toy/encoder_transfer_start_s,toy/encoder_transfer_end_s,"
            "toy/encoder_start_s,toy/encoder_end_s,toy/encoder_instance,toy/encoder_attempt,"
            "toy/encoder_batch,toy/dit_ready_s,toy/dit_transfer_start_s,toy/dit_transfer_end_s,"
            "toy/dit_start_s,toy/dit_end_s,toy/dit_instance,toy/dit_attempt,toy/dit_batch,"
            "done_s,latency_s,slo_met\n"
            "1,toy,512,60.000000001,\"a \"\"red\"\",\nsneaker\",\" x\",old,completed,,1.5,1.5,"
            "0.000000001,0.000000002,0.000000003,0.000000004,0.000000005,1,1,1,"
            "0.000000006,,,,,2,2,,3,1.5,true\n"
            "2,toy,512,,,,,rejected,queue full,1.5,,,,,,,,,,,,,,,,,,,,\n");
}

TEST(RequestsCsv, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const std::string path = folder.path("requests.csv");
  auto writer = RequestsCsvWriter::create(path, columns());
  ASSERT_TRUE(writer);
  writer->write(request(), completed());
  ASSERT_TRUE(writer->commit());
  auto reader = open_requests_csv(path);
  ASSERT_TRUE(reader) << reader.error()[0].text();
  Request found;
  RequestRow row;
  Result<bool> got = (*reader)->next(found, row);
  ASSERT_TRUE(got && *got);
  EXPECT_THAT((*reader)->columns().stages, ElementsAre("toy/encoder", "toy/dit"));
  EXPECT_THAT((*reader)->columns().model_names, ElementsAre("toy"));
  EXPECT_THAT((*reader)->columns().trace.extra, ElementsAre("note", "trace_state"));
  EXPECT_EQ(found.id_text(), "1");
  EXPECT_EQ(found.prompt, request().prompt);
  EXPECT_EQ(found.arrival, request().arrival);
  EXPECT_EQ(found.deadline, request().deadline);
  EXPECT_EQ(row.state, Outcome::completed);
  EXPECT_EQ(row.latency, completed().latency);
  EXPECT_EQ(row.slo_met, true);
  EXPECT_EQ(row.stages[0].transfer_start, TimePoint{2});
  EXPECT_EQ(row.stages[0].start, TimePoint{4});
  EXPECT_EQ(row.stages[1].start, std::nullopt);
  EXPECT_EQ(row.stages[1].instance, InstanceId(2));
  EXPECT_EQ(row.stages[1].attempt, 2U);
  EXPECT_FALSE(*(*reader)->next(found, row));
}

TEST(RequestsCsv, WrongFiles) {
  const TemporaryFolder folder;
  const auto first_problem = [&](const std::string& text) {
    auto reader = open_requests_csv(folder.write("r.csv", text));
    if (!reader) return reader.error()[0].text();
    Request found;
    RequestRow row;
    const Result<bool> got = (*reader)->next(found, row);
    return got ? std::string() : got.error()[0].text();
  };
  EXPECT_THAT(first_problem(""), HasSubstr("an empty file"));
  EXPECT_THAT(first_problem("arrival_s,steps\n0,1\n"), HasSubstr("the header of a requests.csv"));
  EXPECT_THAT(first_problem("id,state,arrival_s\n1,done,0\n"),
              HasSubstr("2:3: state: expected one of completed, rejected"));
  EXPECT_THAT(first_problem("id,state,arrival_s\n1,completed,-1\n"), HasSubstr("2:13: arrival_s"));
  EXPECT_THAT(first_problem("id,state,arrival_s,done_s\n1,completed,0,nan\n"), HasSubstr("done_s"));
  EXPECT_THAT(first_problem("id,state,arrival_s,slo_met\n1,completed,0,yes\n"),
              HasSubstr("true or"));
  EXPECT_THAT(first_problem("id,state,arrival_s,d_ready_s,d_batch\n1,completed,0,0,x\n"),
              HasSubstr("d_batch: expected a whole number"));
  EXPECT_THAT(first_problem("id,state,arrival_s\n1,completed\n"), HasSubstr("3 cells"));
}

TEST(AtomicFile, LeavesTheOldFileWithoutCommit) {
  const TemporaryFolder folder;
  const std::string path = folder.write("out.txt", "old");
  {
    auto file = AtomicFile::create(path);
    ASSERT_TRUE(file);
    file->write("new");
  }
  EXPECT_EQ(read_text(path), "old");
  auto file = AtomicFile::create(path);
  ASSERT_TRUE(file);
  std::string large(3'000'000, 'x');
  file->write(large);
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(read_text(path), large);
  EXPECT_EQ(folder.files(), 1U);
}

TEST(AtomicFile, FollowsLinksAndRefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  const std::string path = folder.write("real.txt", "old");
  std::filesystem::create_symlink("real.txt", folder.path("link.txt"));
  auto file = AtomicFile::create(folder.path("link.txt"));
  ASSERT_TRUE(file);
  file->write("new");
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(read_text(path), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link.txt")));
  for (const std::string& wrong :
       {std::string(), folder.path(""), folder.path("none/out.txt"), std::string("/dev/null"),
        path + "/x", folder.path("none") + "/"}) {
    EXPECT_FALSE(AtomicFile::create(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace disagfusion::traces
