#include "exec/load/load.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.hpp"
#include "base/config_parser.hpp"
#include "base/config_reader.hpp"
#include "base/random.hpp"
#include "exec/clock.hpp"
#include "exec/http/client.hpp"
#include "report/statistics/percentiles.hpp"
#include "traces/requests_csv.hpp"
#include "traces/trace_reader.hpp"

namespace disagfusion::exec {
namespace {

using traces::Outcome;

Problem problem(const std::string& path, std::string expected, std::string got) {
  Problem p;
  p.path = path;
  p.expected = std::move(expected);
  p.got = std::move(got);
  return p;
}

/// What --map says.
struct LoadMap {
  std::map<std::string, std::string> models;
  std::optional<std::string> prompt;
  std::optional<std::uint32_t> width, height, steps, images;
};

Result<LoadMap> read_map(const std::string& path) {
  LoadMap map;
  if (path.empty()) return map;
  std::ifstream file(path);
  if (!file) return fail(problem("--map", "a readable file", path));
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto root = parse_config(path, text);
  if (!root) return fail(std::move(root.error()));
  Problems problems;
  MapReader reader(*root, problems);
  const ConfigNode models = reader.take("models");
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (models.at(i).is_text()) map.models[models.key(i)] = models.at(i).text();
  }
  map.prompt = reader.optional("prompt", as_text());
  map.width = reader.optional("width", as_count(1, 4096));
  map.height = reader.optional("height", as_count(1, 4096));
  map.steps = reader.optional("steps", as_count(1, 1000));
  map.images = reader.optional("images", as_count(1, 10));
  reader.finish();
  if (!problems.empty()) return fail(std::move(problems));
  return map;
}

/// Ids of one run differ from those of every other: the same id would be the same request.
std::string run_prefix() {
  std::uint32_t bits = 0;
  DF_CHECK(::getrandom(&bits, sizeof bits, 0) == static_cast<ssize_t>(sizeof bits));
  return fmt::format("load-{:08x}-", bits);
}

Outcome outcome_of(int status) {
  switch (status) {
    case 200:
      return Outcome::completed;
    case 429:
      return Outcome::rejected;
    case 504:
      return Outcome::timed_out;
    case 409:
      return Outcome::cancelled;
    default:
      return Outcome::failed;
  }
}

std::string reason_of(const HttpReply& reply) {
  if (reply.status == 200) return {};
  if (reply.status == 0) return reply.body;
  const auto parsed = nlohmann::json::parse(reply.body, nullptr, false);
  if (parsed.is_object() && parsed.contains("error") && parsed["error"].is_object()) {
    return parsed["error"].value("message", "");
  }
  return fmt::format("HTTP {}", reply.status);
}

/// One run. Drives everything on its own context and thread.
class LoadRun {
 public:
  LoadRun(const LoadOptions& options, Endpoint server, LoadMap map, traces::TraceReader& trace)
      : options_(options),
        map_(std::move(map)),
        trace_(trace),
        client_(context_, std::move(server)),
        clock_({}, options.speed),
        prefix_(run_prefix()) {}

  /// Every request of the trace with what became of it, in the order in which they ended.
  Result<void> run() {
    asio::co_spawn(context_, send_all(this), asio::detached);
    context_.run();
    if (options_.show_progress) options_.show_progress("");
    if (!problems_.empty()) return fail(problems_);
    return {};
  }

  struct Ended {
    traces::Request request;
    traces::RequestRow row;
  };
  [[nodiscard]] const std::vector<Ended>& ended() const { return ended_; }
  [[nodiscard]] bool answered() const { return answered_; }
  /// Names of the stages that any answer spoke of.
  [[nodiscard]] const std::vector<std::string>& stages() const { return stages_; }
  /// So many pictures were asked for.
  [[nodiscard]] std::uint32_t images_of(const traces::Request& request) const {
    return std::max(1U, map_.images.value_or(request.shape.images));
  }
  /// How late requests were sent, the latest: the generator's own delay.
  [[nodiscard]] double latest_s() const { return latest_.seconds(); }
  /// The server knows the k-th row of the trace by this and k.
  [[nodiscard]] const std::string& ids() const { return prefix_; }

 private:
  static asio::awaitable<void> send_all(LoadRun* self) {
    asio::steady_timer timer(self->context_);
    traces::Request request;
    for (;;) {
      const auto more = self->trace_.next(request);
      if (!more) {
        self->problems_ = more.error();
        self->context_.stop();
        co_return;
      }
      if (!*more) co_return;
      timer.expires_at(self->clock_.at(request.arrival));
      co_await timer.async_wait(use_tuple);
      ++self->sent_;
      asio::co_spawn(self->context_, send(self, request), asio::detached);
      self->progress();
    }
  }

  static asio::awaitable<void> send(LoadRun* self, traces::Request request) {
    self->latest_ = std::max(self->latest_, self->clock_.now() - request.arrival);
    HttpCall call;
    call.method = "POST";
    call.path = "/v1/images/generations";
    call.body = self->body_of(request);
    call.headers.emplace_back("X-Request-Id", self->id_of(request.index));
    if (request.cancel_after) {
      asio::co_spawn(self->context_,
                     cancel(self, request.arrival + *request.cancel_after, request.index),
                     asio::detached);
    }
    const HttpReply reply = co_await self->client_.call(std::move(call));
    const TimePoint done = self->clock_.now();
    traces::RequestRow row;
    row.state = outcome_of(reply.status);
    row.reason = reason_of(reply);
    row.done = done;
    if (row.state == Outcome::completed) row.latency = done - request.arrival;
    self->answered_ = self->answered_ || reply.status != 0;
    if (reply.status == 200) {
      self->take_times(nlohmann::ordered_json::parse(reply.body, nullptr, false), request.arrival,
                       row);
    } else if (reply.status != 0) {
      co_await ask_why(self, request, row);
    }
    self->ended_.push_back({std::move(request), std::move(row)});
    self->progress();
  }

  /// Into the row of a request that was not completed: why, in the word that a simulated one has,
  /// and how far it came. One that the server never took stays as it is.
  static asio::awaitable<void> ask_why(LoadRun* self, const traces::Request& request,
                                       traces::RequestRow& row) {
    HttpCall call;
    call.method = "GET";
    call.path = "/v1/requests/" + self->id_of(request.index);
    const HttpReply reply = co_await self->client_.call(std::move(call));
    if (reply.status != 200) co_return;
    const auto account = nlohmann::ordered_json::parse(reply.body, nullptr, false);
    if (account.is_object()) row.reason = account.value("why", row.reason);
    self->take_times(account, request.arrival, row);
  }

  /// Into the row: what the server says of its own part. Its clock is another: arrival there is
  /// sending here.
  void take_times(const nlohmann::ordered_json& reply, TimePoint sent, traces::RequestRow& row) {
    if (!reply.is_object() || !reply.contains("times") || !reply["times"].is_object()) return;
    const nlohmann::ordered_json& times = reply["times"];
    const double arrived = times.value("arrived_s", 0.0);
    const auto instant = [&](const nlohmann::ordered_json& from,
                             const char* key) -> std::optional<TimePoint> {
      const auto at = from.find(key);
      if (at == from.end() || !at->is_number()) return std::nullopt;
      return sent + from_seconds((at->get<double>() - arrived) * options_.speed);
    };
    row.admitted = instant(times, "admitted_s");
    if (times.contains("slo_met") && times["slo_met"].is_boolean()) {
      row.slo_met = times["slo_met"].get<bool>();
    }
    if (!times.contains("stages")) return;
    for (const auto& [name, stage] : times["stages"].items()) {
      if (!stage.is_object()) continue;
      traces::StageTimes& one = stage_of(row, name);
      one.ready = instant(stage, "ready_s");
      one.transfer_start = instant(stage, "transfer_start_s");
      one.transfer_end = instant(stage, "transfer_end_s");
      one.start = instant(stage, "start_s");
      one.end = instant(stage, "end_s");
      if (stage.contains("instance") && stage["instance"].is_number_unsigned()) {
        one.instance = InstanceId{stage["instance"].get<std::uint32_t>()};
      }
      one.attempt = stage.value("attempt", std::uint16_t{0});
      one.batch = stage.value("batch", std::uint16_t{0});
    }
  }

  /// The row's place for a stage; the first to speak of a stage makes it a column.
  traces::StageTimes& stage_of(traces::RequestRow& row, const std::string& name) {
    auto place = std::find(stages_.begin(), stages_.end(), name);
    if (place == stages_.end()) place = stages_.insert(stages_.end(), name);
    const auto position = static_cast<std::size_t>(place - stages_.begin());
    if (row.stages.size() <= position) row.stages.resize(position + 1);
    return row.stages[position];
  }

  /// The client gives up: tells so, and the request's own call answers.
  static asio::awaitable<void> cancel(LoadRun* self, TimePoint at, std::uint64_t index) {
    asio::steady_timer timer(self->context_, self->clock_.at(at));
    co_await timer.async_wait(use_tuple);
    HttpCall call;
    call.method = "DELETE";
    call.path = "/v1/requests/" + self->id_of(index);
    co_await self->client_.call(std::move(call));
  }

  /// By which the server knows the request.
  [[nodiscard]] std::string id_of(std::uint64_t index) const {
    return prefix_ + std::to_string(index + 1);
  }

  [[nodiscard]] std::string body_of(const traces::Request& request) const {
    nlohmann::ordered_json body;
    const std::vector<std::string>& names = trace_.model_names();
    if (request.model.index() < names.size()) {
      const std::string& name = names[request.model.index()];
      const auto mapped = map_.models.find(name);
      body["model"] = mapped == map_.models.end() ? name : mapped->second;
    }
    body["prompt"] = !request.prompt.empty() ? request.prompt : map_.prompt.value_or("a picture");
    const std::uint32_t width = map_.width.value_or(request.shape.width);
    const std::uint32_t height = map_.height.value_or(request.shape.height);
    if (width > 0 && height > 0) body["size"] = fmt::format("{}x{}", width, height);
    const bool has_steps = trace_.columns().has(traces::Column::steps);
    if (map_.steps || has_steps) body["steps"] = map_.steps.value_or(request.shape.steps);
    body["n"] = images_of(request);
    if (request.guidance > 0) body["guidance"] = request.guidance;
    if (request.priority != 0) body["priority"] = request.priority;
    if (request.deadline) body["deadline_s"] = request.deadline->seconds() / options_.speed;
    if (request.timeout) body["timeout_s"] = request.timeout->seconds() / options_.speed;
    if (!request.tenant.empty()) body["user"] = request.tenant;
    body["seed"] = draw(options_.seed, Purpose::load, request.index, 0) >> 1U;
    body["response_format"] = "b64_json";
    return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  void progress() {
    constexpr std::chrono::milliseconds kBetween{200};
    if (!options_.show_progress || steady_clock::now() - shown_ < kBetween) return;
    shown_ = steady_clock::now();
    options_.show_progress(fmt::format("{} sent, {} answered", sent_, ended_.size()));
  }

  asio::io_context context_{1};
  const LoadOptions& options_;
  LoadMap map_;
  traces::TraceReader& trace_;
  HttpClient client_;
  Clock clock_;
  std::string prefix_;
  std::vector<Ended> ended_;
  std::vector<std::string> stages_;
  bool answered_ = false;
  std::uint64_t sent_ = 0;
  Duration latest_;
  Problems problems_;
  steady_clock::time_point shown_ = steady_clock::now();
};

nlohmann::ordered_json summary_of(const LoadRun& run) {
  std::map<std::string, std::uint64_t> states;
  report::Percentiles latencies;
  double sum = 0;
  for (const LoadRun::Ended& one : run.ended()) {
    ++states[std::string(traces::outcome_name(one.row.state))];
    if (!one.row.latency) continue;
    latencies.add(*one.row.latency);
    sum += one.row.latency->seconds();
  }
  nlohmann::ordered_json summary;
  summary["schema"] = "disagfusion.load/1";
  summary["requests"] = nlohmann::ordered_json{{"offered", run.ended().size()}};
  for (const char* state : {"completed", "rejected", "timed_out", "cancelled", "failed"}) {
    summary["requests"][state] = states[state];
  }
  nlohmann::ordered_json& latency = summary["latency_s"];
  const auto figure = [](std::optional<double> value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
  };
  const double count = static_cast<double>(latencies.count());
  latency["mean"] = count > 0 ? nlohmann::ordered_json(sum / count) : nlohmann::ordered_json();
  latency["p50"] = figure(latencies.at(0.50));
  latency["p95"] = figure(latencies.at(0.95));
  latency["p99"] = figure(latencies.at(0.99));
  latency["max"] = figure(latencies.at(1));
  summary["sent_late_s"] = run.latest_s();
  summary["request_ids"] = run.ids();
  return summary;
}

std::string table_of(const nlohmann::ordered_json& summary) {
  std::string text;
  for (const auto& [state, count] : summary["requests"].items()) {
    std::string words = state;
    std::replace(words.begin(), words.end(), '_', ' ');
    text += fmt::format("  {:<14} {}\n", words, count.get<std::uint64_t>());
  }
  for (const auto& [name, value] : summary["latency_s"].items()) {
    const std::string title = "latency " + name;
    text += value.is_null() ? fmt::format("  {:<14} -\n", title)
                            : fmt::format("  {:<14} {:.4f} s\n", title, value.get<double>());
  }
  text += fmt::format("  the latest request was sent {:.1f} ms after its instant\n",
                      summary["sent_late_s"].get<double>() * 1e3);
  text += fmt::format("  the server knows row 1, 2, ... of the trace as {0}1, {0}2, ...\n",
                      summary["request_ids"].get<std::string>());
  return text;
}

Result<void> write_rows(const std::string& folder, const LoadRun& run,
                        const traces::TraceReader& trace) {
  traces::RequestsCsvColumns columns;
  columns.trace = trace.columns();
  columns.model_names = trace.model_names();
  columns.stages = run.stages();
  for (const auto column : {traces::Column::frames, traces::Column::images}) {
    columns.trace.add(column);
  }
  if (columns.model_names.empty()) columns.model_names.emplace_back();
  auto rows = traces::RequestsCsvWriter::create(folder + "/requests.csv", columns);
  if (!rows) return fail(std::move(rows.error()));
  for (const LoadRun::Ended& one : run.ended()) {
    traces::RequestRow row = one.row;
    row.stages.resize(columns.stages.size());
    traces::Request request = one.request;
    request.shape.frames = std::max(1U, request.shape.frames);
    request.shape.images = run.images_of(request);
    rows->write(request, row);
  }
  return rows->commit();
}

}  // namespace

Result<LoadSummary> run_load(const LoadOptions& options) {
  constexpr double kFastest = 1e6;
  auto server = parse_url(options.url, "URL");
  if (!server) return fail(std::move(server.error()));
  if (!(options.speed > 0 && options.speed <= kFastest)) {
    return fail(
        problem("--speed", "a number above 0, at most 1e6", fmt::format("{}", options.speed)));
  }
  auto map = read_map(options.map);
  if (!map) return fail(std::move(map.error()));
  auto facts = traces::validate(options.trace, traces::TraceContext::any_model());
  if (!facts) return fail(std::move(facts.error()));
  auto trace = traces::open_trace(options.trace, traces::TraceContext::any_model());
  if (!trace) return fail(std::move(trace.error()));
  const std::string folder = options.out.empty() ? "." : options.out;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return fail(problem("--out", "a folder for requests.csv", folder + ": " + error.message()));

  LoadRun run(options, *server, std::move(*map), **trace);
  if (auto done = run.run(); !done) return fail(std::move(done.error()));
  if (auto written = write_rows(folder, run, **trace); !written)
    return fail(std::move(written.error()));
  const auto summary = summary_of(run);
  return LoadSummary{options.json ? summary.dump(1) + "\n" : table_of(summary), run.answered()};
}

}  // namespace disagfusion::exec
