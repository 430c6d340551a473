#include "predictor/time_model.hpp"

#include <algorithm>
#include <cmath>

#include "base/random.hpp"

namespace disagfusion::predictor {
namespace {

// A smooth maximum (a^k + b^k)^(1/k): overlapping work hides all but the longer, and a little of it
// shows where both take as long. `share` of a: d ln / d ln a.
struct Overlap {
  double value = 0, share_a = 0, share_b = 0;
};
Overlap overlap_2(double a, double b) {
  const double x = a * a, y = b * b;
  if (x + y <= 0) return {};
  return {std::sqrt(x + y), x / (x + y), y / (x + y)};
}
Overlap overlap_4(double a, double b) {
  const double most = std::max(a, b);
  if (most <= 0) return {};
  const double u = a / most * (a / most), v = b / most * (b / most);
  const double x = u * u, y = v * v;
  return {most * std::sqrt(std::sqrt(x + y)), x / (x + y), y / (x + y)};
}

/// Sums seconds, parts and seconds x elasticity.
class Sum {
 public:
  explicit Sum(const Coefficients& factors) : factors_(factors) {}

  double factor(Coefficient coefficient) const { return factors_[at(coefficient)]; }
  void add(Coefficient coefficient, double seconds) {
    timing_.elasticity[at(coefficient)] += seconds;
  }
  Timing& timing() { return timing_; }
  Timing finish() {
    timing_.seconds = timing_.parts.total();
    if (timing_.seconds > 0)
      for (double& share : timing_.elasticity) share /= timing_.seconds;
    return timing_;
  }

 private:
  const Coefficients& factors_;
  Timing timing_;
};

using C = Coefficient;

// One step, ++ the smooth maximum of power 4, +' of power 2:
//   compute = c_lin F_lin + c_att F_att
//   busy    = ((compute ++ weights) + c_elem elementwise) ++ c_stream stream
//   links   = c_link (exchange + c_ring ring + c_gather gather) + c_coll collectives
//   step    = c_dit ((busy + links) +' c_launch launch)
void add_dit(const Features& f, Sum& sum) {
  const double scale = f.steps * sum.factor(C::dit);
  const double linear = sum.factor(C::linear) * f.linear;
  const double attention = sum.factor(C::attention) * f.attention;
  const double compute = linear + attention;
  const Overlap core = overlap_4(compute, f.weights);
  const double elementwise = sum.factor(C::elementwise) * f.elementwise;
  const double resident = core.value + elementwise;
  const double stream = sum.factor(C::stream) * f.stream;
  const Overlap busy = overlap_4(resident, stream);
  const C link = f.nvlink ? C::nvlink : C::pcie;
  const double rate = sum.factor(link);
  const double exchange = rate * f.exchange;
  const double ring = rate * sum.factor(C::ring) * f.ring;
  const double gather = rate * sum.factor(C::gather) * f.gather;
  const double collectives = sum.factor(C::collective) * f.collectives;
  const double worked = busy.value + exchange + ring + gather + collectives;
  const Overlap step = overlap_2(worked, sum.factor(C::launch) * f.launch);
  if (step.value <= 0) return;

  const double device = worked > 0 ? scale * step.value * step.share_a / worked : 0;
  const double kept =
      resident > 0 ? device * busy.value * busy.share_a / resident : 0;  // of resident work
  const double computed = compute > 0 ? kept * core.value * core.share_a / compute : 0;
  Parts& parts = sum.timing().parts;
  parts.linear = computed * linear;
  parts.attention = computed * attention;
  parts.memory = kept * core.value * core.share_b;
  parts.elementwise = kept * elementwise;
  parts.offload = device * busy.value * busy.share_b;
  parts.communication = device * (exchange + ring + gather + collectives);
  parts.overhead += scale * step.value * step.share_b;
  sum.add(C::linear, parts.linear);
  sum.add(C::attention, parts.attention);
  sum.add(C::elementwise, parts.elementwise);
  sum.add(C::stream, parts.offload);
  sum.add(link, device * (exchange + ring + gather));
  sum.add(C::ring, device * ring);
  sum.add(C::gather, device * gather);
  sum.add(C::collective, device * collectives);
  sum.add(C::launch, scale * step.value * step.share_b);
  sum.add(C::dit, scale * step.value);
}

// text = ((c_flop F ++ weights) +' c_launch launch) + c_stream stream
void add_text(const Features& f, Sum& sum) {
  const Overlap core = overlap_4(sum.factor(C::text_flop) * f.text_flop, f.text_weights);
  const Overlap text = overlap_2(core.value, sum.factor(C::text_launch) * f.text_launch);
  const double stream = sum.factor(C::stream) * f.text_stream;
  Parts& parts = sum.timing().parts;
  parts.other += text.value;
  parts.offload += stream;
  sum.add(C::text_flop, text.value * text.share_a * core.share_a);
  sum.add(C::text_launch, text.value * text.share_b);
  sum.add(C::stream, stream);
}

// vae = ((c_vae bytes) ++ (c_flop F)) (decode + c_enc encode) + 5 ms a call of either; CLIP c_image
// 0.3 s
void add_images(const Features& f, Sum& sum) {
  constexpr double kVaeCall = 5e-3, kEmbedding = 0.3;
  const Overlap share =
      overlap_4(sum.factor(C::vae) * f.vae_memory, sum.factor(C::vae_flop) * f.vae_flop);
  const double decode = share.value * f.vae_decodes;
  const double encode = share.value * sum.factor(C::vae_encode) * f.vae_encodes;
  const double embedding = sum.factor(C::image_embedding) * f.image_embedding * kEmbedding;
  Parts& parts = sum.timing().parts;
  parts.other += decode + encode + embedding;
  if (f.vae_decodes > 0) parts.other += kVaeCall;
  if (f.vae_encodes > 0) parts.other += kVaeCall;
  sum.add(C::vae, (decode + encode) * share.share_a);
  sum.add(C::vae_flop, (decode + encode) * share.share_b);
  sum.add(C::vae_encode, encode);
  sum.add(C::image_embedding, embedding);
}

}  // namespace

const char* name_of(Coefficient coefficient) {
  constexpr std::array<const char*, kCoefficients> kNames = {
      "linear",     "attention",   "elementwise",     "launch", "nvlink",   "pcie",
      "collective", "ring",        "gather",          "stream", "dit",      "call",
      "text_flop",  "text_launch", "image_embedding", "vae",    "vae_flop", "vae_encode"};
  return kNames[at(coefficient)];
}

Coefficients factors_of(const Coefficients& logarithms) {
  Coefficients factors{};
  for (std::size_t i = 0; i < kCoefficients; ++i) factors[i] = portable_exp(logarithms[i]);
  return factors;
}

Timing time_of(const Features& features, const Coefficients& factors) {
  Sum sum(factors);
  if (features.steps > 0) add_dit(features, sum);
  if (features.text_flop > 0) add_text(features, sum);
  add_images(features, sum);
  if (features.call > 0) {
    const double call = sum.factor(C::call) * features.call;
    sum.timing().parts.overhead += call;
    sum.add(C::call, call);
  }
  return sum.finish();
}

}  // namespace disagfusion::predictor
