#include "base/scenario_reader.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "base/config_parser.hpp"
#include "base/config_reader.hpp"
#include "base/cost_reader.hpp"
#include "base/fleet_reader.hpp"
#include "base/hardware_reader.hpp"
#include "base/known_names.hpp"
#include "base/loading.hpp"
#include "base/model_reader.hpp"
#include "base/operation_reader.hpp"
#include "base/policy_reader.hpp"
#include "base/workload_reader.hpp"

namespace disagfusion {

namespace {

/// Overrides travel among the sources under this name, so that a log repeats them.
constexpr const char* kOverridesPath = "overrides:";
/// The largest integer that every reader of JSON and YAML keeps exact.
constexpr std::uint64_t kLargestSeed = std::uint64_t{1} << 53U;

std::string overrides_yaml(const Overrides& overrides) {
  std::string out;
  if (overrides.trace) out += fmt::format("trace: {}\n", yaml_text(*overrides.trace));
  if (overrides.seed) out += fmt::format("seed: {}\n", *overrides.seed);
  if (overrides.replications) out += fmt::format("replications: {}\n", *overrides.replications);
  if (overrides.listen) out += fmt::format("listen: {}\n", yaml_text(*overrides.listen));
  return out;
}

Overrides read_overrides(const std::string& text, Problems& problems) {
  Overrides overrides;
  const Result<ConfigNode> root = parse_config(kOverridesPath, text);
  if (!root) {
    problems.insert(problems.end(), root.error().begin(), root.error().end());
    return overrides;
  }
  MapReader map(*root, problems);
  overrides.trace = map.optional("trace", as_text());
  overrides.seed = map.optional("seed", as_large_count(0, kLargestSeed));
  overrides.replications = map.optional("replications", as_count(1, 100'000));
  overrides.listen = map.optional("listen", as_text());
  map.finish();
  return overrides;
}

/// What the command line said is checked like what a file says.
void check_overrides(const Overrides& overrides, Problems& problems) {
  const auto text_node = [](const char* option, const std::string& text) {
    auto value = std::make_shared<ConfigNode::Value>();
    value->kind = ConfigNode::Kind::text;
    value->text = text;
    value->place.file = option;
    return ConfigNode(value);
  };
  if (overrides.listen)
    as_listen_address().read(text_node("--listen", *overrides.listen), problems);
  if (overrides.trace) as_text().read(text_node("--trace", *overrides.trace), problems);
  if (overrides.seed)
    as_large_count(0, kLargestSeed)
        .read(text_node("--seed", fmt::format("{}", *overrides.seed)), problems);
  if (overrides.replications)
    as_count(1, 100'000)
        .read(text_node("--replications", fmt::format("{}", *overrides.replications)), problems);
}

ConfigNode read_root(const std::string& path, Loading& loading, const std::string& what) {
  return loading.read_config(path, {path, {}, 0, 0}, what);
}

void read_identity(MapReader& root, const Overrides& overrides, Scenario& scenario) {
  const std::string stem = std::filesystem::path(scenario.file).stem().string();
  scenario.name = root.get("name", as_text(), stem);
  scenario.seed = root.get("seed", as_large_count(0, kLargestSeed), std::uint64_t{0});
  scenario.seed = overrides.seed.value_or(scenario.seed);
}

/// Keys that scenarios and questions share and that come after the fleet.
void read_conduct(MapReader& root, KnownNames& known, const Overrides& overrides, Loading& loading,
                  Scenario& scenario) {
  scenario.network = read_network(root, scenario.fleet.nodes);
  scenario.control = read_control(root);
  scenario.costs = read_costs(root, known);
  scenario.belief = read_belief(root, known, loading);
  scenario.startup = read_startup(root, known);
  scenario.request_timeout = read_request_timeout(root);
  scenario.max_retries = read_max_retries(root);
  scenario.slo = read_slo(root, known);
  scenario.run = read_run(root, overrides.replications);
}

std::uint64_t initial_instances(const FleetSpec& fleet) {
  std::uint64_t instances = 0;
  for (const PoolSpec& pool : fleet.pools) instances += pool.count;
  return instances;
}

void keep_overrides(const Overrides& overrides, Loading& loading) {
  if (!overrides.empty()) loading.sources.push_back({kOverridesPath, overrides_yaml(overrides)});
}

Scenario read_scenario(const ConfigNode& node, const Overrides& overrides, Loading& loading,
                       const std::string& path) {
  Scenario scenario;
  scenario.file = path;
  MapReader root(node, loading.problems);
  read_identity(root, overrides, scenario);
  const std::size_t before = loading.problems.size();
  scenario.models = read_models(root, loading);
  const bool complete = loading.problems.size() == before;
  HardwareReader hardware(root, loading);
  KnownNames known(scenario.models, complete, hardware);
  scenario.policy = read_policies(root);
  scenario.workload = read_workload(root, known, overrides, false);
  const std::size_t before_fleet = loading.problems.size();
  scenario.fleet = read_fleet(root, known, is_elastic(scenario.policy));
  const bool fleet_known = loading.problems.size() == before_fleet;
  read_conduct(root, known, overrides, loading, scenario);
  scenario.faults = read_faults(root, fleet_known ? initial_instances(scenario.fleet) : 0);
  scenario.serve = read_serve(root);
  if (overrides.listen) {
    if (!scenario.serve) scenario.serve.emplace();
    scenario.serve->listen = *overrides.listen;
  }
  root.finish();
  scenario.gpus = hardware.types();
  return scenario;
}

std::vector<CatalogueEntry> read_catalogue(const ConfigNode& node, KnownNames& known, bool priced,
                                           Problems& problems) {
  std::vector<CatalogueEntry> catalogue;
  if (!node.is_map() || node.size() == 0) {
    problems.push_back(problem_at(node.place(), "a map such as {A10: {price: 0.75 USD/h, max: 16}}",
                                  node.shown()));
    return catalogue;
  }
  for (std::size_t i = 0; i < node.size(); ++i) {
    CatalogueEntry entry;
    entry.gpu = node.key(i);
    entry.place = node.key_place(i);
    known.require_gpu(entry.gpu, entry.place);
    MapReader map(node.at(i), problems, "a map such as {price: 0.75 USD/h, max: 16}");
    const auto price = map.optional("price", as_price());
    entry.price_usd_h = price;
    if (priced && !map.has("price")) map.missing("price", as_price().expected);
    if (priced && price && *price <= 0)
      map.wrong("price", "a price above 0, as cost is asked", map.take("price").shown());
    entry.max = map.required("max", as_count(1));
    map.finish();
    catalogue.push_back(std::move(entry));
  }
  return catalogue;
}

void check_node_prices(const ConfigNode& list, const std::vector<NodeGroupSpec>& nodes,
                       Problems& problems) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    MapReader map(list.at(i), problems);
    if (!map.is_map()) return;  // reported when it was read
    if (!map.has("price")) map.missing("price", as_price().expected);
    if (nodes[i].price_usd_h && *nodes[i].price_usd_h <= 0)
      map.wrong("price", "a price above 0, as cost is asked", map.take("price").shown());
  }
}

/// `catalogue` or `nodes`, exactly one.
void read_offer(MapReader& root, KnownNames& known, bool priced, Question& question) {
  const ConfigNode catalogue = root.take("catalogue");
  const ConfigNode nodes = root.take("nodes");
  question.base.fleet.short_form = !nodes.valid();
  question.base.fleet.place = catalogue.valid() ? catalogue.place() : nodes.place();
  if (catalogue.valid() == nodes.valid()) {
    if (nodes.valid())
      root.wrong("nodes", "catalogue or nodes", "both");
    else
      root.missing("catalogue", "catalogue or nodes");
  }
  if (catalogue.valid())
    question.catalogue = read_catalogue(catalogue, known, priced, root.problems());
  if (!nodes.valid()) return;
  question.base.fleet.nodes = read_node_groups(nodes, known, true, root.problems());
  if (priced) check_node_prices(nodes, question.base.fleet.nodes, root.problems());
}

Reader<double> as_confidence() {
  const Reader<double> share = as_share();
  return {share.expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<double> {
            const auto value = share.read(node, problems);
            if (!value || (*value >= 0.5 && *value < 1)) return value;
            problems.push_back(problem_at(
                node.place(), "a percentage from 50 % to below 100 %, such as 95 %", node.shown()));
            return std::nullopt;
          }};
}

Reader<double> as_event_budget() {
  const std::string expected = quantity_example(Quantity::events);
  return {expected, [=](const ConfigNode& node, Problems& problems) -> std::optional<double> {
            const auto value = parse_quantity(node.text(), Quantity::events);
            if (value && *value >= 1 && *value <= 1e15) return *value;
            problems.push_back(problem_at(
                node.place(), value ? expected + ", from 1 to 1e15 events" : value.error(),
                node.shown()));
            return std::nullopt;
          }};
}

/// Instances of one GPU are all that is planned so far.
Reader<std::uint32_t> as_planned_degree() {
  const Reader<std::uint32_t> degree = as_count(1, 1024);
  return {degree.expected,
          [=](const ConfigNode& node, Problems& problems) -> std::optional<std::uint32_t> {
            const auto value = degree.read(node, problems);
            if (!value || *value == 1) return value;
            problems.push_back(problem_at(
                node.place(), "1 (planning other degrees is not yet supported)", node.shown()));
            return std::nullopt;
          }};
}

void read_search(MapReader& root, Question& question) {
  MapReader map(root.take("search"), root.problems(), "a map such as {budget: 2e8 events}");
  question.degrees = map.get("degrees", as_list_of(as_planned_degree(), 1), question.degrees);
  question.colocate = map.get("colocate", as_on_off(), question.colocate);
  question.confidence = map.get("confidence", as_confidence(), question.confidence);
  question.event_budget = map.get("budget", as_event_budget(), question.event_budget);
  question.time_limit = map.get("time_limit", as_positive_duration(), question.time_limit);
  map.finish();
}

/// None (with a Problem) where it is unknown: what it would need is unknown, too.
std::optional<Question::Objective> read_objective(MapReader& root) {
  const std::vector<std::string> names{"cost", "throughput"};
  const auto name = root.optional("objective", as_choice(names, {"latency"}));
  if (!root.has("objective")) return Question::Objective::cost;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (name == names[i]) return static_cast<Question::Objective>(i);
  return std::nullopt;
}

void check_slo(MapReader& root, std::optional<Question::Objective> objective) {
  const ConfigNode slo = root.take("slo");
  if (objective == Question::Objective::throughput) {
    if (slo.valid())
      root.wrong("slo", "no slo (objective throughput within one is not yet supported)",
                 slo.shown());
  } else if (slo.is_list() && slo.size() == 0) {
    root.wrong("slo", "one objective or more", slo.shown());
  } else if (objective == Question::Objective::cost && !slo.valid()) {
    root.missing("slo", "an slo, as cost is asked");
  }
}

Question read_question(const ConfigNode& node, const Overrides& overrides, Loading& loading,
                       const std::string& path) {
  Question question;
  Scenario& base = question.base;
  base.file = path;
  MapReader root(node, loading.problems);
  read_identity(root, overrides, base);
  const std::size_t before = loading.problems.size();
  base.models = read_models(root, loading);
  const bool complete = loading.problems.size() == before;
  HardwareReader hardware(root, loading);
  KnownNames known(base.models, complete, hardware);
  base.policy = read_policies(root);
  base.workload = read_workload(root, known, overrides, true);
  const std::optional<Question::Objective> objective = read_objective(root);
  question.objective = objective.value_or(Question::Objective::cost);
  read_offer(root, known, objective == Question::Objective::cost, question);
  read_conduct(root, known, overrides, loading, base);
  read_search(root, question);
  check_slo(root, objective);
  root.finish();
  base.gpus = hardware.types();
  return question;
}

}  // namespace

Result<Scenario> load_scenario(const std::string& path, FileSource& files,
                               const Overrides& overrides) {
  Loading loading(files);
  const ConfigNode root = read_root(path, loading, "a readable scenario file");
  check_overrides(overrides, loading.problems);
  if (!root.valid()) return fail(loading.sorted_problems());
  Scenario scenario = read_scenario(root, overrides, loading, path);
  if (!loading.problems.empty()) return fail(loading.sorted_problems());
  keep_overrides(overrides, loading);
  scenario.sources = std::move(loading.sources);
  return scenario;
}

Result<Scenario> load_scenario(const std::string& path, const Overrides& overrides) {
  DiskFiles files;
  return load_scenario(path, files, overrides);
}

Result<Scenario> load_scenario(const std::vector<SourceText>& sources) {
  if (sources.empty()) return fail(Problem{"", 0, 0, "", "the text of a scenario", "nothing", ""});
  Problems problems;
  Overrides overrides;
  for (const SourceText& source : sources)
    if (source.path == kOverridesPath) overrides = read_overrides(source.text, problems);
  if (!problems.empty()) return fail(std::move(problems));
  TextFiles files(sources);
  return load_scenario(sources.front().path, files, overrides);
}

Result<Question> load_question(const std::string& path, FileSource& files,
                               const Overrides& overrides) {
  Loading loading(files);
  const ConfigNode root = read_root(path, loading, "a readable question file");
  check_overrides(overrides, loading.problems);
  if (!root.valid()) return fail(loading.sorted_problems());
  Question question = read_question(root, overrides, loading, path);
  if (!loading.problems.empty()) return fail(loading.sorted_problems());
  keep_overrides(overrides, loading);
  question.base.sources = std::move(loading.sources);
  return question;
}

Result<Question> load_question(const std::string& path, const Overrides& overrides) {
  DiskFiles files;
  return load_question(path, files, overrides);
}

std::uint32_t input_slots_of(const PoolSpec& pool, const Scenario& scenario) {
  constexpr std::uint32_t kDefaultInputSlots = 2;
  return pool.input_slots.value_or(scenario.network ? kDefaultInputSlots : 0);
}

}  // namespace disagfusion
