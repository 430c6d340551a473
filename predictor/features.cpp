#include "predictor/features.hpp"

#include <algorithm>
#include <cmath>

#include "base/random.hpp"

namespace disagfusion::predictor {
namespace {

constexpr double kBytesANumber = 2;      // activations stay 16-bit
constexpr double kLaunchSeconds = 1e-3;  // a layer and pass
constexpr double kCollectiveSeconds = 40e-6;
constexpr double kCallSeconds = 0.1;
constexpr double kVaeBytes = 0.026;  // a FLOP
constexpr double kLn2 = 0.6931471805599453;

double over(double amount, double rate) { return rate > 0 ? amount / rate : 0; }

// Bytes that one GPU sends in a step, a = 2 L n H s b the activations of one tensor in all layers
// (n with the text tokens where attention is joint), u, r, q, t GPUs in all-to-all, ring, pipeline
// and tensor layouts:
//   all-to-all  4 a (u - 1) / u^2 / (r q t)   q, k, v and the output (DeepSpeed-Ulysses, Jacobs et
//                                             al. 2023, arXiv:2309.14509)
//   ring        2 a (r - 1) / r / (u q t)     keys and values of the others (Liu et al. 2023,
//                                             arXiv:2310.01889)
//   tensor      4 a (t - 1) / t / (u r q)     two all-reduces a layer (Megatron-LM)
//   pipeline    4 x 2 n H s b                 activations in and out, twice (PipeFusion, Fang et
//                                             al. 2024, arXiv:2405.14430)
//   gather      W s (p - 1) / p               sharded weights, p GPUs in all
void add_links(const Architecture& model, const GpuSpec& gpu, const Work& work, double passes,
               Features& features) {
  const Layout& layout = work.layout;
  features.nvlink = gpu.nvlink_bandwidth > 0;
  const double link = features.nvlink ? gpu.nvlink_bandwidth / 2 : gpu.pcie_bandwidth;
  if (layout.gpus() <= 1 || link <= 0) return;
  const double layers = model.double_layers + model.single_layers;
  const double tokens =
      image_tokens(model, work.shape) + (joint_attention(model) ? model.text_seq_in_dit : 0);
  const double layer = kBytesANumber * tokens * model.hidden * passes * work.batch;
  const double all = layer * layers;
  const double u = layout.ulysses, r = layout.ring, q = layout.pipeline, t = layout.tensor;
  double bytes = 4 * all * (u - 1) / (u * u) / (r * q * t);
  bytes += 4 * all * (t - 1) / t / (u * r * q);
  if (layout.pipeline > 1) bytes += 4 * layer;
  features.exchange = bytes / link;
  features.ring = 2 * all * (r - 1) / r / (u * q * t) / link;
  double hops = r - 1;
  if (layout.ulysses > 1) hops += portable_log(u) / kLn2;
  if (layout.tensor > 1) hops += portable_log(t) / kLn2;
  features.collectives = layers * passes * kCollectiveSeconds * hops;
  if (layout.sharded) {
    const double p = layout.gpus();
    features.gather =
        model.dit_params_b * 1e9 * bytes_per_parameter(work.format) * passes * (p - 1) / p / link;
  }
}

// For one step of b images in s passes, each GPU doing s / g of them on 1 / p of the tokens:
//   linear F_lin s b / (g p P_f), attention F_att s b / (g p P_16),
//   elementwise 2 L (n + m) H s b / (g p B), weights W s / (g q t B), launch 1 ms L s / (g q)
void add_dit(const Architecture& model, const GpuSpec& gpu, const Work& work, Features& features) {
  const Layout& layout = work.layout;
  const double passes = work.passes / layout.guidance;
  const double share = passes * work.batch / layout.sequence();
  const double layers = model.double_layers + model.single_layers;
  const double tokens = image_tokens(model, work.shape) + model.text_seq_in_dit;
  const double bytes = model.dit_params_b * 1e9 * bytes_per_parameter(work.format) * passes;
  const DitWork flop = dit_work(model, work.shape);
  features.linear = flop.linear_flop * share / peak_of(gpu, work.format);
  features.attention = flop.attention_flop * share / peak_16bit(gpu);
  features.elementwise =
      over(kBytesANumber * layers * tokens * model.hidden * share, gpu.memory_bandwidth);
  features.weights = over(bytes / (layout.pipeline * layout.tensor), gpu.memory_bandwidth);
  features.launch = layers * passes * kLaunchSeconds / layout.pipeline;
  if (work.offload) features.stream = over(bytes, gpu.pcie_bandwidth);
  features.steps = work.asked == Asked::dit_step ? 1 : work.shape.steps;
  add_links(model, gpu, work, passes, features);
}

// Two prompts (wanted, unwanted) where guidance is by passes; requests of a batch share neither.
void add_text(const Architecture& model, const GpuSpec& gpu, const Work& work, Features& features) {
  const double texts = work.passes > 1 ? 2 : 1;
  const double prompts = std::max(1U, work.batch / std::max(1U, work.shape.images));
  const double bytes = model.text_params_b * 1e9 * kBytesANumber;
  features.text_flop = text_flop(model, text_tokens(model)) * texts * prompts / peak_16bit(gpu);
  features.text_weights = over(bytes * texts, gpu.memory_bandwidth);
  features.text_launch = model.text_layers * texts * kLaunchSeconds;
  if (work.offload)
    features.text_stream =
        over(model.text_params_b * 1e9 * bytes_per_parameter(work.format), gpu.pcie_bandwidth);
}

// A decoder's bytes follow its FLOP: 0.023 to 0.029 bytes a FLOP in Qwen-Image's, Wan's and
// HunyuanVideo's on A100 and H100, where bandwidth and not the peak sets the pace.
void add_vae(const Architecture& model, const GpuSpec& gpu, const Work& work, Features& features) {
  const double flop = vae_flop(model, work.shape) * work.batch;
  features.vae_memory = over(kVaeBytes * flop, gpu.memory_bandwidth);
  features.vae_flop = flop / peak_16bit(gpu);
}

}  // namespace

int text_tokens(const Architecture& model) {
  const int seen = model.text_seq_in_dit, most = model.text_max_tokens;
  return seen > 0 && most > 0 ? std::min(seen, most) : std::max(seen, most);
}

Features features_of(const Architecture& model, const GpuSpec& gpu, const Work& work) {
  Features features;
  const Asked asked = work.asked;
  const bool whole = asked == Asked::end_to_end;
  if (has_dit(asked)) add_dit(model, gpu, work, features);
  if (whole || asked == Asked::encoder || asked == Asked::text_encoder)
    add_text(model, gpu, work, features);
  const bool condition =
      asked == Asked::condition || (encodes_image(model) && (whole || asked == Asked::encoder));
  if (asked == Asked::image_encoder || (condition && image_encoder_parameters(model) > 0))
    features.image_embedding = 1;
  if (asked == Asked::vae_encode || condition) features.vae_encodes = 1;
  if (whole || asked == Asked::decoder)
    features.vae_decodes = tiled_share(work.shape, work.vae_tile) / std::max(1U, work.layout.vae);
  if (features.vae_encodes + features.vae_decodes > 0) add_vae(model, gpu, work, features);
  if (whole) features.call = kCallSeconds;
  return features;
}

}  // namespace disagfusion::predictor
