// The stage backend that computes with LibTorch: the built-in model (32 x 32 pictures).
//
// A stage's weights lie in MODEL.safetensors, MODEL being the part of the weights' name before the
// slash, in serve.models or, for `fashion`, in the folder that ships with the program. Every stage
// computes in float32 on the CPU, whatever `dtype` the load asks for.
//
// What the buffers hold (tensor_bytes.hpp):
//   encoder output  "text" f32[2, T, W]: embedding of the prompt and of the empty prompt
//   dit output      "latent" f32[images, C, S, S]
//   dit state       "latent", "text" and "steps_done" i64[]: all that resuming anywhere needs
//   decoder output  the request's pictures, binary PPM, one after the other
//
// Of a request: `prompt`, `noise_seed` (picture i has noise_seed + i), Shape::steps and
// Shape::images; `guidance` 0 means the model's own. Width and height are 0 or the model's 32,
// frames 1: else the member fails, bad_input.
#pragma once

#include <memory>
#include <string>

#include "exec/stage/backend.hpp"

namespace disagfusion::exec::torch_stage {

/// One instance's compute, on a thread of its own. Its callbacks are called on that thread.
/// `shipped_models` is searched where `context.models_dir` lacks a file; either may be empty.
Result<std::unique_ptr<StageBackend>> make_torch_backend(const BackendContext& context,
                                                         const std::string& shipped_models);

/// The factory that serve.backend: torch names, with the models in the source tree as shipped.
BackendFactory torch_backend_factory();

}  // namespace disagfusion::exec::torch_stage
