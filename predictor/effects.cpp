#include "predictor/effects.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "base/check.hpp"
#include "base/random.hpp"

namespace disagfusion::predictor {
namespace {

using C = Coefficient;

constexpr double kLargeChip = 5e14;  // FLOP/s

// Prior means and spreads are what is known beside the data: data sheets, kernels' published
// efficiencies, launch costs; each is wide enough for the rows to overrule it. The text beside each
// says what it multiplies.
constexpr std::array<Effect, kEffects> kTable = {{
    {"linear", C::linear, 0.51, 0.3, false},             // 60 % of the peak
    {"linear_power", C::linear, 0.25, 0.1, false},       // -ln(W per TFLOP/s): clocks under load
    {"linear_fast_format", C::linear, 0.2, 0.3, false},  // 8-bit and 16-bit accumulating products
    {"attention", C::attention, 0.36, 0.2, false},       // 70 %
    {"attention_power", C::attention, 0.2, 0.1, false},
    {"attention_quantised", C::attention, -0.5, 0.3, false},  // 8-bit attention (SageAttention)
    {"attention_asynchronous", C::attention, -0.25, 0.15, false},  // FlashAttention-3 on Hopper
    // FlashAttention-2 keeps to synchronous products, which on the large chips of Hopper and after
    // reach about 350 TFLOP/s
    {"attention_synchronous", C::attention, 0.45, 0.2, false},
    {"attention_narrow_heads", C::attention, 0.2, 0.3, false},  // ln(128 / head width)
    {"attention_arch", C::attention, 0, 0.3, true},
    {"elementwise", C::elementwise, 4.1, 0.5, false},  // 60 tensors read or written a layer
    {"elementwise_eager", C::elementwise, 0.8, 0.3, false},
    {"elementwise_compiled", C::elementwise, -0.7, 0.3, false},
    {"elementwise_video", C::elementwise, 0.4, 0.3, false},          // float32 norms and rotations
    {"elementwise_narrow_heads", C::elementwise, -0.7, 0.4, false},  // no rotations, no query norms
    {"elementwise_framework", C::elementwise, 0, 0.3, true},
    {"launch", C::launch, -0.7, 0.4, false},  // 0.5 ms a layer
    {"launch_eager", C::launch, 0.9, 0.3, false},
    {"launch_compiled", C::launch, -1.2, 0.4, false},
    {"launch_parallel", C::launch, 0.4, 0.3, false},
    {"launch_framework", C::launch, 0, 0.3, true},
    {"nvlink", C::nvlink, 0.92, 0.5, false},  // 40 % of the rate
    {"pcie", C::pcie, 1.1, 0.5, false},       // 33 %
    {"pcie_gpu", C::pcie, 0, 0.4, true},
    {"collective", C::collective, 0, 0.5, false},
    {"ring", C::ring, -0.5, 0.5, false},
    {"gather", C::gather, -1.2, 0.7, false},
    {"stream", C::stream, 0.22, 0.4, false},  // 80 % of PCIe
    {"gpu", C::dit, 0, 0.15, true},
    {"gpu_arch", C::dit, 0, 0.1, true},
    {"model", C::dit, 0, 0.15, true},
    {"family", C::dit, 0, 0.1, true},
    {"framework", C::dit, 0, 0.15, true},
    {"source", C::dit, 0, 0.1, true},
    {"gpu_framework", C::dit, 0, 0.1, true},
    {"model_framework", C::dit, 0, 0.1, true},
    {"layout", C::dit, 0, 0.1, true},
    {"call", C::call, 0.69, 0.6, false},  // 0.2 s
    {"call_framework", C::call, 0, 0.7, true},
    {"text_flop", C::text_flop, 0.92, 0.5, false},  // 40 %
    // a prompt's few hundred rows do not fill the units of a large chip
    {"text_flop_large_chip", C::text_flop, 0.6, 0.3, false},
    {"text_launch", C::text_launch, 0, 0.7, false},  // 1 ms a layer
    // a language model's layer launches about 1.5 times the kernels of a T5 layer
    {"text_launch_language", C::text_launch, 0.4, 0.3, false},
    {"text_launch_two", C::text_launch, 0.7, 0.7, false},  // a prompt and an unwanted one
    {"text_launch_framework", C::text_launch, 0, 0.4, true},
    {"image_embedding", C::image_embedding, -2.3, 1, false},
    {"vae", C::vae, 0, 0.3, false},
    {"vae_family", C::vae, 0, 0.3, true},
    {"vae_whole", C::vae, 0.3, 0.4, false},  // in 32 bits, conversions: what end to end adds
    {"vae_whole_framework", C::vae, 0, 0.3, true},
    {"vae_flop", C::vae_flop, 1.2, 0.3, false},  // 30 % of the peak
    {"vae_encode", C::vae_encode, -0.69, 0.5, false},
}};

/// An effect by its name, looked up when this is compiled: a name that no effect has does not.
struct Named {
  std::uint8_t number = 0;
  // NOLINTNEXTLINE(google-explicit-constructor): so that a name can stand where an effect is meant
  consteval Named(const char* name) {
    while (std::string_view(kTable.at(number).name) != name) ++number;
  }
};

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool contains(const std::string& text, const char* word) {
  return text.find(word) != std::string::npos;
}

enum class Mode : std::uint8_t { unstated, eager, compiled };
Mode mode_of(const std::string& framework) {
  const std::string text = lower(framework);
  if (contains(text, "compile") || contains(text, "nexfort")) return Mode::compiled;
  return contains(text, "eager") || text == "diffusers" ? Mode::eager : Mode::unstated;
}

enum class Kernel : std::uint8_t { usual, asynchronous, quantised };
/// By what a row says, else by what the framework ships: LightX2V quantises attention, Wan2.2's own
/// code and SGLang use FlashAttention-3 on Hopper.
Kernel kernel_of(const Setting& setting) {
  const std::string text = lower(setting.framework + " " + setting.notes);
  if (contains(text, "lightx2v") || contains(text, "sage")) return Kernel::quantised;
  const bool known = contains(text, "wan2.2 official") || contains(text, "sglang");
  return known || contains(text, "fa3") ? Kernel::asynchronous : Kernel::usual;
}

/// ln of board power over 16-bit peak, W per TFLOP/s, in [0.3, 4]; 0 where either is unknown.
double power_of(const GpuSpec& gpu) {
  const double peak = peak_16bit(gpu) * 1e-12;
  if (peak <= 0 || gpu.tdp_w <= 0) return 0;
  return portable_log(std::clamp(gpu.tdp_w / peak, 0.3, 4.0));
}

std::string stated(const std::string& level) { return level.empty() ? "unstated" : level; }
std::string both(const std::string& a, const std::string& b) {
  return stated(a) + " on " + stated(b);
}

/// Encoders that are language models, not T5 or CLIP.
bool is_language_model(const std::string& text_encoder) {
  const std::string text = lower(text_encoder);
  for (const char* name : {"llama", "qwen", "gemma", "mistral", "glm"})
    if (contains(text, name)) return true;
  return false;
}

class Terms {
 public:
  Terms() { terms_.reserve(kEffects); }
  void common(Named effect, double value = 1) {
    if (value != 0) terms_.push_back({effect.number, "", value});
  }
  void pooled(Named effect, const std::string& level) {
    terms_.push_back({effect.number, stated(level), 1});
  }
  std::vector<Term> take() { return std::move(terms_); }

 private:
  std::vector<Term> terms_;
};

void add_products(const Architecture& model, const GpuSpec& gpu, const Work& work,
                  const Setting& setting, Terms& terms) {
  const double power = power_of(gpu);
  const double wide = peak_16bit(gpu);
  const Kernel kernel = kernel_of(setting);
  const int head = model.head_dim > 0 ? model.head_dim : 128;
  terms.common("linear");
  terms.common("linear_power", -power);
  terms.common("linear_fast_format", peak_of(gpu, work.format) > 1.5 * wide ? 1 : 0);
  terms.common("attention");
  terms.common("attention_power", -power);
  terms.common("attention_quantised", kernel == Kernel::quantised ? 1 : 0);
  terms.common("attention_asynchronous",
               kernel == Kernel::asynchronous && setting.gpu_arch == "Hopper" ? 1 : 0);
  terms.common("attention_synchronous", kernel == Kernel::usual && wide > kLargeChip ? 1 : 0);
  terms.common("attention_narrow_heads", portable_log(128.0 / head));
  terms.pooled("attention_arch", setting.gpu_arch);
}

void add_dit(const Architecture& model, const GpuSpec& gpu, const Work& work,
             const Setting& setting, Terms& terms) {
  const std::string framework = framework_of(setting.framework);
  const Mode mode = mode_of(setting.framework);
  add_products(model, gpu, work, setting, terms);
  terms.common("elementwise");
  terms.common("elementwise_eager", mode == Mode::eager ? 1 : 0);
  terms.common("elementwise_compiled", mode == Mode::compiled ? 1 : 0);
  terms.common("elementwise_video", model.vae_t > 1 ? 1 : 0);
  terms.common("elementwise_narrow_heads", model.head_dim > 0 && model.head_dim < 128 ? 1 : 0);
  terms.pooled("elementwise_framework", framework);
  terms.common("launch");
  terms.common("launch_eager", mode == Mode::eager ? 1 : 0);
  terms.common("launch_compiled", mode == Mode::compiled ? 1 : 0);
  terms.common("launch_parallel", work.layout.sequence() > 1 ? 1 : 0);
  terms.pooled("launch_framework", framework);
  if (work.layout.gpus() > 1) {
    const bool nvlink = gpu.nvlink_bandwidth > 0;
    terms.common(nvlink ? Named("nvlink") : Named("pcie"));
    if (!nvlink) terms.pooled("pcie_gpu", setting.gpu);
    terms.common("collective");
    terms.common("ring", work.layout.ring > 1 ? 1 : 0);
    terms.common("gather", work.layout.sharded ? 1 : 0);
  }
  terms.pooled("gpu", setting.gpu);
  terms.pooled("gpu_arch", setting.gpu_arch);
  terms.pooled("model", setting.model);
  terms.pooled("family", family_of(setting.model));
  terms.pooled("framework", framework);
  terms.pooled("source", setting.source);
  terms.pooled("gpu_framework", both(framework, setting.gpu));
  terms.pooled("model_framework", both(framework, setting.model));
  if (work.layout.gpus() > 1) terms.pooled("layout", layout_class(work.layout));
}

void add_rest(const Architecture& model, const GpuSpec& gpu, const Work& work,
              const Setting& setting, Terms& terms) {
  const std::string framework = framework_of(setting.framework);
  const Asked asked = work.asked;
  const bool whole = asked == Asked::end_to_end;
  if (work.offload) terms.common("stream");
  if (whole) {
    terms.common("call");
    terms.pooled("call_framework", framework);
  }
  const bool encodes = whole || asked == Asked::encoder;
  if (encodes || asked == Asked::text_encoder) {
    terms.common("text_flop");
    terms.common("text_flop_large_chip", peak_16bit(gpu) > kLargeChip ? 1 : 0);
    terms.common("text_launch");
    terms.common("text_launch_language", is_language_model(model.text_encoder) ? 1 : 0);
    terms.common("text_launch_two", work.passes > 1 ? 1 : 0);
    terms.pooled("text_launch_framework", framework);
  }
  const bool both = asked == Asked::condition || (encodes && encodes_image(model));
  if (asked == Asked::image_encoder || (both && image_encoder_parameters(model) > 0))
    terms.common("image_embedding");
  const bool condition = both || asked == Asked::vae_encode;
  if (whole || asked == Asked::decoder || condition) {
    terms.common("vae");
    terms.pooled("vae_family", family_of(setting.model));
    if (whole) {
      terms.common("vae_whole");
      terms.pooled("vae_whole_framework", framework);
    }
    terms.common("vae_flop");
  }
  if (condition) terms.common("vae_encode");
}

}  // namespace

const std::array<Effect, kEffects>& effects() { return kTable; }

bool is_of_frameworks(std::uint8_t effect) {
  return effect == Named("framework").number || effect == Named("call_framework").number ||
         effect == Named("elementwise_framework").number ||
         effect == Named("launch_framework").number ||
         effect == Named("text_launch_framework").number ||
         effect == Named("vae_whole_framework").number;
}

std::vector<Term> terms_of(const Architecture& model, const GpuSpec& gpu, const Work& work,
                           const Setting& setting) {
  Terms terms;
  if (has_dit(work.asked)) add_dit(model, gpu, work, setting, terms);
  add_rest(model, gpu, work, setting, terms);
  return terms.take();
}

std::string family_of(const std::string& model) {
  std::string family;
  for (const char c : lower(model)) {
    if (c < 'a' || c > 'z') break;
    family += c;
  }
  for (const std::string ending : {"videox", "video", "image"})
    if (family.size() > ending.size() && family.ends_with(ending)) {
      family.erase(family.size() - ending.size());
      break;
    }
  return family;
}

std::string framework_of(const std::string& text) {
  std::string name = lower(text.substr(0, text.find(' ')));
  while (!name.empty() && (std::isdigit(static_cast<unsigned char>(name.back())) != 0 ||
                           name.back() == '_' || name.back() == '.'))
    name.pop_back();
  const bool own = contains(lower(text), "official");
  if (own) return "official";
  return name == "diffusers+torchao" || name == "flux-fast" ? "diffusers" : name;
}

}  // namespace disagfusion::predictor
