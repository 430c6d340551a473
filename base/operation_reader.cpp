#include "base/operation_reader.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/loading.hpp"

namespace disagfusion {

namespace {

const std::vector<std::string> kStatistics{"mean", "p50", "p90", "p95", "p99", "max"};

/// `none` or a time.
Reader<Duration> as_warmup() {
  const Reader<Duration> time = as_duration();
  const std::string expected = "none or a duration such as 24 ms";
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<Duration> {
            if (node.text() == "none") return Duration{};
            if (node.text() != "auto") return time.read(node, problems);
            problems.push_back(
                problem_at(node.place(), expected + " (auto is not yet supported)", "auto"));
            return std::nullopt;
          }};
}

Reader<std::uint32_t> as_replications() {
  const Reader<std::uint32_t> count = as_count(1, 100'000);
  return {count.expected,
          [=](const ConfigNode& node, Problems& problems) -> std::optional<std::uint32_t> {
            if (node.text() != "auto") return count.read(node, problems);
            problems.push_back(
                problem_at(node.place(), count.expected + " (auto is not yet supported)", "auto"));
            return std::nullopt;
          }};
}

/// "180 s", or "1.5x" the unloaded latency.
Reader<LatencyBound> as_latency_bound() {
  const std::string expected = "a duration such as 180 s, or a factor such as 1.5x";
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<LatencyBound> {
            LatencyBound bound;
            const bool factor = parse_quantity(node.text(), Quantity::factor).has_value();
            if (!factor && !parse_quantity(node.text(), Quantity::time)) {
              problems.push_back(problem_at(node.place(), expected, node.shown()));
              return std::nullopt;
            }
            if (factor) {
              bound.times_unloaded = as_factor().read(node, problems);
            } else {
              bound.absolute = as_positive_duration().read(node, problems);
            }
            if (!bound.absolute && !bound.times_unloaded) return std::nullopt;
            return bound;
          }};
}

void read_where(const ConfigNode& node, KnownNames& known, SloSpec& slo, Problems& problems) {
  MapReader map(node, problems, "a map such as {model: NAME, tenant: NAME, priority: 1}");
  slo.where_model = known.model_key(map).value_or("");
  slo.where_tenant = map.get("tenant", as_name(), std::string());
  slo.where_priority = map.optional("priority", as_integer(-1'000'000, 1'000'000));
  if (map.is_map() && node.size() == 0)
    problems.push_back(problem_at(node.place(), "model, tenant or priority", "none"));
  map.finish();
}

void read_statistics(const ConfigNode& node, SloSpec& slo, Problems& problems) {
  MapReader map(node, problems);
  for (const std::string& name : kStatistics)
    if (const auto bound = map.optional(name, as_latency_bound())) slo.statistics[name] = *bound;
  if (node.size() == 0)
    problems.push_back(problem_at(node.place(), "one of " + choice_text(kStatistics, {}), "none"));
  map.finish();
}

SloSpec read_objective(const ConfigNode& node, KnownNames& known, bool in_list,
                       Problems& problems) {
  SloSpec slo;
  MapReader map(node, problems, "a map such as {latency: 180 s, attainment: 95 %}");
  slo.place = node.place();
  const ConfigNode latency = map.take("latency");
  if (!latency.valid()) {
    map.missing("latency", as_latency_bound().expected);
  } else if (latency.is_map()) {
    read_statistics(latency, slo, problems);
  } else {
    slo.latency = as_latency_bound().read(latency, problems);
  }
  const auto attainment = map.optional("attainment", as_share());
  slo.attainment = attainment.value_or(slo.attainment);
  if (latency.is_map() && map.has("attainment")) {
    map.wrong("attainment", "no attainment beside bounds of statistics",
              map.take("attainment").shown());
  } else if (attainment && *attainment <= 0) {
    map.wrong("attainment", "a percentage above 0 %, such as 95 %", map.take("attainment").shown());
  }
  if (in_list) {
    const ConfigNode where = map.take("where");
    if (where.valid()) read_where(where, known, slo, problems);
  }
  map.finish();
  return slo;
}

void read_crash(MapReader& map, FaultSpec& fault) {
  fault.repair = map.optional("repair", as_duration());
  if (map.take("notice").valid())
    map.wrong("notice", "no notice (only reclaim has one)", map.take("notice").shown());
}

void read_reclaim(MapReader& map, FaultSpec& fault) {
  fault.kind = FaultSpec::Kind::reclaim;
  fault.notice = map.required("notice", as_duration());
  if (map.take("repair").valid())
    map.wrong("repair", "no repair (only crash has one)", map.take("repair").shown());
}

FaultSpec read_fault(const ConfigNode& node, std::uint64_t instances, Problems& problems) {
  FaultSpec fault;
  MapReader map(node, problems, "a map such as {at: 600 s, instance: 3, kind: crash}");
  fault.place = node.place();
  const std::string kind =
      map.required("kind", as_choice({"crash", "reclaim"}, {"slow", "partition"}));
  if (kind == "crash") {
    read_crash(map, fault);
  } else if (kind == "reclaim") {
    read_reclaim(map, fault);
  } else {  // reported already: what it would need is unknown
    for (const char* key : {"repair", "notice", "factor"}) map.take(key);
  }
  map.unsupported("mtbf");
  if (map.has("mtbf")) {
    map.take("at");
  } else {
    fault.at = TimePoint{map.required("at", as_duration()).ns};
  }
  const auto instance = map.required("instance", as_count(1));
  fault.instance = instance;
  if (instances > 0 && instance > instances)
    map.wrong("instance", fmt::format("an instance of the fleet, 1 to {}", instances),
              fmt::format("{}", instance));
  map.finish();
  return fault;
}

bool is_loopback(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  if (address == "localhost") return true;
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) == 127;
  return inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/// Splits ADDR:PORT ([ADDR]:PORT); false where it is none.
bool split_address(const std::string& text, std::string& address) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  address = text.substr(0, colon);
  const bool bracketed = address.front() == '[' && address.back() == ']';
  if (bracketed) address = address.substr(1, address.size() - 2);
  if (!bracketed && address.find(':') != std::string::npos) return false;
  const std::string port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos)
    return false;
  return std::stoi(port) <= 65'535;
}

}  // namespace

Reader<std::string> as_listen_address() {
  const std::string expected = "an address and port such as 127.0.0.1:8080";
  return {
      expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<std::string> {
        std::string address;
        if (!node.is_text() || !split_address(node.text(), address)) {
          problems.push_back(problem_at(node.place(), expected, node.shown()));
          return std::nullopt;
        }
        if (is_loopback(address)) return node.text();
        problems.push_back(problem_at(
            node.place(),
            "a loopback address such as 127.0.0.1:8080 (others wait until tokens and TLS exist)",
            node.shown()));
        return std::nullopt;
      }};
}

ControlSpec read_control(MapReader& root) {
  ControlSpec control;
  MapReader map(root.take("control"), root.problems(), "a map such as {delay: 5 ms}");
  control.delay = map.get("delay", as_duration(), control.delay);
  control.jitter_cv = map.get("jitter_cv", as_number(0, 100), control.jitter_cv);
  control.heartbeat = map.get("heartbeat", as_positive_duration(), control.heartbeat);
  const auto lost_after = map.optional("lost_after", as_positive_duration());
  control.lost_after = lost_after.value_or(control.lost_after);
  control.orphan_timeout =
      map.get("orphan_timeout", as_positive_duration(), control.orphan_timeout);
  if (control.lost_after <= control.heartbeat)
    map.wrong(map.has("lost_after") ? "lost_after" : "heartbeat",
              fmt::format("lost_after above heartbeat ({})", duration_text(control.heartbeat)),
              duration_text(control.lost_after));
  map.finish();
  return control;
}

std::optional<Duration> read_request_timeout(MapReader& root) {
  MapReader map(root.take("timeouts"), root.problems(), "a map such as {request: 600 s}");
  const bool none = map.take("request").text() == "none";
  const auto timeout = none ? std::nullopt : map.optional("request", as_positive_duration());
  map.finish();
  return timeout;
}

std::uint32_t read_max_retries(MapReader& root) {
  constexpr std::uint32_t kDefaultRetries = 2;
  MapReader map(root.take("retries"), root.problems(), "a map such as {max: 2}");
  const std::uint32_t most = map.get("max", as_count(0, 1000), kDefaultRetries);
  map.finish();
  return most;
}

std::vector<FaultSpec> read_faults(MapReader& root, std::uint64_t instances) {
  std::vector<FaultSpec> faults;
  const ConfigNode list = root.take("faults");
  if (!list.valid()) return faults;
  if (!list.is_list()) {
    root.wrong("faults", "a list of faults", list.shown());
    return faults;
  }
  for (std::size_t i = 0; i < list.size(); ++i)
    faults.push_back(read_fault(list.at(i), instances, root.problems()));
  return faults;
}

std::vector<SloSpec> read_slo(MapReader& root, KnownNames& known) {
  std::vector<SloSpec> slo;
  const ConfigNode node = root.take("slo");
  if (!node.valid()) return slo;
  if (!node.is_list()) {
    slo.push_back(read_objective(node, known, false, root.problems()));
    return slo;
  }
  for (std::size_t i = 0; i < node.size(); ++i)
    slo.push_back(read_objective(node.at(i), known, true, root.problems()));
  return slo;
}

RunSpec read_run(MapReader& root, std::optional<std::uint32_t> replications) {
  RunSpec run;
  MapReader map(root.take("run"), root.problems(), "a map such as {replications: 1, warmup: none}");
  run.replications = map.get("replications", as_replications(), run.replications);
  run.replications = replications.value_or(run.replications);
  run.warmup = map.get("warmup", as_warmup(), Duration{});
  map.unsupported("precision");
  map.finish();
  return run;
}

std::optional<ServeSpec> read_serve(MapReader& root) {
  const ConfigNode node = root.take("serve");
  if (!node.valid()) return std::nullopt;
  ServeSpec serve;
  MapReader map(node, root.problems(), "a map such as {listen: 127.0.0.1:8080, backend: torch}");
  serve.place = node.place();
  serve.listen = map.get("listen", as_listen_address(), serve.listen);
  serve.backend = map.get("backend", as_choice({"emulated", "torch"}), serve.backend);
  const auto models = map.optional("models", as_text());
  const auto state = map.optional("state", as_text());
  if (models) serve.models = resolve_path(serve.place.file, *models);
  if (state) serve.state = resolve_path(serve.place.file, *state);
  map.finish();
  return serve;
}

}  // namespace disagfusion
