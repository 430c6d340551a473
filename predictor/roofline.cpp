#include "predictor/roofline.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/check.hpp"
#include "base/random.hpp"

namespace disagfusion::predictor {
namespace {

// Constants fitted once, coarsely, on the 261 `calibrate` rows whose model and GPU are in the
// tables: least squares on ln(predicted / measured) with a soft-L1 loss (scale 0.15) and weak
// priors; the decoder's utilisation is the median of its seven rows. They do not vary by GPU, model
// or framework, as the fitted form's do (predictor/fitted.hpp).
constexpr double kLinearUtilisation = 0.50;     // of the 16-bit peak
constexpr double kQuantisedUtilisation = 0.58;  // of the 8-bit (or 16-bit accumulating) peak
constexpr double kAttentionUtilisation = 0.45;  // of the 16-bit peak
constexpr double kPowerExponent = 0.44;         // of watts per TFLOP/s
constexpr double kPowerLimit = 2.8;             // W per TFLOP/s; more helps no further
constexpr double kLayerSeconds = 31e-6;         // launches of a layer, one pass
constexpr double kCallSeconds = 2e-3;           // of a DiT call
constexpr double kLinkUtilisation = 0.28;       // NVLink (one direction) and PCIe alike
constexpr double kCollectiveSeconds = 40e-6;    // a layer, one doubling of the GPUs
constexpr double kEncoderUtilisation = 0.38;
constexpr double kImageTokens = 257;       // of CLIP ViT-H/14
constexpr double kEncoderSeconds = 0.030;  // a call
constexpr double kVaeUtilisation = 0.15;   // convolutions
constexpr double kVaeSeconds = 0.010;      // a call
constexpr double kVaeEncodeShare = 0.53;   // of the decoder's seconds
constexpr double kPipelineSeconds = 0.24;  // end to end, beside the stages
// Host link: assumed, not fitted (pinned memory reaches about 80 % of PCIe).
constexpr double kHostLinkUtilisation = 0.8;
constexpr double kDefaultVaeParameters = 2e8;
constexpr double kVaeFlop = 0.1;  // a pixel and parameter: 0.067 to 0.12 counted at stride 8
constexpr double kLn2 = 0.6931471805599453;

double ceil_div(double a, double b) { return std::ceil(a / b); }

}  // namespace

bool joint_attention(const Architecture& model) { return model.block_type != "self+cross"; }

double latent_frames(const Architecture& model, const Shape& shape) {
  if (shape.frames <= 1) return 1;
  return std::floor((shape.frames - 1.0) / std::max(1, model.vae_t)) + 1;
}

double image_tokens(const Architecture& model, const Shape& shape) {
  const double rows = ceil_div(ceil_div(shape.height, model.vae_s), model.patch_h);
  const double columns = ceil_div(ceil_div(shape.width, model.vae_s), model.patch_w);
  const double copies = model.task == "i2i" ? 2 : 1;
  return copies * ceil_div(latent_frames(model, shape), model.patch_t) * rows * columns;
}

// F_linear = 2e9 (n g_image + m g_text),   n image tokens, m text tokens, g in GMAC a token
// F_attention = 4 L H n (n + m)            self + cross attention, L layers of width H
//             = 4 L H (n + m)^2 + 4 L' H n^2   joint attention, L' layers within the image too
// Source: README of the published data; product of matrices counted as 2 FLOP a multiply-add.
DitWork dit_work(const Architecture& model, const Shape& shape) {
  const double n = image_tokens(model, shape);
  const double m = model.text_seq_in_dit;
  const double layers = model.double_layers + model.single_layers;
  const double keys = n + m;
  const double queries = joint_attention(model) ? keys : n;
  return {2e9 * (n * model.lin_gmac_per_img_token + m * model.lin_gmac_per_text_token),
          4.0 * model.hidden * (layers * queries * keys + model.image_attention_layers * n * n)};
}

bool encodes_image(const Architecture& model) { return model.task == "i2v" || model.task == "i2i"; }

double image_encoder_parameters(const Architecture& model) {
  const std::string& words = model.image_encoder;
  for (std::size_t at = words.find(' '); at != std::string::npos; at = words.find(' ', at + 1)) {
    char* end = nullptr;
    const double billions = std::strtod(words.c_str() + at + 1, &end);
    if (end != words.c_str() + at + 1 && *end == 'B') return billions * 1e9;
  }
  return 0;
}

double vae_parameters(const Architecture& model) {
  return model.vae_params_m > 0 ? model.vae_params_m * 1e6 : kDefaultVaeParameters;
}

double text_flop(const Architecture& model, double tokens) {
  if (model.text_gmac_per_prompt > 0 && model.text_max_tokens > 0)
    return 2e9 * model.text_gmac_per_prompt * tokens / model.text_max_tokens;
  return 2e9 * model.text_params_b * tokens;
}

double vae_flop(const Architecture& model, const Shape& shape) {
  const double pixels = static_cast<double>(shape.width) * shape.height * shape.frames;
  const double flop = model.vae_kflop_per_pixel > 0 ? 1e3 * model.vae_kflop_per_pixel
                                                    : kVaeFlop * vae_parameters(model);
  return flop * pixels;
}

double tiled_share(const Shape& shape, std::uint32_t tile) {
  const auto along = [tile](std::uint32_t side) {  // sum of min(tile, what is left) at each start
    if (tile == 0 || side <= tile) return 1.0;
    const std::uint32_t stride = std::max(1U, tile - tile / 4);
    double sum = 0;
    for (std::uint32_t at = 0; at < side; at += stride) sum += std::min(tile, side - at);
    return sum / side;
  };
  return along(shape.width) * along(shape.height);
}

// 5 % and 95 % of measured / predicted over the calibrate rows, each row predicted by a fit that
// left its model or its GPU out (the wider of the two), rounded outwards. Encoders span host-bound
// 20 ms to 0.9 s for one text; decoders are seven rows only.
Spread spread_of(StageKind kind) {
  switch (kind) {
    case StageKind::dit:
      return {0.62, 2.1};
    case StageKind::encoder:
    case StageKind::image_encoder:
      return {0.15, 4.2};
    case StageKind::decoder:
      return {0.45, 2.2};
    case StageKind::other:
      break;
  }
  return {0.15, 4.2};
}

// phi = min(w, 2.8)^0.44, w = board power / 16-bit peak in W per TFLOP/s: cards with little power
// for their peak (H100: 0.7) clock down under matrix products, those with much (H20: 2.7) do not.
Roofline::Roofline(const Architecture& model, const GpuSpec& gpu) : model_(model), gpu_(gpu) {
  const double peak = peak_16bit(gpu);
  const double watts = peak > 0 && gpu.tdp_w > 0 ? gpu.tdp_w / (peak * 1e-12) : 1;
  power_ = portable_exp(kPowerExponent * portable_log(std::min(watts, kPowerLimit)));
  rate_16_ = peak * power_;
  link_ =
      kLinkUtilisation * (gpu.nvlink_bandwidth > 0 ? gpu.nvlink_bandwidth / 2 : gpu.pcie_bandwidth);
  host_link_ = kHostLinkUtilisation * gpu.pcie_bandwidth;
  layers_ = model.double_layers + model.single_layers;
}

std::string Roofline::refusal(StageKind kind) const {
  if (rate_16_ <= 0) return "GPU " + gpu_.name + " has no 16-bit peak rate";
  if (gpu_.memory_bandwidth <= 0) return "GPU " + gpu_.name + " has no memory bandwidth";
  switch (kind) {
    case StageKind::dit:
      if (model_.lin_gmac_per_img_token <= 0) return "lin_gmac_per_img_token is not known";
      if (layers_ <= 0 || model_.hidden <= 0) return "layers and hidden are not known";
      return {};
    case StageKind::encoder:
    case StageKind::image_encoder:
      return model_.text_params_b > 0 ? "" : "text_params_b is not known";
    case StageKind::decoder:
      return {};
    case StageKind::other:
      return "its kind is none of encoder, image_encoder, dit, decoder";
  }
  return {};
}

StageSeconds Roofline::seconds(StageKind kind, const Call& call) const {
  Call sized = call;
  sized.shape = with_defaults(call.shape);
  StageSeconds result;
  switch (kind) {
    case StageKind::dit:
      return dit(sized);
    case StageKind::encoder:
      return encoder(sized);
    case StageKind::image_encoder:
      result.fixed.other = image_encoder(sized) + vae_encode(sized);
      return result;
    case StageKind::decoder:
      result.fixed.other = decoder(sized);
      return result;
    case StageKind::other:
      break;
  }
  DF_CHECK(false, "a stage of no known kind was asked of the roofline");
  return result;
}

Shape Roofline::with_defaults(Shape shape) const {
  const auto or_default = [](std::uint32_t value, int other) {
    return value > 0 ? value : static_cast<std::uint32_t>(std::max(1, other));
  };
  if (shape.width == 0) shape.frames = or_default(0, model_.default_frames);
  shape.width = or_default(shape.width, model_.default_width);
  shape.height = or_default(shape.height, model_.default_height);
  return shape;
}

// One step of b images in s forward passes on p GPUs that share the tokens:
//   compute = (F_linear / (P_f u_f) + F_attention / (P_16 u_a)) s b / (phi p)
//   memory  = s W / B             weights read once a pass, W bytes, memory bandwidth B
//   host    = s W / B_host        only where weights are streamed; hidden by compute where shorter
//   links   = 8 L n H s b (p - 1) / p^2 / B_link + 40 us L s log2(p)   four all-to-alls of 2-byte
//             activations a layer (DeepSpeed-Ulysses, Jacobs et al. 2023, arXiv:2309.14509)
//   step    = max(compute, memory, host) + links + 31 us L s
StageSeconds Roofline::dit(const Call& call) const {
  const double p = call.sequence;
  const double passes = (call.passes > 0 ? call.passes : std::max(1, model_.passes_per_step)) /
                        static_cast<double>(std::max(1U, call.guidance));
  const double images = call.batch;
  const DitWork work = dit_work(model_, call.shape);
  const double format_peak = peak_of(gpu_, call.format);
  const bool faster = format_peak > peak_16bit(gpu_) * 1.5;
  const double utilisation = faster ? kQuantisedUtilisation : kLinearUtilisation;
  const double scale = passes * images / (power_ * p);
  const double weights = model_.dit_params_b * 1e9 * bytes_per_parameter(call.format) * passes;

  StageSeconds result;
  Parts& step = result.per_step;
  step.linear = work.linear_flop / (format_peak * utilisation) * scale;
  step.attention = work.attention_flop / (peak_16bit(gpu_) * kAttentionUtilisation) * scale;
  const double compute = step.linear + step.attention;
  step.memory = std::max(0.0, weights / gpu_.memory_bandwidth - compute);
  if (call.offload && host_link_ > 0)
    step.offload = std::max(0.0, weights / host_link_ - compute - step.memory);
  step.overhead = layers_ * kLayerSeconds * passes;
  if (call.sequence > 1 && link_ > 0) {
    const double volume = 8 * layers_ * image_tokens(model_, call.shape) * model_.hidden * passes *
                          images * (p - 1) / (p * p);
    step.communication =
        volume / link_ + layers_ * kCollectiveSeconds * passes * portable_log(p) / kLn2;
  }
  result.fixed.overhead = kCallSeconds;
  return result;
}

StageSeconds Roofline::encoder(const Call& call) const {
  StageSeconds result;
  result.fixed.other = text_encoder(call);
  if (encodes_image(model_)) result.fixed.other += image_encoder(call) + vae_encode(call);
  if (call.offload && host_link_ > 0)
    result.fixed.offload =
        model_.text_params_b * 1e9 * bytes_per_parameter(call.format) / host_link_;
  return result;
}

// F_text = 2 N_text m_max a prompt, two prompts (wanted, unwanted) where guidance is by passes.
//   t = 30 ms + max(F_text / (P_16 phi u_e), W_text / B)
double Roofline::text_encoder(const Call& call) const {
  const double prompts = std::max(1U, call.batch / std::max(1U, call.shape.images));
  const double passes = call.passes > 0 ? call.passes : model_.passes_per_step;
  const double texts = passes > 1 ? 2 : 1;
  const double flop = 2 * model_.text_params_b * 1e9 * model_.text_max_tokens * texts * prompts;
  const double weights = model_.text_params_b * 1e9 * bytes_per_parameter(call.format);
  return kEncoderSeconds +
         std::max(flop / (rate_16_ * kEncoderUtilisation), weights / gpu_.memory_bandwidth);
}

// t = 10 ms + F_vae b / (0.15 P_16 phi), F_vae times the overlap where it works on tiles
double Roofline::decoder(const Call& call) const {
  const double flop =
      vae_flop(model_, call.shape) * tiled_share(call.shape, call.vae_tile) * call.batch;
  return kVaeSeconds + flop / (rate_16_ * kVaeUtilisation) / std::max(1U, call.vae);
}

double Roofline::image_encoder(const Call& call) const {
  const double parameters = image_encoder_parameters(model_);
  if (parameters <= 0) return 0;
  const double flop = 2 * parameters * kImageTokens * std::max(1U, call.batch);
  return kEncoderSeconds +
         std::max(flop / (rate_16_ * kEncoderUtilisation),
                  parameters * bytes_per_parameter(call.format) / gpu_.memory_bandwidth);
}

double Roofline::vae_encode(const Call& call) const {
  Call sized = call;
  sized.shape = with_defaults(call.shape);
  sized.vae = 1;
  return kVaeEncodeShare * decoder(sized);
}

double Roofline::end_to_end(const Call& call) const {
  const std::uint32_t steps = call.shape.steps;
  return seconds(StageKind::encoder, call).total(steps) +
         seconds(StageKind::dit, call).total(steps) +
         seconds(StageKind::decoder, call).total(steps) + kPipelineSeconds;
}

}  // namespace disagfusion::predictor
