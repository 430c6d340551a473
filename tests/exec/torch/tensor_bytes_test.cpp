#include "exec/stage/torch/tensor_bytes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace disagfusion::exec::torch_stage {
namespace {

const std::array<float, 6> kFloats{1, 2, 3, 4, 5, 6};
const std::array<std::uint8_t, 3> kColour{7, 8, 9};
const std::int64_t kSteps = 12;

std::vector<std::byte> bundle() {
  return pack(std::array{
      TensorSlice{"latent", ElementType::f32, {2, 3}, std::as_bytes(std::span(kFloats))},
      TensorSlice{"colour", ElementType::u8, {3}, std::as_bytes(std::span(kColour))},
      TensorSlice{"steps_done", ElementType::i64, {}, std::as_bytes(std::span(&kSteps, 1))}});
}

TEST(TensorBytes, ComeBackAsTheyWere) {
  const auto bytes = bundle();
  const auto tensors = unpack(bytes, "state");
  ASSERT_TRUE(tensors);
  ASSERT_EQ(tensors->size(), 3U);
  EXPECT_EQ((*tensors)[0].name, "latent");
  EXPECT_EQ((*tensors)[0].description(), "f32[2, 3]");
  EXPECT_EQ(std::memcmp((*tensors)[0].data.data(), kFloats.data(), sizeof kFloats), 0);
  EXPECT_EQ((*tensors)[1].description(), "u8[3]");
  EXPECT_EQ((*tensors)[2].description(), "i64[]");
  EXPECT_EQ(pack(*tensors), bytes);
  for (const TensorSlice& tensor : *tensors)
    EXPECT_EQ((tensor.data.data() - bytes.data()) % 8, 0) << tensor.name;
}

TEST(TensorBytes, NoTensorIsABundleToo) {
  const auto bytes = pack({});
  EXPECT_EQ(bytes.size(), 8U);
  EXPECT_TRUE(unpack(bytes, "state")->empty());
}

TEST(TensorBytes, RefusesEveryTruncationAndAnyRest) {
  auto bytes = bundle();
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(unpack(std::span(bytes).first(size), "state")) << size;
  bytes.push_back(std::byte{});
  EXPECT_EQ(unpack(bytes, "state").error().front().text(),
            "state: expected an end after the last tensor, got 1 more bytes");
}

TEST(TensorBytes, SurvivesEveryChangedByte) {
  const auto whole = bundle();
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const int flip : {0x01, 0x40, 0xff}) {
      auto changed = whole;
      changed[at] ^= std::byte(flip);
      const auto tensors = unpack(changed, "state");
      EXPECT_TRUE(tensors || !tensors.error().front().text().empty());
    }
}

TEST(TensorBytes, RefusesForeignBytes) {
  EXPECT_EQ(unpack({}, "output of dit").error().front().text(),
            "output of dit: expected a header of 8 bytes, got 0 bytes");
  auto bytes = bundle();
  bytes[4] = std::byte{9};
  EXPECT_EQ(unpack(bytes, "s").error().front().text(),
            "s: expected tensor bytes of version 1, got version 9");
  bytes[0] = std::byte{0};
  EXPECT_EQ(unpack(bytes, "s").error().front().text(),
            "s: expected tensor bytes (magic DFTB), got magic 0x42544600");
}

TEST(TensorBytes, SelectChecksNameTypeAndShape) {
  const auto bytes = bundle();
  const auto tensors = unpack(bytes, "state").value();
  EXPECT_TRUE(select(tensors, "latent", ElementType::f32, std::array<std::int64_t, 2>{-1, 3}, "s"));
  EXPECT_TRUE(select(tensors, "steps_done", ElementType::i64, {}, "s"));
  EXPECT_EQ(select(tensors, "latent", ElementType::f32, std::array<std::int64_t, 2>{2, 4}, "s")
                .error()
                .front()
                .text(),
            "s: latent: expected f32[2, 4], got f32[2, 3]");
  EXPECT_EQ(select(tensors, "text", ElementType::f32, {}, "s").error().front().text(),
            "s: expected a tensor 'text', got tensors latent, colour, steps_done");
}

}  // namespace
}  // namespace disagfusion::exec::torch_stage
