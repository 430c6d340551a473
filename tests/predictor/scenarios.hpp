// Scenarios written by hand for the predictor's tests.
#pragma once

#include <string>
#include <vector>

#include "base/scenario.hpp"
#include "predictor/cost_model.hpp"

namespace disagfusion::predictor::testing {

inline StageSpec stage(const std::string& name, StageKind kind, std::vector<std::uint16_t> after,
                       const std::string& weights) {
  StageSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.after = std::move(after);
  spec.weights = weights;
  return spec;
}

/// encoder -> dit -> decoder.
inline ModelSpec chain(const std::string& name) {
  ModelSpec model;
  model.name = name;
  model.stages = {stage("encoder", StageKind::encoder, {}, name + "/encoder"),
                  stage("dit", StageKind::dit, {0}, name + "/dit"),
                  stage("decoder", StageKind::decoder, {1}, name + "/decoder")};
  model.stages[0].before = {1};
  model.stages[1].before = {2};
  return model;
}

/// FLUX.1-dev's numbers, by hand.
inline Architecture flux_architecture() {
  Architecture flux;
  flux.task = "t2i";
  flux.block_type = "joint";
  flux.dit_params_b = 11.9;
  flux.text_params_b = 4.88;
  flux.vae_params_m = 84;
  flux.double_layers = 19;
  flux.single_layers = 38;
  flux.hidden = 3072;
  flux.vae_t = 1;
  flux.text_seq_in_dit = 512;
  flux.text_max_tokens = 512;
  flux.text_layers = 24;
  flux.text_hidden = 4096;
  flux.text_ffn = 10240;
  flux.text_dim_to_dit = 4096;
  flux.default_steps = 28;
  flux.default_width = flux.default_height = 1024;
  flux.lin_gmac_per_img_token = flux.lin_gmac_per_text_token = 6.455;
  return flux;
}

inline GpuSpec h100() {
  GpuSpec gpu;
  gpu.name = "H100-SXM";
  gpu.bf16_dense_tflops = gpu.fp16_dense_tflops = 989;
  gpu.fp8_dense_tflops = 1978;
  gpu.memory_bytes = 80e9;
  gpu.memory_bandwidth = 3350e9;
  gpu.nvlink_bandwidth = 900e9;
  gpu.pcie_bandwidth = 64e9;
  gpu.tdp_w = 700;
  return gpu;
}

/// A scenario of these models with one pool a stage on `gpu`, one shape a model in the mix.
inline Scenario scenario_of(std::vector<ModelSpec> models, const std::string& gpu = "A10") {
  Scenario scenario;
  scenario.models = std::move(models);
  const StageGraph graph = make_stage_graph(scenario.models);
  for (std::uint16_t m = 0; m < scenario.models.size(); ++m) {
    MixEntry entry;
    entry.model = ModelId(m);
    entry.shape = {832, 480, 81, 4, 1};
    scenario.workload.mix.push_back(entry);
  }
  for (std::uint16_t n = 0; n < graph.nodes.size(); ++n) {
    PoolSpec pool;
    pool.stages = {{graph.node_names[n], {NodeId(n)}}};
    pool.gpu = gpu;
    pool.place = {"s.yaml", "fleet.pools[" + std::to_string(n) + "]", 40 + n, 7};
    scenario.fleet.pools.push_back(pool);
  }
  return scenario;
}

/// `seconds` for a stage; further fields are set by the caller.
inline CostLine line(const std::string& stage, double seconds, int at = 1) {
  CostLine line;
  if (!stage.empty()) line.stage = stage;
  line.seconds = seconds;
  line.place = {"s.yaml", "costs[" + std::to_string(at) + "]", 60 + at, 5};
  return line;
}

inline Query query_of(std::uint16_t node, Shape shape, std::uint32_t batch = 1) {
  Query query{NodeId(node), shape, GpuTypeId(0)};
  query.batch = batch;
  return query;
}

/// All problems as text, one a line.
inline std::string text_of(const Problems& problems) {
  std::string text;
  for (const Problem& problem : problems) text += problem.text() + "\n";
  return text;
}

}  // namespace disagfusion::predictor::testing
