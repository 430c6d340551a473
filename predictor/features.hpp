// What a stage has to do on a GPU, as physics counts it: seconds that each kind of work would take
// at the data sheet's rates. predictor/time_model.hpp turns them into a time.
#pragma once

#include <cstdint>
#include <string>

#include "base/scenario.hpp"
#include "predictor/layout.hpp"
#include "predictor/number_format.hpp"
#include "predictor/roofline.hpp"

namespace disagfusion::predictor {

/// What is asked: a stage, a part of one, or all of them in turn.
enum class Asked : std::uint8_t {
  encoder,        ///< all that the model's encoder stage does
  text_encoder,   ///< the prompts alone
  image_encoder,  ///< the embedding of a condition image (CLIP)
  vae_encode,     ///< the condition image in the VAE
  condition,      ///< both: all that an image encoder stage does
  dit,            ///< all steps
  dit_step,       ///< one step, all its guidance passes
  decoder,
  end_to_end
};
/// Whether DiT steps are in it.
inline bool has_dit(Asked asked) {
  return asked == Asked::dit || asked == Asked::dit_step || asked == Asked::end_to_end;
}

/// One call, with everything that its time depends on beside model and GPU.
struct Work {
  Asked asked = Asked::dit;
  Shape shape;              ///< width, height, frames, steps; all at least 1
  std::uint32_t batch = 1;  ///< images
  double passes = 1;        ///< forward passes a step, all GPUs together
  Layout layout;
  NumberFormat format = NumberFormat::bf16;
  bool offload = false;        ///< weights streamed from host memory at every pass
  std::uint32_t vae_tile = 0;  ///< pixels a side that the decoder works on at a time; 0: all
};

/// Seconds at the data sheet's rates; 0 where there is no such work. DiT figures are for one step.
struct Features {
  double linear = 0;       ///< matrix products, peak of the number format
  double attention = 0;    ///< 16-bit peak
  double elementwise = 0;  ///< reading or writing one activation a layer, memory bandwidth
  double weights = 0;      ///< reading the weights once a pass, memory bandwidth
  double launch = 0;       ///< 1 ms a layer and pass
  double stream = 0;       ///< weights over PCIe, once a pass
  double exchange = 0;  ///< bytes of all-to-alls (and of tensor and pipeline layouts) on the link
  double ring = 0;      ///< bytes of keys and values going round, on the link
  double gather = 0;    ///< bytes of sharded weights, on the link
  double collectives = 0;  ///< 40 us a layer, pass and doubling (ring: and hop)
  double steps = 0;        ///< DiT steps in the call
  double text_flop = 0, text_weights = 0, text_launch = 0, text_stream = 0;  ///< 1 ms a layer
  double image_embedding = 0;  ///< 1 where there is one
  double vae_memory = 0;       ///< of decoding, 0.026 bytes a FLOP, memory bandwidth
  double vae_flop = 0;         ///< the same, 16-bit peak
  double vae_decodes = 0;      ///< decodings on each GPU: tiles' overlap / GPUs, or none
  double vae_encodes = 0;      ///< encodings, which count as decodings
  double call = 0;             ///< 0.1 s of an end-to-end call
  bool nvlink = false;         ///< the link is NVLink, else PCIe
};

/// Precondition: the model and the GPU sheet have what `work.asked` needs (Roofline::refusal).
Features features_of(const Architecture& model, const GpuSpec& gpu, const Work& work);

/// Text tokens that one prompt is encoded to: padded encoders their maximum, others what the DiT
/// sees of them.
int text_tokens(const Architecture& model);

}  // namespace disagfusion::predictor
