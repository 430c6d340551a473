// The layers that the stages of the built-in model are made of. Weights are row-major [out, in].
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "exec/stage/torch/weights.hpp"

namespace disagfusion::exec::torch_stage {

/// Inside the square root of every normalisation.
inline constexpr double kNormEpsilon = 1e-6;

/// y = x W^T + b over the last dimension.
struct Linear {
  at::Tensor weight, bias;
  static Linear take(WeightsReader& reader, const std::string& name, std::int64_t in,
                     std::int64_t out);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

/// Layer normalisation over the last dimension, with scale and shift of its own.
struct LayerNorm {
  at::Tensor weight, bias;
  static LayerNorm take(WeightsReader& reader, const std::string& name, std::int64_t width);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

/// Layer normalisation without scale and shift (adaLN gives them).
at::Tensor plain_norm(const at::Tensor& x);

/// Multi-head attention of x [B, N, width] to context [B, M, context_width]: [B, N, width].
struct Attention {
  Linear query, key_value, out;
  std::int64_t heads = 1;
  static Attention take(WeightsReader& reader, const std::string& name, std::int64_t width,
                        std::int64_t context_width, std::int64_t heads);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x, const at::Tensor& context) const;
};

/// Two linear layers with a GELU (tanh form) and four times the width between them.
struct Mlp {
  Linear up, down;
  static Mlp take(WeightsReader& reader, const std::string& name, std::int64_t width);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

/// A convolution with a square kernel that keeps the size of the picture.
struct Convolution {
  at::Tensor weight, bias;
  static Convolution take(WeightsReader& reader, const std::string& name, std::int64_t in,
                          std::int64_t out, std::int64_t kernel);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

/// x + conv(silu(norm(conv(silu(norm(x)))))), group normalisation, 3 x 3 kernels.
struct ResidualBlock {
  LayerNorm norm1, norm2;  ///< scale and shift of the group normalisations
  Convolution conv1, conv2;
  std::int64_t groups = 1;
  static ResidualBlock take(WeightsReader& reader, const std::string& name, std::int64_t channels,
                            std::int64_t groups);
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

}  // namespace disagfusion::exec::torch_stage
