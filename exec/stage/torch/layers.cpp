#include "exec/stage/torch/layers.hpp"

#include <ATen/ATen.h>

namespace disagfusion::exec::torch_stage {

Linear Linear::take(WeightsReader& reader, const std::string& name, std::int64_t in,
                    std::int64_t out) {
  return {reader.take(name + ".weight", {out, in}), reader.take(name + ".bias", {out})};
}

at::Tensor Linear::operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }

LayerNorm LayerNorm::take(WeightsReader& reader, const std::string& name, std::int64_t width) {
  return {reader.take(name + ".weight", {width}), reader.take(name + ".bias", {width})};
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {x.size(-1)}, weight, bias, kNormEpsilon);
}

at::Tensor plain_norm(const at::Tensor& x) {
  return at::layer_norm(x, {x.size(-1)}, {}, {}, kNormEpsilon);
}

Attention Attention::take(WeightsReader& reader, const std::string& name, std::int64_t width,
                          std::int64_t context_width, std::int64_t heads) {
  return {Linear::take(reader, name + ".q", width, width),
          Linear::take(reader, name + ".kv", context_width, 2 * width),
          Linear::take(reader, name + ".out", width, width), heads};
}

// softmax(Q K^T / sqrt(d)) V for each head (Vaswani et al. 2017).
at::Tensor Attention::operator()(const at::Tensor& x, const at::Tensor& context) const {
  const std::int64_t batch = x.size(0);
  const std::int64_t width = x.size(2);
  const auto split = [&](const at::Tensor& y) {
    return y.view({batch, -1, heads, width / heads}).transpose(1, 2);
  };
  const auto both = key_value(context).chunk(2, -1);
  const at::Tensor y =
      at::scaled_dot_product_attention(split(query(x)), split(both[0]), split(both[1]));
  return out(y.transpose(1, 2).reshape({batch, x.size(1), width}));
}

Mlp Mlp::take(WeightsReader& reader, const std::string& name, std::int64_t width) {
  return {Linear::take(reader, name + ".up", width, 4 * width),
          Linear::take(reader, name + ".down", 4 * width, width)};
}

at::Tensor Mlp::operator()(const at::Tensor& x) const { return down(at::gelu(up(x), "tanh")); }

Convolution Convolution::take(WeightsReader& reader, const std::string& name, std::int64_t in,
                              std::int64_t out, std::int64_t kernel) {
  return {reader.take(name + ".weight", {out, in, kernel, kernel}),
          reader.take(name + ".bias", {out})};
}

at::Tensor Convolution::operator()(const at::Tensor& x) const {
  const std::int64_t padding = weight.size(2) / 2;
  return at::conv2d(x, weight, bias, at::IntArrayRef{1, 1}, at::IntArrayRef{padding, padding});
}

ResidualBlock ResidualBlock::take(WeightsReader& reader, const std::string& name,
                                  std::int64_t channels, std::int64_t groups) {
  return {LayerNorm::take(reader, name + ".norm1", channels),
          LayerNorm::take(reader, name + ".norm2", channels),
          Convolution::take(reader, name + ".conv1", channels, channels, 3),
          Convolution::take(reader, name + ".conv2", channels, channels, 3), groups};
}

at::Tensor ResidualBlock::operator()(const at::Tensor& x) const {
  const auto norm = [&](const at::Tensor& y, const LayerNorm& scale) {
    return at::silu(at::group_norm(y, groups, scale.weight, scale.bias, kNormEpsilon));
  };
  return x + conv2(norm(conv1(norm(x, norm1)), norm2));
}

}  // namespace disagfusion::exec::torch_stage
