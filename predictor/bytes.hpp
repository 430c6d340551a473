// Bytes that go from stage to stage for one request.
#pragma once

#include "base/scenario.hpp"

namespace disagfusion::predictor {

/// Embeddings of the prompt (and, with guidance by passes, of the unwanted one), 2 bytes a number;
/// of image-to-video and edit models the latents of the condition and the image embedding as well.
double encoder_output_bytes(const Architecture& model, const Shape& shape);

/// Latents of all images of the request, 2 bytes a number.
double latent_bytes(const Architecture& model, const Shape& shape);

/// What a stage of this kind hands over; 0 for a decoder (the client's own business) and for
/// `other`.
double stage_output_bytes(StageKind kind, const Architecture& model, const Shape& shape);

}  // namespace disagfusion::predictor
