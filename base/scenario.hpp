// What one scenario file says (design 7.2), in plain structures: models, workload, fleet, policy,
// costs, belief, faults, objectives. Everything is checked for form; what needs other parts (a
// policy's own parameters, costs that nobody can predict, memory that does not fit) is checked by
// those parts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/config_node.hpp"
#include "base/file_source.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace disagfusion {

/// Bytes a second.
using Bandwidth = double;

inline constexpr std::uint32_t kUnlimited = 0xffffffffU;

// ---- models ------------------------------------------------------------------------------------

/// Numbers of one architecture, as configs/models has them (columns of model_architectures.csv,
/// units in the names). Absent for inline models without an `architecture`.
struct Architecture {
  std::string task, block_type, text_encoder, image_encoder;
  double dit_params_b = 0, text_params_b = 0, vae_params_m = 0;
  int double_layers = 0, single_layers = 0, hidden = 0, heads = 0, head_dim = 0, ffn_dim = 0,
      ffn_mats = 0;
  int patch_t = 1, patch_h = 2, patch_w = 2, vae_channels = 16, vae_t = 1, vae_s = 8;
  int text_seq_in_dit = 0, text_max_tokens = 0, text_layers = 0, text_hidden = 0, text_ffn = 0,
      text_dim_to_dit = 0;
  int passes_per_step = 1, default_steps = 0, default_width = 0, default_height = 0,
      default_frames = 1;
  double fps = 0;
  double lin_gmac_per_img_token = 0, lin_gmac_per_text_token = 0;
  int image_attention_layers = 0;   ///< joint layers that attend within the image once more
  double text_gmac_per_prompt = 0;  ///< of the text encoders at their longest prompt
  double vae_kflop_per_pixel = 0;   ///< of the decoder, a pixel of its output
  std::string source;
};

/// What a stage computes, where the model says it: predictions differ by it.
enum class StageKind : std::uint8_t { encoder, image_encoder, dit, decoder, other };

struct StageSpec {
  std::string name;
  StageKind kind = StageKind::other;   ///< from `kind`, else from the name where it is one of these
  std::vector<std::uint16_t> after;    ///< predecessors, as positions in ModelSpec::stages
  std::vector<std::uint16_t> before;   ///< successors, derived
  std::optional<double> output_bytes;  ///< per request; absent: from the architecture, else 0
  std::string weights;                 ///< default "model/stage"
  Place place;
};

struct ModelSpec {
  std::string name;
  std::vector<StageSpec> stages;      ///< topologically sorted is not promised; acyclic is
  std::optional<double> input_bytes;  ///< what the request carries to each source stage; absent: 0
  std::optional<Architecture> architecture;
  bool shipped = false;  ///< named in the file and read from configs/models
  Place place;
};

// ---- hardware ----------------------------------------------------------------------------------

/// One GPU type of configs/hardware (columns of gpus.csv). Zero means not stated.
struct GpuSpec {
  std::string name, arch;
  double bf16_dense_tflops = 0, fp16_dense_tflops = 0, fp8_dense_tflops = 0, fp4_dense_tflops = 0;
  double memory_bytes = 0;      ///< mem_gb x 1e9
  double memory_bandwidth = 0;  ///< bytes/s
  double nvlink_bandwidth = 0;  ///< bytes/s, total
  double pcie_bandwidth = 0;    ///< bytes/s, per direction
  double tdp_w = 0;
  double price_low_usd_h = 0, price_high_usd_h = 0;
  std::string source, price_source, price_date, notes;
  bool shipped = false;  ///< read from configs/hardware
};

// ---- workload ----------------------------------------------------------------------------------

/// What decides a request's cost.
struct Shape {
  std::uint32_t width = 0, height = 0;  ///< pixels; 0: the model has no shape
  std::uint32_t frames = 1;
  std::uint32_t steps = 1;
  std::uint32_t images = 1;
  auto operator<=>(const Shape&) const = default;
};

struct MixEntry {
  double weight = 1;
  ModelId model;
  Shape shape;  ///< defaults of the model where left out
  std::int32_t priority = 0;
  std::optional<Duration> deadline;  ///< relative to arrival
  double guidance = 0;
  std::string tenant;
  Place place;
};

struct ArrivalsSpec {
  enum class Process : std::uint8_t { poisson, gamma, deterministic, burst };
  Process process = Process::poisson;
  double rate_per_s = 0;  ///< unused by burst
  double cv = 1;          ///< gamma only
};

struct WorkloadSpec {
  std::string trace;  ///< resolved path; empty: none
  Place trace_place;
  double trace_rate = 1;  ///< `rate_scale`: arrivals this many times as fast (extension)
  std::optional<ArrivalsSpec> arrivals;
  std::optional<std::uint32_t> closed_loop_concurrency;
  std::optional<std::uint64_t> requests;
  std::optional<Duration> duration;
  std::vector<MixEntry> mix;  ///< at least one entry; one default entry when left out
  Place place;
};

// ---- fleet -------------------------------------------------------------------------------------

struct LinkSpec {
  Bandwidth bandwidth = 0;  ///< bytes/s; 0: infinite
  Duration latency;
  double jitter_cv = 0;
};

struct NodeGroupSpec {
  std::string name;
  std::map<std::string, std::uint32_t> gpus;
  std::uint32_t count = 1;
  Bandwidth inside_bandwidth = 0;     ///< bytes/s between GPUs of the node; 0: infinite
  std::optional<LinkSpec> nic;        ///< absent: `network`
  double host_memory_bytes = 0;       ///< 0: unlimited
  std::optional<double> price_usd_h;  ///< absent: sum of the GPUs' prices
  std::optional<Duration> provision;  ///< absent: `startup`
  std::optional<std::uint32_t> max;   ///< plan questions: at most so many nodes
  Place place;
};

struct StageRef {  ///< as written: `stage` (every model's) or `model/stage`
  std::string text;
  std::vector<NodeId> nodes;  ///< resolved, not empty
};

struct PoolSpec {
  std::vector<StageRef> stages;
  std::string gpu;
  std::uint32_t count = 1;
  std::uint32_t degree = 1;  ///< GPUs an instance
  std::uint32_t max_batch = 1;
  std::optional<std::uint32_t> input_slots;  ///< absent: 2, or 0 where `network: none`
  std::uint32_t output_slots = kUnlimited;
  std::string dtype;     ///< empty: bf16
  bool offload = false;  ///< weights streamed from host memory
  Place place;
};

struct FleetSpec {
  bool short_form = true;            ///< `gpus:`; one-GPU nodes on `network`
  std::vector<NodeGroupSpec> nodes;  ///< short form: one group a GPU type, named after it
  std::vector<PoolSpec> pools;
  Place place;
};

// ---- control, policy ---------------------------------------------------------------------------

struct ControlSpec {
  Duration delay;
  double jitter_cv = 0;
  Duration heartbeat = from_seconds(1), lost_after = from_seconds(5),
           orphan_timeout = from_seconds(60);
};

/// A policy by name with its own parameters, which its factory reads.
struct PolicySpec {
  std::string name;
  ConfigNode parameters;  ///< a map, or invalid when only the name was given
  Place place;
};

struct PoliciesSpec {
  bool async_handoff = true;
  bool pull_dispatch = true;
  PolicySpec admission{"unlimited", {}, {}}, queue{"fifo", {}, {}},
      routing{"least-completion", {}, {}}, batching{"none", {}, {}}, preemption{"none", {}, {}},
      elasticity{"static", {}, {}};
};

// ---- costs -------------------------------------------------------------------------------------

enum class Distribution : std::uint8_t { constant, exponential, lognormal, gamma };

/// One line of `costs`: match fields (absent: any), then seconds.
struct CostLine {
  std::optional<std::string> model, stage, gpu, dtype;
  std::optional<std::uint32_t> width, height, frames, steps, batch, degree;
  std::optional<double> seconds;   ///< or fixed + per_step x steps
  double fixed = 0, per_step = 0;  ///< seconds
  Distribution distribution = Distribution::constant;
  double cv = 1;
  Place place;
  /// How many match fields it names.
  [[nodiscard]] int specificity() const;
};

struct BeliefSpec {
  enum class Source : std::uint8_t { truth_means, costs, profile };
  Source source = Source::truth_means;
  std::string profile;  ///< path of its text in Scenario::sources
  std::vector<CostLine> costs;
  std::map<std::string, double> bias;  ///< stage name (or model/stage) -> factor
  double error_cv = 0;
  std::optional<bool> learning;  ///< from completions; absent: as learns() says
  Place place;
};

struct StartupLine {
  std::optional<std::string> gpu, stage, model;
  std::optional<Duration> provision, load;
  Place place;
};

// ---- the rest ----------------------------------------------------------------------------------

struct FaultSpec {
  enum class Kind : std::uint8_t { crash, reclaim };
  Kind kind = Kind::crash;
  TimePoint at;
  std::uint32_t instance = 0;      ///< 1-based, pool order
  std::optional<Duration> repair;  ///< crash: after it the instance loads again
  Duration notice;                 ///< reclaim
  Place place;
};

/// A latency bound of an objective: seconds, or a factor of the unloaded latency ("1.5x").
struct LatencyBound {
  std::optional<Duration> absolute;
  std::optional<double> times_unloaded;
};

struct SloSpec {
  std::string where_model, where_tenant;  ///< empty: every request
  std::optional<std::int32_t> where_priority;
  std::optional<LatencyBound> latency;             ///< per request; with `attainment`
  std::map<std::string, LatencyBound> statistics;  ///< mean, p50, p90, p95, p99, max
  double attainment = 0.95;                        ///< share of requests
  Place place;
};

struct RunSpec {
  std::uint32_t replications = 1;
  Duration warmup;  ///< 0: none
};

struct ServeSpec {
  std::string listen = "127.0.0.1:8080";
  std::string backend = "emulated";  ///< emulated | torch
  std::string models, state;         ///< resolved directories
  Place place;
};

struct Scenario {
  std::string name;
  std::uint64_t seed = 0;
  std::vector<ModelSpec> models;
  std::map<std::string, GpuSpec> gpus;  ///< every GPU type that the file names
  WorkloadSpec workload;
  FleetSpec fleet;
  std::optional<LinkSpec> network;  ///< absent: `network: none`
  ControlSpec control;
  PoliciesSpec policy;
  std::vector<CostLine> costs;
  BeliefSpec belief;
  std::vector<StartupLine> startup;  ///< the map form is one line without match fields
  std::optional<Duration> request_timeout;
  std::uint32_t max_retries = 2;
  std::vector<FaultSpec> faults;
  std::vector<SloSpec> slo;  ///< empty: none
  RunSpec run;
  std::optional<ServeSpec> serve;

  std::string file;                       ///< path as given
  std::vector<SourceText> sources;        ///< the scenario first, then models and hardware it read
  std::vector<std::string> not_modelled;  ///< what the file holds but nothing here models
};

/// Whether completions correct the belief: as the file says, else only under hybrid elasticity,
/// which is prediction with feedback.
inline bool learns(const Scenario& scenario) {
  return scenario.belief.learning.value_or(scenario.policy.elasticity.name == "hybrid");
}

/// A stage of one model among all models' stages, dense: what NodeId counts.
struct StageNode {
  ModelId model;
  std::uint16_t stage = 0;  ///< position in ModelSpec::stages
  WeightsId weights;
  std::vector<NodeId> after, before;
  std::uint32_t path_length = 0;  ///< longest path from a source, in edges; a source has 0
};

/// Every stage of every model with dense identifiers, shared by predictor, scheduler and worlds.
struct StageGraph {
  std::vector<StageNode> nodes;      ///< by NodeId; a model's nodes stand together, in file order
  std::vector<NodeId> first_node;    ///< by ModelId, plus one past the end
  std::vector<std::string> weights;  ///< by WeightsId
  std::vector<std::string>
      node_names;  ///< by NodeId: "stage", or "model/stage" with several models
  std::vector<std::string> model_names;  ///< by ModelId
};

StageGraph make_stage_graph(const std::vector<ModelSpec>& models);

// ---- plan questions (design 7.5) ---------------------------------------------------------------

struct CatalogueEntry {
  std::string gpu;
  std::optional<double> price_usd_h;
  std::uint32_t max = 0;
  Place place;
};

struct Question {
  enum class Objective : std::uint8_t { cost, throughput };
  Scenario base;                          ///< fleet.pools empty
  std::vector<CatalogueEntry> catalogue;  ///< or base.fleet.nodes with price and max
  Objective objective = Objective::cost;
  std::vector<std::uint32_t> degrees{1};
  bool colocate = true;
  double confidence = 0.95;
  double event_budget = 2e8;
  Duration time_limit = from_seconds(60);
};

}  // namespace disagfusion
