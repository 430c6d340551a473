#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "exec/stage/torch/builtin_model.hpp"
#include "exec/stage/torch/layers.hpp"

namespace disagfusion::exec::torch_stage {

namespace {

struct Block {
  LayerNorm norm1, norm2;
  Attention attention;
  Mlp mlp;
};

}  // namespace

struct TextEncoder::Layers {
  BuiltinSizes sizes;
  Tokenizer tokenizer;
  at::Tensor tokens, positions;
  std::vector<Block> blocks;
  LayerNorm norm;
  std::uint64_t bytes = 0;
};

TextEncoder::TextEncoder(std::unique_ptr<Layers> layers) : layers_(std::move(layers)) {}
TextEncoder::TextEncoder(TextEncoder&&) noexcept = default;
TextEncoder& TextEncoder::operator=(TextEncoder&&) noexcept = default;
TextEncoder::~TextEncoder() = default;

Result<TextEncoder> TextEncoder::load(const SafetensorsFile& file) {
  const c10::InferenceMode inference;
  const auto sizes = BuiltinSizes::read(file);
  if (!sizes) return fail(sizes.error());
  auto tokenizer = Tokenizer::read(file, sizes->text_tokens);
  if (!tokenizer) return fail(std::move(tokenizer.error()));

  WeightsReader reader(file, "text.");
  const std::int64_t width = sizes->text_width;
  auto layers = std::make_unique<Layers>();
  layers->tokens = reader.take("tokens.weight", {tokenizer->size(), width});
  layers->positions = reader.take("positions", {sizes->text_tokens, width});
  for (std::int64_t i = 0; i < sizes->text_layers; ++i) {
    const std::string name = "blocks." + std::to_string(i);
    layers->blocks.push_back(
        {LayerNorm::take(reader, name + ".norm1", width),
         LayerNorm::take(reader, name + ".norm2", width),
         Attention::take(reader, name + ".attention", width, width, sizes->text_heads),
         Mlp::take(reader, name + ".mlp", width)});
  }
  layers->norm = LayerNorm::take(reader, "norm", width);
  layers->sizes = *sizes;
  layers->tokenizer = std::move(*tokenizer);
  layers->bytes = reader.bytes();
  Problems problems = reader.finish();
  if (!problems.empty()) return fail(std::move(problems));
  return TextEncoder(std::move(layers));
}

at::Tensor TextEncoder::encode(std::span<const std::string> prompts) const {
  const c10::InferenceMode inference;
  std::vector<std::int64_t> ids;
  for (const std::string& prompt : prompts) {
    const auto of_prompt = layers_->tokenizer.tokenize(prompt);
    ids.insert(ids.end(), of_prompt.begin(), of_prompt.end());
  }
  const auto of_nothing = layers_->tokenizer.tokenize("");
  ids.insert(ids.end(), of_nothing.begin(), of_nothing.end());
  const auto batch = static_cast<std::int64_t>(prompts.size());
  const auto length = static_cast<std::int64_t>(of_nothing.size());

  const at::Tensor index =
      at::from_blob(ids.data(), {batch + 1, length}, at::TensorOptions().dtype(at::kLong));
  at::Tensor x = at::embedding(layers_->tokens, index) + layers_->positions;
  for (const Block& block : layers_->blocks) {
    const at::Tensor y = block.norm1(x);
    x = x + block.attention(y, y);
    x = x + block.mlp(block.norm2(x));
  }
  x = layers_->norm(x);
  const at::Tensor uncond = x.slice(0, batch).expand({batch, -1, -1});
  return at::stack({x.slice(0, 0, batch), uncond}, 1);
}

const Tokenizer& TextEncoder::tokenizer() const { return layers_->tokenizer; }
const BuiltinSizes& TextEncoder::sizes() const { return layers_->sizes; }
std::uint64_t TextEncoder::bytes() const { return layers_->bytes; }

}  // namespace disagfusion::exec::torch_stage
