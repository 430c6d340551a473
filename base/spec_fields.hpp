// The keys of `architecture` maps and hardware files with the members they stand for: one list that
// reader and writer share, so that neither can forget a field.
#pragma once

#include "base/scenario.hpp"

namespace disagfusion {

/// Calls visit(key, member) for every field; members are std::string, double or int.
template <class Arch, class Visit>
void visit_architecture(Arch& a, Visit&& visit) {
  visit("task", a.task);
  visit("block_type", a.block_type);
  visit("text_encoder", a.text_encoder);
  visit("image_encoder", a.image_encoder);
  visit("dit_params_b", a.dit_params_b);
  visit("text_params_b", a.text_params_b);
  visit("vae_params_m", a.vae_params_m);
  visit("double_layers", a.double_layers);
  visit("single_layers", a.single_layers);
  visit("hidden", a.hidden);
  visit("heads", a.heads);
  visit("head_dim", a.head_dim);
  visit("ffn_dim", a.ffn_dim);
  visit("ffn_mats", a.ffn_mats);
  visit("patch_t", a.patch_t);
  visit("patch_h", a.patch_h);
  visit("patch_w", a.patch_w);
  visit("vae_channels", a.vae_channels);
  visit("vae_t", a.vae_t);
  visit("vae_s", a.vae_s);
  visit("text_seq_in_dit", a.text_seq_in_dit);
  visit("text_max_tokens", a.text_max_tokens);
  visit("text_layers", a.text_layers);
  visit("text_hidden", a.text_hidden);
  visit("text_ffn", a.text_ffn);
  visit("text_dim_to_dit", a.text_dim_to_dit);
  visit("passes_per_step", a.passes_per_step);
  visit("default_steps", a.default_steps);
  visit("default_width", a.default_width);
  visit("default_height", a.default_height);
  visit("default_frames", a.default_frames);
  visit("fps", a.fps);
  visit("lin_gmac_per_img_token", a.lin_gmac_per_img_token);
  visit("lin_gmac_per_text_token", a.lin_gmac_per_text_token);
  visit("image_attention_layers", a.image_attention_layers);
  visit("text_gmac_per_prompt", a.text_gmac_per_prompt);
  visit("vae_kflop_per_pixel", a.vae_kflop_per_pixel);
  visit("source", a.source);
}

/// How a GPU's number is written.
enum class GpuUnit { plain, bytes, bandwidth, price };

/// Calls text(key, member) or number(key, member, unit) for every field but the name.
template <class Gpu, class Text, class Number>
void visit_gpu(Gpu& g, Text&& text, Number&& number) {
  text("arch", g.arch);
  number("bf16_dense_tflops", g.bf16_dense_tflops, GpuUnit::plain);
  number("fp16_dense_tflops", g.fp16_dense_tflops, GpuUnit::plain);
  number("fp8_dense_tflops", g.fp8_dense_tflops, GpuUnit::plain);
  number("fp4_dense_tflops", g.fp4_dense_tflops, GpuUnit::plain);
  number("memory", g.memory_bytes, GpuUnit::bytes);
  number("memory_bandwidth", g.memory_bandwidth, GpuUnit::bandwidth);
  number("nvlink_bandwidth", g.nvlink_bandwidth, GpuUnit::bandwidth);
  number("pcie_bandwidth", g.pcie_bandwidth, GpuUnit::bandwidth);
  number("tdp_w", g.tdp_w, GpuUnit::plain);
  number("price_low", g.price_low_usd_h, GpuUnit::price);
  number("price_high", g.price_high_usd_h, GpuUnit::price);
  text("price_date", g.price_date);
  text("price_source", g.price_source);
  text("source", g.source);
  text("notes", g.notes);
}

}  // namespace disagfusion
