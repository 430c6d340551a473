#include "exec/http/api.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "base/stage_names.hpp"
#include "exec/http/generation.hpp"

namespace disagfusion::exec {

using nlohmann::ordered_json;
using scheduler::EndState;

namespace {

constexpr const char* kBadRequest = "invalid_request_error";
std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

HttpAnswer json_answer(const ordered_json& json, int status = 200) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = dump(json);
  return answer;
}

HttpAnswer not_found() { return http_error(404, kBadRequest, "there is nothing here"); }

/// What follows the prefix, or nothing.
std::optional<std::string> after(const std::string& path, std::string_view prefix) {
  if (path.compare(0, prefix.size(), prefix) != 0 || path.size() == prefix.size())
    return std::nullopt;
  return path.substr(prefix.size());
}

std::string state_name(const Account& account) {
  return account.state == Account::State::ended ? scheduler::name_of(account.end) : "in_progress";
}

/// When an ended request was admitted and where its stages ran, in seconds of the controller's
/// clock.
ordered_json times_of(const Account& account, const scheduler::Setup& setup) {
  const auto instant = [](const std::optional<TimePoint>& at) {
    return at ? ordered_json(at->seconds()) : ordered_json();
  };
  ordered_json times;
  times["arrived_s"] = account.arrived.seconds();
  times["admitted_s"] = instant(account.row.admitted);
  times["ended_s"] = account.ended_at.seconds();
  times["slo_met"] = account.row.slo_met ? ordered_json(*account.row.slo_met) : ordered_json();
  ordered_json& stages = times["stages"] = ordered_json::object();
  const StageGraph& graph = setup.graph;
  const std::size_t model = account.body->model.index();
  for (std::size_t n = graph.first_node[model].index(); n < graph.first_node[model + 1].index();
       ++n) {
    if (n >= account.row.stages.size()) break;
    const traces::StageTimes& stage = account.row.stages[n];
    ordered_json& one = stages[graph.node_names[n]];
    one["ready_s"] = instant(stage.ready);
    one["transfer_start_s"] = instant(stage.transfer_start);
    one["transfer_end_s"] = instant(stage.transfer_end);
    one["start_s"] = instant(stage.start);
    one["end_s"] = instant(stage.end);
    one["instance"] = stage.attempt == 0 ? ordered_json() : ordered_json(stage.instance.value);
    one["attempt"] = stage.attempt;
    one["batch"] = stage.batch;
  }
  return times;
}

/// Waits until the request has ended. `ledger` lives as long as the coroutine.
asio::awaitable<void> until_ended(Ledger& ledger, std::uint64_t number) {
  auto timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor,
                                                    asio::steady_timer::time_point::max());
  bool ended = false;
  ledger.wait(number, [timer, &ended] {
    ended = true;
    timer->cancel();
  });
  if (!ended) co_await timer->async_wait(use_tuple);
}

asio::awaitable<std::vector<std::string>> read_pictures(Controller& controller,
                                                        const Account& account) {
  auto timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor,
                                                    asio::steady_timer::time_point::max());
  auto result = std::make_shared<std::vector<std::string>>();
  controller.pictures(account, [timer, result](std::vector<std::string> pictures) {
    *result = std::move(pictures);
    timer->cancel();
  });
  co_await timer->async_wait(use_tuple);
  co_return std::move(*result);
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8U | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= count ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return out;
}

// ---- routes ------------------------------------------------------------------------------------

asio::awaitable<HttpAnswer> Api::answer(HttpRequest request) {
  const bool good = is_good_id(request.id);
  const std::string id = request_id(request.id);
  request.id = id;
  HttpAnswer answer;
  if (good) {
    answer = co_await route(this, std::move(request));
  } else {
    answer = http_error(
        400, kBadRequest,
        fmt::format("X-Request-Id: expected at most {} letters, digits and -_.:", kLongestId),
        "X-Request-Id");
  }
  answer.headers.emplace_back("X-Request-Id", id);
  metrics_.answered(answer.status);
  co_return answer;
}

asio::awaitable<HttpAnswer> Api::route(Api* self, HttpRequest request) {
  const std::string& path = request.path;
  const bool get = request.method == "GET", post = request.method == "POST";
  if (post && request.content_type.rfind("application/json", 0) != 0) {
    co_return http_error(415, kBadRequest, "Content-Type: expected application/json",
                         "Content-Type");
  }
  if (path == "/v1/images/generations") {
    if (post) co_return co_await generate(self, std::move(request));
    co_return http_error(405, kBadRequest, "expected POST");
  }
  if (const auto id = after(path, "/v1/requests/")) {
    if (get) co_return co_await find_request(self, *id);
    if (request.method == "DELETE") co_return self->cancel_request(*id);
    co_return http_error(405, kBadRequest, "expected GET or DELETE");
  }
  if (after(path, "/v1/admin/")) co_return self->admin(request);
  std::optional<HttpAnswer> answer = self->only_read(path);
  if (!answer) co_return not_found();
  co_return get ? std::move(*answer) : http_error(405, kBadRequest, "expected GET");
}

std::optional<HttpAnswer> Api::only_read(const std::string& path) {
  if (path == "/v1/models") return models();
  if (path == "/healthz") return json_answer({{"status", "ok"}});
  if (path == "/readyz") {
    const bool ready = controller_.ready();
    return json_answer({{"status", ready ? "ready" : "a stage has no ready instance"}},
                       ready ? 200 : 503);
  }
  if (path == "/metrics") {
    HttpAnswer answer;
    answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer.body = metrics_.text();
    return answer;
  }
  return std::nullopt;
}

// ---- images ------------------------------------------------------------------------------------

asio::awaitable<HttpAnswer> Api::generate(Api* self, HttpRequest request) {
  auto body = parse_generation(request.body, self->controller_.deployment(), random_bits());
  if (!body) co_return http_error(400, kBadRequest, body.error().message, body.error().param);
  body->id = request.id;
  const std::uint64_t number = self->controller_.submit(std::move(*body));
  co_await until_ended(self->controller_.ledger(), number);
  co_return co_await pictures_of(self, number, true);
}

asio::awaitable<HttpAnswer> Api::pictures_of(Api* self, std::uint64_t number, bool openai) {
  const Account& account = *self->controller_.ledger().by_number(number);
  const bool completed =
      account.state == Account::State::ended && account.end == EndState::completed;
  if (openai && !completed) co_return self->ended_badly(account);
  ordered_json data = ordered_json::array();
  if (completed) {
    for (const std::string& png : co_await read_pictures(self->controller_, account)) {
      data.push_back({{"b64_json", to_base64(png)}});
    }
  }
  ordered_json json;
  if (openai) {
    json["created"] = static_cast<std::int64_t>(std::time(nullptr));
    json["data"] = std::move(data);
    json["times"] = times_of(account, self->controller_.deployment().setup);
    co_return json_answer(json);
  }
  json["id"] = account.body->id;
  json["object"] = "request";
  json["state"] = state_name(account);
  if (account.why != scheduler::Why::none) json["why"] = scheduler::name_of(account.why);
  json["model"] =
      self->controller_.deployment().setup.graph.model_names[account.body->model.index()];
  json["seed"] = account.body->noise_seed;
  json["arrived_s"] = account.arrived.seconds();
  if (account.state == Account::State::ended) {
    json["ended_s"] = account.ended_at.seconds();
    json["latency_s"] = (account.ended_at - account.arrived).seconds();
    json["times"] = times_of(account, self->controller_.deployment().setup);
  }
  json["data"] = std::move(data);
  co_return json_answer(json);
}

HttpAnswer Api::ended_badly(const Account& account) const {
  const std::string why = scheduler::name_of(account.why);
  switch (account.end) {
    case EndState::rejected: {
      HttpAnswer answer =
          http_error(429, "rate_limit_exceeded", "no room for another request: " + why);
      const double seconds = std::max(1.0, std::ceil(account.retry_after.seconds()));
      answer.headers.emplace_back("Retry-After", fmt::format("{:.0f}", seconds));
      return answer;
    }
    case EndState::timed_out:
      return http_error(504, "timeout", "the request timed out");
    case EndState::cancelled:
      return http_error(409, "cancelled", "the request was cancelled");
    case EndState::failed:
    case EndState::completed:
      break;
  }
  return http_error(500, "server_error", "the request failed: " + why);
}

asio::awaitable<HttpAnswer> Api::find_request(Api* self, std::string id) {
  const Account* account = self->controller_.ledger().find(id);
  if (account == nullptr) co_return http_error(404, kBadRequest, "there is no such request", "id");
  co_return co_await pictures_of(self, account->number, false);
}

HttpAnswer Api::cancel_request(const std::string& id) {
  const Account* account = controller_.ledger().find(id);
  if (account == nullptr) return http_error(404, kBadRequest, "there is no such request", "id");
  controller_.cancel(account->number);
  return json_answer({{"id", id}, {"state", state_name(*account)}}, 202);
}

HttpAnswer Api::models() const {
  ordered_json data = ordered_json::array();
  for (const std::string& name : controller_.deployment().setup.graph.model_names) {
    data.push_back(
        {{"id", name}, {"object", "model"}, {"created", 0}, {"owned_by", "disagfusion"}});
  }
  return json_answer({{"object", "list"}, {"data", std::move(data)}});
}

// ---- operators ---------------------------------------------------------------------------------

HttpAnswer Api::admin(const HttpRequest& request) {
  const std::string what = *after(request.path, "/v1/admin/");
  if (request.method == "GET") {
    if (what == "status") return status();
    if (const auto id = after(what, "explain/")) return explain(*id);
    return not_found();
  }
  if (request.method == "POST") return order(what, request.body);
  return http_error(405, kBadRequest, "expected GET or POST");
}

HttpAnswer Api::status() const {
  const scheduler::Scheduler& scheduler = controller_.session().scheduler();
  const Deployment& deployment = controller_.deployment();
  const scheduler::Setup& setup = deployment.setup;
  const auto workers = controller_.fleet().view();
  ordered_json instances = ordered_json::array();
  for (const scheduler::InstanceView& view : scheduler.instances()) {
    const scheduler::Role& role = setup.roles[view.role.index()];
    ordered_json instance{{"instance", view.key.id.value},
                          {"incarnation", view.key.incarnation},
                          {"state", view.state},
                          {"role", role.name},
                          {"gpu", setup.gpu_types[role.gpu.index()]},
                          {"computing", view.running},
                          {"queued_batches", view.queued}};
    for (const Fleet::View& worker : workers) {
      if (worker.id != view.key.id) continue;
      instance["pid"] = worker.pid;
      instance["connected"] = worker.connected;
      instance["silent_s"] = worker.silent_s;
      instance["restarts"] = worker.restarts;
    }
    instances.push_back(std::move(instance));
  }
  ordered_json stages = ordered_json::array();
  for (std::size_t i = 0; i < setup.graph.weights.size(); ++i) {
    stages.push_back({{"stage", setup.graph.weights[i]},
                      {"queue", scheduler.queue_length(WeightsId{static_cast<std::uint16_t>(i)})}});
  }
  ordered_json requests{{"arrived", controller_.figures().arrived},
                        {"unfinished", scheduler.unfinished_requests()}};
  for (int end = 0; end < 5; ++end) {
    requests[scheduler::name_of(static_cast<EndState>(end))] = controller_.figures().by_end[end];
  }
  return json_answer({{"scenario", deployment.scenario.name},
                      {"now_s", controller_.now().seconds()},
                      {"ready", controller_.ready()},
                      {"requests", std::move(requests)},
                      {"stages", std::move(stages)},
                      {"instances", std::move(instances)},
                      {"stale_events", scheduler.counters().stale_events},
                      {"retries", scheduler.counters().retries}});
}

HttpAnswer Api::explain(const std::string& id) const {
  const Account* account = const_cast<Controller&>(controller_).ledger().find(id);
  if (account == nullptr) return http_error(404, kBadRequest, "there is no such request", "id");
  std::string text = controller_.explain(*account);
  if (text.empty()) {
    text =
        fmt::format("request {} of {}: {} after {:.3f} s\n", account->number,
                    controller_.deployment().setup.graph.model_names[account->body->model.index()],
                    state_name(*account), (account->ended_at - account->arrived).seconds());
  }
  return json_answer({{"id", id}, {"state", state_name(*account)}, {"text", text}});
}

/// The stages of the pool that hosts exactly what `text` names, as the scheduler knows them. Only
/// such a pool has a load time, costs and a memory check for the instance's GPU type.
Result<std::vector<WeightsId>> Api::role_stages(InstanceId instance,
                                                const std::string& text) const {
  const Deployment& deployment = controller_.deployment();
  const scheduler::Setup& setup = deployment.setup;
  Problem problem;
  problem.path = "stages";
  const StageNames names(deployment.scenario.models);
  std::set<WeightsId> wanted;
  std::vector<std::string> parts;
  boost::split(parts, text, boost::is_any_of(",+"));
  for (const std::string& part : parts) {
    const std::vector<NodeId> nodes = names.resolve(part);
    if (nodes.empty()) {
      problem.expected = "a stage";
      problem.got = "\"" + part + "\"";
      problem.nearest = nearest_name(part, names.known());
      return fail(problem);
    }
    for (const NodeId node : nodes) wanted.insert(setup.graph.nodes[node.index()].weights);
  }
  scheduler::InstanceView now;
  for (const scheduler::InstanceView& view : controller_.session().scheduler().instances()) {
    if (view.key.id == instance) now = view;
  }
  const scheduler::Role& role = setup.roles[now.role.index()];
  std::set<std::string> possible;
  for (const scheduler::Role& other : setup.roles) {
    if (other.gpu != role.gpu || other.degree != role.degree) continue;
    possible.insert(other.name);
    if (std::set<WeightsId>(other.stages.begin(), other.stages.end()) != wanted) continue;
    if (std::string_view(now.state) == "ready") return other.stages;
    problem.path = "instance";
    problem.expected = "one that is ready";
    problem.got = fmt::format("instance {}, which is {}", instance.value, now.state);
    return fail(problem);
  }
  problem.expected = fmt::format("what a pool of {} hosts: {}", setup.gpu_types[role.gpu.index()],
                                 fmt::join(possible, " or "));
  problem.got = "\"" + text + "\"";
  return fail(problem);
}

HttpAnswer Api::order(const std::string& name, const std::string& body) {
  static const std::pair<const char*, scheduler::Order> kOrders[] = {
      {"drain", scheduler::Order::drain},
      {"undrain", scheduler::Order::undrain},
      {"re-role", scheduler::Order::re_role},
      {"pin", scheduler::Order::pin},
      {"unpin", scheduler::Order::unpin},
      {"pause-scaling", scheduler::Order::pause_elasticity},
      {"resume-scaling", scheduler::Order::resume_elasticity}};
  const auto* known = std::find_if(std::begin(kOrders), std::end(kOrders),
                                   [&](const auto& entry) { return name == entry.first; });
  if (known == std::end(kOrders)) return not_found();
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    return depth < 3;
  };
  const auto json = nlohmann::json::parse(body.empty() ? "{}" : body, shallow, false);
  if (!json.is_object()) return http_error(400, kBadRequest, "the body is no JSON object", "body");
  const bool of_instance = known->second != scheduler::Order::pause_elasticity &&
                           known->second != scheduler::Order::resume_elasticity;
  InstanceId instance{0};
  if (of_instance) {
    const auto number = json.find("instance");
    const auto views = controller_.session().scheduler().instances();
    const bool there =
        number != json.end() && number->is_number_unsigned() &&
        std::any_of(views.begin(), views.end(), [&](const scheduler::InstanceView& view) {
          return view.key.id.value == number->get<std::uint64_t>();
        });
    if (!there) {
      const std::string got = number == json.end() ? "none" : number->dump();
      return http_error(400, kBadRequest,
                        fmt::format("instance: expected one of 1 to {}, got {}", views.size(), got),
                        "instance");
    }
    instance = InstanceId{number->get<std::uint32_t>()};
  }
  std::vector<WeightsId> stages;
  if (known->second == scheduler::Order::re_role) {
    const auto asked = json.find("stages");
    if (asked == json.end() || !asked->is_string()) {
      return http_error(400, kBadRequest, "stages: expected text such as \"encoder,decoder\"",
                        "stages");
    }
    Result<std::vector<WeightsId>> role = role_stages(instance, asked->get<std::string>());
    if (!role) return http_error(400, kBadRequest, role.error().front().text(), "stages");
    stages = std::move(*role);
  }
  controller_.order(known->second, instance, std::move(stages));
  return json_answer({{"order", name}, {"instance", instance.value}}, 202);
}

}  // namespace disagfusion::exec
