#include "traces/trace_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/traces/temporary_folder.hpp"

namespace disagfusion::traces {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

MixEntry entry(std::uint16_t model, std::uint32_t width, std::uint32_t steps, double weight = 1) {
  MixEntry made;
  made.weight = weight;
  made.model = ModelId(model);
  made.shape = {width, width, 1, steps, 1};
  return made;
}

Scenario two_models() {
  Scenario scenario;
  for (const char* name : {"flux.1-dev", "wan2.2-i2v-a14b"}) {
    ModelSpec model;
    model.name = name;
    scenario.models.push_back(model);
  }
  scenario.workload.mix = {entry(0, 512, 20), entry(0, 1024, 28, 3), entry(1, 832, 4)};
  return scenario;
}

Scenario one_model() {
  Scenario scenario = two_models();
  scenario.models.resize(1);
  scenario.workload.mix.resize(2);
  return scenario;
}

TraceContext context(const Scenario& scenario) { return TraceContext::of(scenario, 1); }

/// Every request of a trace that is right.
std::vector<Request> read_all(const std::string& path, const TraceContext& with) {
  auto reader = open_trace(path, with);
  std::vector<Request> requests;
  if (!reader) {
    ADD_FAILURE() << reader.error()[0].text();
    return requests;
  }
  Request request;
  for (;;) {
    const Result<bool> got = (*reader)->next(request);
    if (!got) {
      ADD_FAILURE() << got.error()[0].text();
      return requests;
    }
    if (!*got) return requests;
    requests.push_back(request);
  }
}

/// The problems of a trace, one line each, without the path.
std::vector<std::string> problems(const TemporaryFolder& folder, const std::string& text,
                                  const Scenario& scenario, const char* name = "t.csv") {
  const std::string path = folder.write(name, text);
  const Result<TraceFacts> facts = validate(path, context(scenario));
  std::vector<std::string> lines;
  if (facts) return lines;
  for (const Problem& problem : facts.error()) {
    EXPECT_EQ(problem.file, path);
    lines.push_back(problem.text().substr(path.size() + 1));
  }
  return lines;
}

constexpr const char* kEveryColumn =
    "arrival_s,model,width,height,frames,steps,images,guidance,variant,loras,priority,deadline_s,"
    "timeout_s,cancel_after_s,tenant,input_bytes,prompt_tokens,prompt_hash,prompt,id,note\n"
    "0.25,wan2.2-i2v-a14b,832,480,81,4,2,3.5,v2,a;b,-1,60,600.5,12,alice,1500000,77,abc,"
    "\"a \"\"red\"\" sneaker,\nnew\",r-1,hello\n"
    "1,flux.1-dev,,,,,,,,,,,,,,,,,,,\n";

TEST(TraceReader, EveryColumn) {
  const TemporaryFolder folder;
  for (const char* const line_end : {"\n", "\r\n"}) {
    std::string text = kEveryColumn;
    if (line_end[0] == '\r') {
      for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) {
        text.replace(at, 1, "\r\n");
      }
    }
    const auto requests =
        read_all(folder.write("t.csv", "\xef\xbb\xbf" + text), context(two_models()));
    ASSERT_EQ(requests.size(), 2U);
    const Request& full = requests[0];
    EXPECT_EQ(full.index, 0U);
    EXPECT_EQ(full.arrival.ns, 250'000'000);
    EXPECT_EQ(full.model, ModelId(1));
    EXPECT_EQ(full.shape, (Shape{832, 480, 81, 4, 2}));
    EXPECT_EQ(full.guidance, 3.5);
    EXPECT_EQ(full.variant, "v2");
    EXPECT_EQ(full.loras, "a;b");
    EXPECT_EQ(full.priority, -1);
    EXPECT_EQ(full.deadline, from_seconds(60));
    EXPECT_EQ(full.timeout, from_seconds(600.5));
    EXPECT_EQ(full.cancel_after, from_seconds(12));
    EXPECT_EQ(full.tenant, "alice");
    EXPECT_EQ(full.input_bytes, 1'500'000U);
    EXPECT_EQ(full.prompt_tokens, 77U);
    EXPECT_EQ(full.prompt_hash, "abc");
    EXPECT_EQ(full.prompt, std::string("a \"red\" sneaker,") + line_end + "new");
    EXPECT_EQ(full.id_text(), "r-1");
    EXPECT_THAT(full.extra, ElementsAre("hello"));
    const Request& bare = requests[1];
    EXPECT_EQ(bare.model, ModelId(0));
    EXPECT_EQ(bare.id_text(), "2");
    EXPECT_FALSE(bare.deadline || bare.timeout || bare.cancel_after || bare.input_bytes);
    EXPECT_TRUE(bare.shape.width == 512 || bare.shape.width == 1024);  // from the mix
  }
}

TEST(TraceReader, JsonlSaysTheSame) {
  const TemporaryFolder folder;
  const auto from_csv = read_all(folder.write("t.csv", kEveryColumn), context(two_models()));
  const auto from_json = read_all(
      folder.write("t.jsonl",
                   R"({"arrival_s": 0.25, "model": "wan2.2-i2v-a14b", "width": 832, "height": 480,)"
                   R"( "frames": 81, "steps": 4, "images": 2.0, "guidance": 3.5, "variant": "v2",)"
                   R"( "loras": ["a", "b"], "priority": -1, "deadline_s": 60, "timeout_s": 600.5,)"
                   R"( "cancel_after_s": 12, "tenant": "alice", "input_bytes": 1500000,)"
                   R"( "prompt_tokens": 77, "prompt_hash": "abc",)"
                   R"( "prompt": "a \"red\" sneaker,\nnew", "id": "r-1", "note": "hello"})"
                   "\n\n"
                   R"({"note": null, "model": "flux.1-dev", "arrival_s": 1e0})"),
      context(two_models()));
  ASSERT_EQ(from_json.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Request &a = from_csv[i], &b = from_json[i];
    EXPECT_EQ(a.arrival, b.arrival);
    EXPECT_EQ(a.model, b.model);
    EXPECT_EQ(a.shape, b.shape);
    EXPECT_EQ(a.guidance, b.guidance);
    EXPECT_EQ(a.loras, b.loras);
    EXPECT_EQ(a.priority, b.priority);
    EXPECT_EQ(a.deadline, b.deadline);
    EXPECT_EQ(a.input_bytes, b.input_bytes);
    EXPECT_EQ(a.prompt, b.prompt);
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.extra, b.extra);
  }
}

TEST(TraceReader, ArrivalsAloneGetTheMix) {
  const TemporaryFolder folder;
  std::string text = "arrival_s\n";
  for (int i = 0; i < 4000; ++i) text += std::to_string(i) + "\n";
  Scenario scenario = one_model();
  scenario.workload.mix[1].deadline = from_seconds(30);
  scenario.workload.mix[1].tenant = "big";
  const auto requests = read_all(folder.write("t.csv", text), context(scenario));
  ASSERT_EQ(requests.size(), 4000U);
  int big = 0;
  const RequestMix mix(scenario.workload.mix, scenario.models, 1);
  for (const Request& request : requests) {
    const MixEntry& expected = mix.pick(request.index);
    EXPECT_EQ(request.shape, expected.shape);
    EXPECT_EQ(request.deadline, expected.deadline);
    EXPECT_EQ(request.tenant, expected.tenant);
    big += request.shape.width == 1024 ? 1 : 0;
  }
  EXPECT_NEAR(big, 3000, 5 * std::sqrt(4000 * 0.75 * 0.25));
}

TEST(TraceReader, CellsOverrideTheMix) {
  const TemporaryFolder folder;
  Scenario scenario = one_model();
  scenario.workload.mix.resize(1);
  scenario.workload.mix[0].deadline = from_seconds(30);
  const auto requests = read_all(folder.write("t.csv", "arrival_s,steps,deadline_s\n0,,\n1,50,9\n"),
                                 context(scenario));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].shape, (Shape{512, 512, 1, 20, 1}));
  EXPECT_FALSE(requests[0].deadline);  // the column is there: no deadline is meant
  EXPECT_EQ(requests[1].shape, (Shape{512, 512, 1, 50, 1}));
  EXPECT_EQ(requests[1].deadline, from_seconds(9));
}

TEST(TraceReader, Notes) {
  const TemporaryFolder folder;
  const std::string path =
      folder.write("t.csv", "arrival_s,variant,loras,widht,deadline,state\n0,a,b,1,2,3\n");
  const Result<TraceFacts> facts = validate(path, context(one_model()));
  ASSERT_TRUE(facts);
  ASSERT_EQ(facts->notes.size(), 4U);
  EXPECT_THAT(facts->notes[0], HasSubstr("variant"));
  EXPECT_THAT(facts->notes[1], HasSubstr("loras"));
  EXPECT_THAT(facts->notes[2], HasSubstr("did you mean width?"));
  EXPECT_THAT(facts->notes[3], HasSubstr("did you mean deadline_s?"));
}

TEST(TraceReader, WrongCells) {
  const TemporaryFolder folder;
  const Scenario scenario = two_models();
  const std::string header = "arrival_s,model,steps,deadline_s\n";
  const auto of = [&](const std::string& rows) {
    return problems(folder, header + rows, scenario);
  };
  EXPECT_THAT(
      of("0,flux.1-dev,20,\n0,flux.1-dv,x,-1\n"),
      ElementsAre("3:3: model: expected a model of the scenario, got flux.1-dv "
                  "(did you mean 'flux.1-dev'?)",
                  "3:13: steps: expected a whole number from 1 to 10000, got x",
                  "3:15: deadline_s: expected seconds from 0 to 1e+06, such as 12.5, got -1"));
  for (const char* const arrival : {"nan", "inf", "-1", "1e9", "1e400", "abc", "0x1", "1;5"}) {
    EXPECT_THAT(of(std::string(arrival) + ",flux.1-dev,,\n"),
                ElementsAre(std::string("2:1: arrival_s: expected seconds from 0 to 1e+08, such as "
                                        "12.5, got ") +
                            arrival));
  }
  EXPECT_THAT(of(",flux.1-dev,1,\n"), ElementsAre(HasSubstr("2:1: arrival_s: expected seconds")));
  EXPECT_THAT(of("0,,1,\n"), ElementsAre("2:3: model: expected a model: the scenario has more than "
                                         "one, got nothing"));
  EXPECT_THAT(of("5,flux.1-dev,1,\n4.5,flux.1-dev,1,\n"),
              ElementsAre("3:1: arrival_s: expected arrivals in order: at least 5, got 4.5"));
  EXPECT_THAT(of("0,flux.1-dev,1,2000000\n"), ElementsAre(HasSubstr("deadline_s")));
  EXPECT_THAT(of("0,flux.1-dev,0,\n"), ElementsAre(HasSubstr("steps")));
}

TEST(TraceReader, WrongForm) {
  const TemporaryFolder folder;
  const auto of = [&](const std::string& text) { return problems(folder, text, one_model()); };
  EXPECT_THAT(of(""), ElementsAre(HasSubstr("got an empty file")));
  EXPECT_THAT(of("arrival_s\n"), ElementsAre(HasSubstr("expected at least one request")));
  EXPECT_THAT(of("arrival_s\n\n\n"), ElementsAre(HasSubstr("expected at least one request")));
  EXPECT_THAT(of("arival_s,steps\n0,1\n"),
              ElementsAre("1: expected the column arrival_s, got no such column, but arival_s"));
  EXPECT_THAT(of("0,1\n1,2\n"), ElementsAre(HasSubstr("the column arrival_s")));
  EXPECT_THAT(of("arrival_s,steps,steps\n0,1,1\n"),
              ElementsAre("1:17: expected each column once, got steps again"));
  EXPECT_THAT(of("arrival_s,a,a,\n0,1,1,\n"),
              ElementsAre("1:13: expected each column once, got a again",
                          "1:15: expected a column name, got nothing"));
  EXPECT_THAT(of("arrival_s,steps\n0,1\n1\n2,1,1\n3,x\n"),
              ElementsAre("3: expected 2 cells, as in the header, got 1",
                          "4: expected 2 cells, as in the header, got 3", HasSubstr("5:3: steps")));
  EXPECT_THAT(of("arrival_s,tenant\n0,a\"b\n"), ElementsAre(HasSubstr("2:4: expected a quote")));
  EXPECT_THAT(of("arrival_s,tenant\n0,\"ab\n1,c\n"),
              ElementsAre("2:3: expected a closing quote, got the end of the file"));
  EXPECT_THAT(of("arrival_s,tenant\n0,\"ab\"c\n"), ElementsAre(HasSubstr("2:7: expected a comma")));
  EXPECT_THAT(of("arrival_s,tenant\r0,a\r"), ElementsAre(HasSubstr("carriage return")));
  EXPECT_THAT(of(std::string("arrival_s\n0\0\n", 13)), ElementsAre(HasSubstr("NUL")));
  EXPECT_THAT(of("\x1f\x8b\x08"), ElementsAre(HasSubstr("a gzip file")));
  EXPECT_THAT(of("arrival_s,id\n0,a\n1,b\n2,a\n"),
              ElementsAre("4: id: expected each id once, got a again"));
  EXPECT_THAT(problems(folder, "arrival_s\n0\n", two_models()),
              ElementsAre(HasSubstr("the column model")));
}

TEST(TraceReader, TooManyColumns) {
  const TemporaryFolder folder;
  std::string header = "arrival_s", cells = "0", object = "{\"arrival_s\": 0";
  for (int i = 0; i < 200'000; ++i) {
    header += ",c" + std::to_string(i);
    cells += ",1";
    object += ", \"c" + std::to_string(i) + "\": 1";
  }
  EXPECT_THAT(problems(folder, header + "\n" + cells + "\n", one_model()),
              ElementsAre("1: expected at most 1000 columns, got 200001"));
  EXPECT_THAT(problems(folder, object + "}\n", one_model(), "t.jsonl"),
              ElementsAre("1: expected at most 1000 keys, got more"));
}

TEST(TraceReader, LinesAndColumnsInsideQuotes) {
  const TemporaryFolder folder;
  EXPECT_THAT(problems(folder, "prompt,arrival_s,steps\n\"a\n\"\"b\"\"\nc\",x,1\n", one_model()),
              ElementsAre(HasSubstr("4:4: arrival_s")));
}

TEST(TraceReader, ManyProblemsAreCounted) {
  const TemporaryFolder folder;
  std::string text = "arrival_s\n";
  for (int i = 0; i < 1000; ++i) text += "x\n";
  const auto found = problems(folder, text, one_model());
  ASSERT_EQ(found.size(), kMostProblems + 1);
  EXPECT_THAT(found.back(), HasSubstr("980 more"));
}

TEST(TraceReader, WrongFiles) {
  const TemporaryFolder folder;
  const auto why = [&](const std::string& path) {
    const Result<TraceFacts> facts = validate(path, context(one_model()));
    return facts ? std::string() : facts.error()[0].text();
  };
  EXPECT_THAT(why(folder.path("none.csv")), HasSubstr("No such file"));
  EXPECT_THAT(why(folder.path("")), HasSubstr("a folder"));
  EXPECT_THAT(why("/dev/null"), HasSubstr("no regular file"));
}

TEST(TraceReader, WrongJsonl) {
  const TemporaryFolder folder;
  const auto of = [&](const std::string& text) {
    return problems(folder, text, one_model(), "t.jsonl");
  };
  EXPECT_THAT(of("\n \n"), ElementsAre(HasSubstr("expected at least one request")));
  EXPECT_THAT(
      of("{\"arrival_s\": 0}\n{\"arrival_s\": \"1\"}\n"),
      ElementsAre(HasSubstr("2:15: arrival_s: expected seconds from 0 to 1e+08, such as 12.5, "
                            "got a string")));
  EXPECT_THAT(of("{\"arrival_s\": 0, \"model\": 3}\n"), ElementsAre(HasSubstr("1:27: model")));
  EXPECT_THAT(of("{\"arrival_s\": 0, \"steps\": true}\n"), ElementsAre(HasSubstr("true or false")));
  EXPECT_THAT(of("{\"arrival_s\": 0}\n[1]\n"),
              ElementsAre(HasSubstr("2: expected one JSON object")));
  EXPECT_THAT(of("{\"arrival_s\": 0}\n{\"arrival_s\": 1\n"), ElementsAre(HasSubstr("broken JSON")));
  EXPECT_THAT(of("{\"arrival_s\": 0}\n{\"arrival_s\": 1} x\n"), ElementsAre(HasSubstr("JSON")));
  EXPECT_THAT(of("{\"arrival_s\": 0}{\"arrival_s\": 1}\n"), ElementsAre(HasSubstr("JSON")));
  EXPECT_THAT(of("{\"arrival_s\": NaN}\n"), ElementsAre(HasSubstr("1")));
  EXPECT_THAT(of("{\"arrival_s\": -1}\n"), ElementsAre(HasSubstr("got -1")));
  EXPECT_THAT(of("{\"arrival_s\": 0, \"arrival_s\": 1}\n"),
              ElementsAre(HasSubstr("each key once")));
  EXPECT_THAT(of("{\"arrival_s\": 0, \"x\": 1, \"x\": 1}\n"),
              ElementsAre(HasSubstr("each key once")));
  EXPECT_THAT(of("{\"arrival_s\": 5}\n{\"steps\": 5}\n"), ElementsAre(HasSubstr("2: arrival_s")));
  EXPECT_THAT(of("{\"arrival\": 5}\n"), ElementsAre(HasSubstr("the column arrival_s")));
  for (const char* broken :
       {"nul", "trux", "1.2.3", "\"a", "[1", "{\"b\": 1", "-", "\"\\u12\"", "+1"}) {
    EXPECT_THAT(of(std::string("{\"arrival_s\": 0, \"x\": ") + broken + "}\n"),
                ElementsAre(HasSubstr("1: expected one JSON object")))
        << broken;
    EXPECT_THAT(of(std::string("{\"arrival_s\": 0, \"tenant\": ") + broken + "}\n"),
                ElementsAre(HasSubstr("1")))
        << broken;
  }
  EXPECT_THAT(of("{]\n"), ElementsAre(HasSubstr("1: expected one JSON object")));
}

TEST(TraceReader, BlocksJoinAnywhere) {
  // Rows longer and shorter than any block boundary, quoted and not.
  const TemporaryFolder folder;
  std::mt19937 bits(1);
  std::string text = "arrival_s,tenant,prompt\n";
  std::vector<std::string> prompts;
  for (int i = 0; i < 3000; ++i) {
    std::string prompt(bits() % 700, 'p');
    if (i == 1500) prompt.assign(900'000, 'q');
    if (i % 3 == 0) prompt += "\"\"\n,";
    text += std::to_string(i) + ",t" + std::to_string(i) + ",\"" + prompt + "\"\r\n";
    if (i % 3 == 0) prompt.replace(prompt.size() - 4, 4, "\"\n,");
    prompts.push_back(prompt);
  }
  const auto requests = read_all(folder.write("t.csv", text), context(one_model()));
  ASSERT_EQ(requests.size(), 3000U);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ASSERT_EQ(requests[i].prompt, prompts[i]);
    ASSERT_EQ(requests[i].tenant, "t" + std::to_string(i));
  }
}

TEST(TraceReader, RandomBytesNeverCrash) {
  const TemporaryFolder folder;
  std::mt19937 bits(7);
  const std::string alphabet = "arrival_s,model\"\n\r{}[]:0123456789.eE-+ nulltrue\\\xff\x00\xc3";
  for (int i = 0; i < 1500; ++i) {
    std::string text = i % 2 == 0 ? "arrival_s,model,prompt\n0,flux.1-dev,x\n" : "";
    if (i % 3 == 0) text = "{\"arrival_s\": 0, \"prompt\": \"x\"}\n";
    const std::size_t changes = 1 + bits() % 8;
    for (std::size_t k = 0; k < changes; ++k) {
      const std::size_t at = text.empty() ? 0 : bits() % text.size();
      text.insert(at, 1, alphabet[bits() % alphabet.size()]);
      if (bits() % 3 == 0) text.erase(bits() % text.size(), 1 + bits() % 3);
    }
    const std::string path = folder.write(i % 5 == 0 ? "t.jsonl" : "t.csv", text);
    const Result<TraceFacts> facts = validate(path, context(one_model()));
    EXPECT_TRUE(facts || !facts.error().empty());
  }
}

}  // namespace
}  // namespace disagfusion::traces
