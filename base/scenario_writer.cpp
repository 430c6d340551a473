#include "base/scenario_writer.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/config_node.hpp"
#include "base/scenario_reader.hpp"
#include "base/spec_fields.hpp"
#include "base/units.hpp"

namespace disagfusion {

namespace {

/// One flow map: keys in the order given, absent values left out.
class FlowMap {
 public:
  FlowMap& raw(const std::string& key, const std::string& value) {
    body_ += fmt::format("{}{}: {}", body_.empty() ? "" : ", ", yaml_text(key), value);
    return *this;
  }
  FlowMap& text(const std::string& key, const std::string& value) {
    return value.empty() ? *this : raw(key, yaml_text(value));
  }
  template <class Number>
  FlowMap& number(const std::string& key, Number value) {
    return raw(key, fmt::format("{}", value));
  }
  FlowMap& duration(const std::string& key, Duration value) {
    return raw(key, duration_text(value));
  }
  FlowMap& slots(const std::string& key, std::uint32_t value) {
    return value == kUnlimited ? raw(key, "unlimited") : number(key, value);
  }
  template <class T, class Write>
  FlowMap& maybe(const std::optional<T>& value, Write write) {
    if (value) write(*value);
    return *this;
  }
  [[nodiscard]] std::string str() const { return "{" + body_ + "}"; }

 private:
  std::string body_;
};

std::string flow_list(const std::vector<std::string>& items) {
  return fmt::format("[{}]", fmt::join(items, ", "));
}

/// "key:\n  - item\n  - item\n", or nothing for no items.
std::string block_list(const std::string& key, const std::vector<std::string>& items,
                       int indent = 0) {
  if (items.empty()) return {};
  std::string out = fmt::format("{:{}}{}:\n", "", indent, key);
  for (const std::string& item : items) out += fmt::format("{:{}}- {}\n", "", indent + 2, item);
  return out;
}

template <class List, class Write>
std::vector<std::string> each(const List& list, Write write) {
  std::vector<std::string> out;
  for (const auto& item : list) out.push_back(write(item));
  return out;
}

std::string share_text(double share) {
  // The shortest percentage that reads back as the same share.
  for (int digits = 1; digits <= 17; ++digits) {
    const std::string text = fmt::format("{:.{}g}", share * 100, digits);
    if (text.find('e') == std::string::npos && std::stod(text) / 100 == share) return text + " %";
  }
  return fmt::format("{} %", share * 100);
}

std::string written_path(const std::string& path, const std::string& folder) {
  namespace fs = std::filesystem;
  if (folder.empty() || path.empty()) return path;
  std::error_code error;
  const fs::path relative = fs::proximate(path, folder, error);
  return error || relative.empty() ? path : relative.string();
}

// ---- models, hardware
// ----------------------------------------------------------------------------

std::string kind_text(StageKind kind) {
  static const char* const kNames[]{"encoder", "image_encoder", "dit", "decoder", "other"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string stage_text(const ModelSpec& model, const StageSpec& stage) {
  FlowMap map;
  map.text("name", stage.name).text("kind", kind_text(stage.kind));
  if (!stage.after.empty())
    map.raw("after", flow_list(each(stage.after, [&](std::uint16_t p) {
              return yaml_text(model.stages[p].name);
            })));
  map.maybe(stage.output_bytes, [&](double bytes) { map.raw("output", bytes_text(bytes)); });
  return map.text("weights", stage.weights).str();
}

std::string architecture_text(const Architecture& architecture) {
  FlowMap map;
  visit_architecture(architecture, [&](const char* key, const auto& member) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(member)>, std::string>) {
      map.text(key, member);
    } else {
      map.number(key, member);
    }
  });
  return map.str();
}

std::string model_text(const ModelSpec& model) {
  if (model.shipped) return fmt::format("  - {}\n", yaml_text(model.name));
  std::string out = fmt::format("  - name: {}\n", yaml_text(model.name));
  if (model.input_bytes) out += fmt::format("    input: {}\n", bytes_text(*model.input_bytes));
  out += block_list(
      "stages",
      each(model.stages, [&](const StageSpec& stage) { return stage_text(model, stage); }), 4);
  if (model.architecture)
    out += fmt::format("    architecture: {}\n", architecture_text(*model.architecture));
  return out;
}

std::string gpu_text(const GpuSpec& gpu) {
  FlowMap map;
  map.text("name", gpu.name);
  visit_gpu(
      gpu, [&](const char* key, const std::string& text) { map.text(key, text); },
      [&](const char* key, double number, GpuUnit unit) {
        if (number == 0) return;
        switch (unit) {
          case GpuUnit::plain:
            map.number(key, number);
            break;
          case GpuUnit::bytes:
            map.raw(key, bytes_text(number));
            break;
          case GpuUnit::bandwidth:
            map.raw(key, bandwidth_text(number));
            break;
          case GpuUnit::price:
            map.raw(key, fmt::format("{} USD/h", number));
            break;
        }
      });
  return map.str();
}

// ---- workload
// ------------------------------------------------------------------------------------

std::string arrivals_text(const ArrivalsSpec& arrivals) {
  static const char* const kNames[]{"poisson", "gamma", "deterministic", "burst"};
  FlowMap map;
  map.text("process", kNames[static_cast<std::size_t>(arrivals.process)]);
  if (arrivals.process != ArrivalsSpec::Process::burst)
    map.raw("rate", fmt::format("{} /s", arrivals.rate_per_s));
  if (arrivals.process == ArrivalsSpec::Process::gamma) map.number("cv", arrivals.cv);
  return map.str();
}

std::string mix_text(const MixEntry& entry, const std::vector<ModelSpec>& models) {
  FlowMap map;
  map.number("weight", entry.weight).text("model", models[entry.model.index()].name);
  if (entry.shape.width > 0)
    map.number("width", entry.shape.width).number("height", entry.shape.height);
  map.number("frames", entry.shape.frames).number("steps", entry.shape.steps);
  map.number("images", entry.shape.images).number("priority", entry.priority);
  map.maybe(entry.deadline, [&](Duration d) { map.duration("deadline", d); });
  return map.number("guidance", entry.guidance).text("tenant", entry.tenant).str();
}

std::string workload_text(const Scenario& scenario, const std::string& folder) {
  const WorkloadSpec& workload = scenario.workload;
  std::string out = "workload:\n";
  const auto line = [&](const std::string& key, const std::string& value) {
    out += fmt::format("  {}: {}\n", key, value);
  };
  if (!workload.trace.empty()) {
    line("trace", yaml_text(written_path(workload.trace, folder)));
    line("rate_scale", fmt::format("{}x", workload.trace_rate));
  }
  if (workload.arrivals) line("arrivals", arrivals_text(*workload.arrivals));
  if (workload.closed_loop_concurrency)
    line("closed_loop", FlowMap().number("concurrency", *workload.closed_loop_concurrency).str());
  if (workload.requests) line("requests", fmt::format("{}", *workload.requests));
  if (workload.duration) line("duration", duration_text(*workload.duration));
  return out +
         block_list("mix",
                    each(workload.mix,
                         [&](const MixEntry& entry) { return mix_text(entry, scenario.models); }),
                    2);
}

// ---- fleet
// ---------------------------------------------------------------------------------------

std::string link_text(const LinkSpec& link) {
  FlowMap map;
  map.duration("latency", link.latency);
  if (link.bandwidth > 0) map.raw("bandwidth", bandwidth_text(link.bandwidth));
  return map.number("jitter_cv", link.jitter_cv).str();
}

std::string gpu_counts_text(const std::map<std::string, std::uint32_t>& gpus) {
  FlowMap map;
  for (const auto& [gpu, count] : gpus) map.number(gpu, count);
  return map.str();
}

std::string node_group_text(const NodeGroupSpec& group) {
  FlowMap map;
  map.text("name", group.name)
      .raw("gpus", gpu_counts_text(group.gpus))
      .number("count", group.count);
  if (group.inside_bandwidth > 0)
    map.raw("inside", FlowMap().raw("bandwidth", bandwidth_text(group.inside_bandwidth)).str());
  map.maybe(group.nic, [&](const LinkSpec& link) { map.raw("nic", link_text(link)); });
  if (group.host_memory_bytes > 0) map.raw("host_memory", bytes_text(group.host_memory_bytes));
  map.maybe(group.price_usd_h, [&](double p) { map.raw("price", fmt::format("{} USD/h", p)); });
  map.maybe(group.provision, [&](Duration d) { map.duration("provision", d); });
  return map.str();
}

std::string pool_text(const PoolSpec& pool, const Scenario& scenario) {
  FlowMap map;
  map.raw("stages",
          flow_list(each(pool.stages, [](const StageRef& ref) { return yaml_text(ref.text); })));
  map.text("gpu", pool.gpu).number("count", pool.count).number("degree", pool.degree);
  map.number("max_batch", pool.max_batch).slots("input_slots", input_slots_of(pool, scenario));
  map.slots("output_slots", pool.output_slots)
      .text("dtype", pool.dtype.empty() ? "bf16" : pool.dtype);
  return map.raw("offload", pool.offload ? "on" : "off").str();
}

std::string fleet_text(const Scenario& scenario) {
  const FleetSpec& fleet = scenario.fleet;
  std::string out = "fleet:\n";
  if (fleet.short_form) {
    FlowMap gpus;
    for (const NodeGroupSpec& group : fleet.nodes) gpus.number(group.name, group.count);
    out += fmt::format("  gpus: {}\n", gpus.str());
  } else {
    out += block_list("nodes", each(fleet.nodes, node_group_text), 2);
  }
  return out +
         block_list(
             "pools",
             each(fleet.pools, [&](const PoolSpec& pool) { return pool_text(pool, scenario); }), 2);
}

// ---- policy, costs
// -------------------------------------------------------------------------------

std::string policy_text(const PolicySpec& policy) {
  if (!policy.parameters.is_map() || policy.parameters.size() == 0) return yaml_text(policy.name);
  const std::string parameters = flow_yaml(policy.parameters);
  return fmt::format("{{name: {}, {}", yaml_text(policy.name), parameters.substr(1));
}

std::string policies_text(const PoliciesSpec& policy) {
  return FlowMap()
      .raw("handoff", policy.async_handoff ? "async" : "sync")
      .raw("dispatch", policy.pull_dispatch ? "pull" : "push")
      .raw("admission", policy_text(policy.admission))
      .raw("queue", policy_text(policy.queue))
      .raw("routing", policy_text(policy.routing))
      .raw("batching", policy_text(policy.batching))
      .raw("preemption", policy_text(policy.preemption))
      .raw("elasticity", policy_text(policy.elasticity))
      .str();
}

std::string cost_text(const CostLine& line) {
  static const char* const kNames[]{"constant", "exponential", "lognormal", "gamma"};
  FlowMap map;
  map.text("model", line.model.value_or("")).text("stage", line.stage.value_or(""));
  map.text("gpu", line.gpu.value_or("")).text("dtype", line.dtype.value_or(""));
  const auto count = [&](const char* key, const std::optional<std::uint32_t>& value) {
    if (value) map.number(key, *value);
  };
  count("width", line.width);
  count("height", line.height);
  count("frames", line.frames);
  count("steps", line.steps);
  count("batch", line.batch);
  count("degree", line.degree);
  if (line.seconds)
    map.number("seconds", *line.seconds);
  else
    map.number("fixed", line.fixed).number("per_step", line.per_step);
  map.text("distribution", kNames[static_cast<std::size_t>(line.distribution)]);
  if (line.distribution == Distribution::lognormal || line.distribution == Distribution::gamma)
    map.number("cv", line.cv);
  return map.str();
}

std::string profile_text(const std::string& path, const std::string& folder) {
  const std::string shipped = std::string(kShippedPrefix) + "profiles/";
  if (!path.starts_with(shipped)) return written_path(path, folder);
  return path.substr(shipped.size(), path.size() - shipped.size() - std::string(".yaml").size());
}

std::string belief_text(const Scenario& scenario, const std::string& folder) {
  const BeliefSpec& belief = scenario.belief;
  FlowMap bias;
  for (const auto& [stage, factor] : belief.bias) bias.number(stage, factor);
  FlowMap map;
  if (belief.source == BeliefSpec::Source::costs)
    map.raw("costs", flow_list(each(belief.costs, cost_text)));
  if (belief.source == BeliefSpec::Source::profile)
    map.text("profile", profile_text(belief.profile, folder));
  map.raw("error", FlowMap().raw("bias", bias.str()).number("cv", belief.error_cv).str());
  return map.raw("learning", learns(scenario) ? "on" : "off").str();
}

std::string startup_text(const StartupLine& line) {
  FlowMap map;
  map.text("model", line.model.value_or("")).text("stage", line.stage.value_or(""));
  map.text("gpu", line.gpu.value_or(""));
  map.maybe(line.provision, [&](Duration d) { map.duration("provision", d); });
  return map.maybe(line.load, [&](Duration d) { map.duration("load", d); }).str();
}

// ---- the rest
// ------------------------------------------------------------------------------------

std::string control_text(const ControlSpec& control) {
  return FlowMap()
      .duration("delay", control.delay)
      .number("jitter_cv", control.jitter_cv)
      .duration("heartbeat", control.heartbeat)
      .duration("lost_after", control.lost_after)
      .duration("orphan_timeout", control.orphan_timeout)
      .str();
}

std::string fault_text(const FaultSpec& fault) {
  const bool crash = fault.kind == FaultSpec::Kind::crash;
  FlowMap map;
  map.duration("at", Duration{fault.at.ns}).number("instance", fault.instance);
  map.text("kind", crash ? "crash" : "reclaim");
  if (!crash) map.duration("notice", fault.notice);
  return map.maybe(fault.repair, [&](Duration d) { map.duration("repair", d); }).str();
}

std::string bound_text(const LatencyBound& bound) {
  return bound.absolute ? duration_text(*bound.absolute)
                        : fmt::format("{}x", bound.times_unloaded.value_or(1));
}

std::string slo_text(const SloSpec& slo) {
  FlowMap where;
  where.text("model", slo.where_model).text("tenant", slo.where_tenant);
  where.maybe(slo.where_priority, [&](std::int32_t p) { where.number("priority", p); });
  FlowMap map;
  if (where.str() != "{}") map.raw("where", where.str());
  if (slo.latency)
    return map.raw("latency", bound_text(*slo.latency))
        .raw("attainment", share_text(slo.attainment))
        .str();
  FlowMap statistics;
  for (const auto& [name, bound] : slo.statistics) statistics.raw(name, bound_text(bound));
  return map.raw("latency", statistics.str()).str();
}

std::string serve_text(const ServeSpec& serve, const std::string& folder) {
  return FlowMap()
      .text("listen", serve.listen)
      .text("backend", serve.backend)
      .text("models", written_path(serve.models, folder))
      .text("state", written_path(serve.state, folder))
      .str();
}

std::string run_text(const RunSpec& run) {
  FlowMap map;
  map.number("replications", run.replications);
  return run.warmup.ns == 0 ? map.raw("warmup", "none").str()
                            : map.duration("warmup", run.warmup).str();
}

std::string timeouts_text(const std::optional<Duration>& request) {
  return request ? FlowMap().duration("request", *request).str()
                 : FlowMap().raw("request", "none").str();
}

std::string models_text(const std::vector<ModelSpec>& models) {
  std::string out = "models:\n";
  for (const ModelSpec& model : models) out += model_text(model);
  return out;
}

std::string hardware_text(const std::map<std::string, GpuSpec>& gpus) {
  std::vector<std::string> own;
  for (const auto& [name, gpu] : gpus)
    if (!gpu.shipped) own.push_back(gpu_text(gpu));
  return block_list("hardware", own);
}

std::string conduct_text(const Scenario& scenario, const std::string& folder) {
  std::string out;
  const auto line = [&](const std::string& key, const std::string& value) {
    out += fmt::format("{}: {}\n", key, value);
  };
  line("network", scenario.network ? link_text(*scenario.network) : "none");
  line("control", control_text(scenario.control));
  line("policy", policies_text(scenario.policy));
  out += block_list("costs", each(scenario.costs, cost_text));
  line("belief", belief_text(scenario, folder));
  StartupLine immediate;
  immediate.provision = immediate.load = Duration{};
  out += block_list("startup", scenario.startup.empty() ? std::vector{startup_text(immediate)}
                                                        : each(scenario.startup, startup_text));
  line("timeouts", timeouts_text(scenario.request_timeout));
  line("retries", FlowMap().number("max", scenario.max_retries).str());
  out += block_list("faults", each(scenario.faults, fault_text));
  out += block_list("slo", each(scenario.slo, slo_text));
  line("run", run_text(scenario.run));
  return out;
}

}  // namespace

std::string write_scenario_yaml(const Scenario& scenario, const std::string& folder) {
  std::string out = fmt::format("name: {}\nseed: {}\n", yaml_text(scenario.name), scenario.seed);
  out += models_text(scenario.models) + hardware_text(scenario.gpus);
  out += workload_text(scenario, folder) + fleet_text(scenario) + conduct_text(scenario, folder);
  if (scenario.serve) out += fmt::format("serve: {}\n", serve_text(*scenario.serve, folder));
  return out;
}

}  // namespace disagfusion
