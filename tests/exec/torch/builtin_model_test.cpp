// The model in C++ against the tensors that builtin/reference.py wrote (golden.safetensors), and
// the promises that disaggregation rests on: a sequence of steps may stop anywhere, and a batch is
// its members.
#include "exec/stage/torch/builtin_model.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "exec/stage/torch/weights.hpp"

namespace disagfusion::exec::torch_stage {
namespace {

constexpr double kTolerance = 1e-4;  // of any element of any boundary

SafetensorsFile read_file(const std::string& path) {
  auto file = SafetensorsFile::read(std::string(DISAGFUSION_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(file) << file.error().front().text();
  return std::move(*file);
}

const SafetensorsFile& weights() {
  static const SafetensorsFile kFile = read_file("exec/stage/torch/builtin/fashion.safetensors");
  return kFile;
}

template <class Stage>
const Stage& stage() {
  static const Stage kStage = [] {
    auto loaded = Stage::load(weights());
    EXPECT_TRUE(loaded) << loaded.error().front().text();
    return std::move(*loaded);
  }();
  return kStage;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/// One case of the golden file: tensors by name, and what was asked.
class Case {
 public:
  explicit Case(int number) : file_(golden()), prefix_("case" + std::to_string(number) + ".") {
    const auto cases = nlohmann::json::parse(file_.metadata("cases").value());
    const auto& entry = cases.at(static_cast<std::size_t>(number));
    prompt = entry.at("prompt").get<std::string>();
    seed = entry.at("seed").get<std::uint64_t>();
    guidance = entry.at("guidance").get<double>();
  }
  [[nodiscard]] at::Tensor operator[](const std::string& name) const {
    auto tensor = to_tensor(file_, prefix_ + name);
    EXPECT_TRUE(tensor) << tensor.error().front().text();
    return *tensor;
  }
  [[nodiscard]] at::Tensor text() const {
    return at::stack({(*this)["cond"], (*this)["uncond"]}, 1);
  }
  [[nodiscard]] at::Tensor scale() const { return at::full({1}, guidance, at::kFloat); }

  std::string prompt;
  std::uint64_t seed = 0;
  double guidance = 0;

 private:
  static const SafetensorsFile& golden() {
    static const SafetensorsFile kFile = read_file("tests/exec/torch/golden.safetensors");
    return kFile;
  }
  const SafetensorsFile& file_;
  std::string prefix_;
};

constexpr std::int64_t kGoldenSteps = 4;
constexpr std::array<std::int64_t, 1> kOneOfFour{kGoldenSteps};

class BuiltinModel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { at::set_num_threads(1); }
};
INSTANTIATE_TEST_SUITE_P(Golden, BuiltinModel, testing::Range(0, 3));

TEST_P(BuiltinModel, TokensEqualTheReference) {
  const Case c(GetParam());
  const auto ids = stage<TextEncoder>().tokenizer().tokenize(c.prompt);
  const at::Tensor expected = c["tokens"];
  ASSERT_EQ(static_cast<std::int64_t>(ids.size()), expected.numel());
  for (std::size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(ids[i], expected.data_ptr<std::int64_t>()[i]) << i;
}

TEST_P(BuiltinModel, TextEmbeddingEqualsTheReference) {
  const Case c(GetParam());
  const at::Tensor text = stage<TextEncoder>().encode(std::array{c.prompt});
  RecordProperty("deviation", std::to_string(distance(text, c.text())));
  EXPECT_LT(distance(text, c.text()), kTolerance);
}

TEST_P(BuiltinModel, FirstLatentEqualsTheReference) {
  const Case c(GetParam());
  EXPECT_LT(distance(initial_latent(c.seed, stage<Dit>().sizes()), c["latent0"]), 1e-6);
}

TEST_P(BuiltinModel, EveryStepEqualsTheReference) {
  const Case c(GetParam());
  for (std::int64_t index = 0; index < kGoldenSteps; ++index) {
    const at::Tensor from = c["latent" + std::to_string(index)];
    const at::Tensor to = stage<Dit>().step(from, index, kOneOfFour, c.text(), c.scale());
    EXPECT_LT(distance(to, c["latent" + std::to_string(index + 1)]), kTolerance) << index;
  }
}

TEST_P(BuiltinModel, DecodedPictureEqualsTheReference) {
  const Case c(GetParam());
  const at::Tensor latent = c["latent" + std::to_string(kGoldenSteps)];
  EXPECT_LT(distance(stage<Decoder>().decode(latent), c["rgb"]), kTolerance);
  EXPECT_LE(distance(stage<Decoder>().decode_bytes(latent), c["image"]), 1);
}

TEST_P(BuiltinModel, PromptToPictureEqualsTheReference) {
  const Case c(GetParam());
  const at::Tensor text = stage<TextEncoder>().encode(std::array{c.prompt});
  at::Tensor latent = initial_latent(c.seed, stage<Dit>().sizes());
  double worst = distance(text, c.text());
  for (std::int64_t index = 0; index < kGoldenSteps; ++index) {
    latent = stage<Dit>().step(latent, index, kOneOfFour, text, c.scale());
    worst = std::max(worst, distance(latent, c["latent" + std::to_string(index + 1)]));
  }
  worst = std::max(worst, distance(stage<Decoder>().decode(latent), c["rgb"]));
  std::cout << "largest deviation from the reference: " << worst << "\n";
  EXPECT_LT(worst, kTolerance);
  EXPECT_LE(distance(stage<Decoder>().decode_bytes(latent), c["image"]), 1);
}

TEST(BuiltinModelBatch, AThreesomeIsItsMembers) {
  at::set_num_threads(1);
  const Dit& dit = stage<Dit>();
  const std::array<std::string, 3> prompts{"a red sneaker", "black dress", "bag"};
  const std::array<std::int64_t, 3> steps{20, 20, 20};
  const at::Tensor guidance = at::tensor({3.0F, 1.0F, 5.0F});
  const at::Tensor text = stage<TextEncoder>().encode(prompts);
  at::Tensor together = at::cat({initial_latent(1, dit.sizes()), initial_latent(2, dit.sizes()),
                                 initial_latent(3, dit.sizes())});
  at::Tensor alone = together.clone();
  const at::Tensor texts_alone =
      at::cat({stage<TextEncoder>().encode(std::span(prompts).subspan(0, 1)),
               stage<TextEncoder>().encode(std::span(prompts).subspan(1, 1)),
               stage<TextEncoder>().encode(std::span(prompts).subspan(2, 1))});
  for (std::int64_t index = 0; index < steps[0]; ++index) {
    together = dit.step(together, index, steps, text, guidance);
    std::vector<at::Tensor> rows;
    for (std::int64_t i = 0; i < 3; ++i)
      rows.push_back(dit.step(alone.slice(0, i, i + 1), index, std::span(steps).first(1),
                              texts_alone.slice(0, i, i + 1), guidance.slice(0, i, i + 1)));
    alone = at::cat(rows);
  }
  std::vector<at::Tensor> pictures;
  for (std::int64_t i = 0; i < 3; ++i)
    pictures.push_back(stage<Decoder>().decode_bytes(alone.slice(0, i, i + 1)));
  const at::Tensor difference =
      (stage<Decoder>().decode_bytes(together).to(at::kInt) - at::cat(pictures).to(at::kInt)).abs();
  std::cout << "latents differ by " << distance(together, alone)
            << ", values of the pictures that differ: "
            << difference.count_nonzero().item<std::int64_t>() << " of " << difference.numel()
            << "\n";
  EXPECT_LT(distance(together, alone), kTolerance);
  EXPECT_LE(difference.max().item<int>(), 1);
}

TEST(BuiltinModelBatch, StepsOfUnlikeRequestsMix) {
  const Dit& dit = stage<Dit>();
  const at::Tensor text =
      stage<TextEncoder>().encode(std::array<std::string, 2>{"pink coat", "boot"});
  const at::Tensor noise =
      at::cat({initial_latent(4, dit.sizes()), initial_latent(5, dit.sizes())});
  const at::Tensor guidance = at::full({2}, 3.0, at::kFloat);
  const at::Tensor both = dit.step(noise, 2, std::array<std::int64_t, 2>{4, 10}, text, guidance);
  const at::Tensor second = dit.step(noise.slice(0, 1, 2), 2, std::array<std::int64_t, 1>{10},
                                     text.slice(0, 1, 2), guidance.slice(0, 1, 2));
  EXPECT_LT(distance(both.slice(0, 1, 2), second), kTolerance);
  EXPECT_GT(distance(noise[0], noise[1]), 1.0) << "unlike seeds, unlike noise";
}

TEST(BuiltinModelBatch, NoiseIsStandardNormal) {
  double sum = 0;
  double squares = 0;
  constexpr int kSeeds = 200;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const at::Tensor noise = initial_latent(seed, stage<Dit>().sizes()).to(at::kDouble);
    sum += noise.mean().item<double>();
    squares += noise.square().mean().item<double>();
  }
  EXPECT_NEAR(sum / kSeeds, 0, 0.02);  // 51 200 numbers: standard error 0.0044 and 0.0063
  EXPECT_NEAR(squares / kSeeds, 1, 0.03);
}

TEST(BuiltinTokenizer, WordsOutsideTheVocabularyGoFirst) {
  const Tokenizer& tokenizer = stage<TextEncoder>().tokenizer();
  EXPECT_EQ(tokenizer.tokenize("T-shirt"), tokenizer.tokenize("tshirt"));
  EXPECT_EQ(tokenizer.tokenize("A RED sneaker!"), tokenizer.tokenize("a red sneaker"));
  EXPECT_EQ(tokenizer.tokenize("zebra"), tokenizer.tokenize("\xc3\xa9l"));
  EXPECT_EQ(tokenizer.tokenize("w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 red sneaker"),
            tokenizer.tokenize("red sneaker"));
  EXPECT_EQ(tokenizer.tokenize("").size(), 12U);
  EXPECT_EQ(tokenizer.tokenize(std::string(100000, 'a')).size(), 12U);
}

// ---- bad files ----------------------------------------------------------------------------------

/// The weights file with `from` in its header replaced by `to` of the same length.
Problems problems_with(const std::string& from, const std::string& to) {
  auto file = read_file("exec/stage/torch/builtin/fashion.safetensors");
  std::ifstream stream(file.path(), std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(stream)), {});
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  text.replace(at, from.size(), to);
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  const auto changed = SafetensorsFile::parse(std::move(bytes), "w.safetensors");
  EXPECT_TRUE(changed) << changed.error().front().text();
  const auto dit = Dit::load(*changed);
  return dit ? Problems{} : dit.error();
}

TEST(BuiltinFile, NamesWhatIsWrong) {
  EXPECT_EQ(problems_with("disagfusion.builtin/1", "disagfusion.builtin/2").front().text(),
            "w.safetensors: __metadata__.format: expected disagfusion.builtin/1, got "
            "disagfusion.builtin/2");
  EXPECT_EQ(
      problems_with("\"dit.patch_in.bias\"", "\"dit.patch_in.bios\"").front().text(),
      "w.safetensors: dit.patch_in.bias: expected a tensor of this name, got none (did you mean "
      "'dit.patch_in.bios'?)");
  EXPECT_EQ(problems_with(R"(\"dit_width\": 128)", R"(\"dit_width\": 256)").front().text(),
            "w.safetensors: dit.positions: expected shape [16, 256], got [16, 128]");
  EXPECT_EQ(problems_with(R"(\"dit_width\": 128)", R"(\"dit_width\": -28)").front().text(),
            "w.safetensors: __metadata__.architecture.dit_width: expected a whole number from 1 to "
            "65536, "
            "got -28");
}

}  // namespace
}  // namespace disagfusion::exec::torch_stage
