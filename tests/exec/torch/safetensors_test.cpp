#include "exec/stage/torch/safetensors.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace disagfusion::exec::torch_stage {
namespace {

/// A file of that header and that many bytes of data.
std::vector<std::byte> file_of(const std::string& header, std::size_t data_size) {
  std::vector<std::byte> bytes(8 + header.size() + data_size);
  const std::uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  for (std::size_t i = 0; i < data_size; ++i) bytes[8 + header.size() + i] = std::byte(i);
  return bytes;
}

std::string error_of(const std::string& header, std::size_t data_size) {
  const auto file = SafetensorsFile::parse(file_of(header, data_size), "w.safetensors");
  return file ? "" : file.error().front().text();
}

constexpr char kGood[] =
    R"({"__metadata__":{"k":"v"},"b":{"dtype":"F16","shape":[2,1],"data_offsets":[4,8]},)"
    R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})";

TEST(Safetensors, ReadsTensorsAndMetadata) {
  auto parsed = SafetensorsFile::parse(file_of(kGood, 8), "w.safetensors");
  ASSERT_TRUE(parsed);
  const SafetensorsFile file = std::move(*parsed);  // tensors stay valid
  ASSERT_EQ(file.tensors().size(), 2U);
  const StoredTensor& b = file.tensors().at("b");
  EXPECT_EQ(b.description(), "F16[2, 1]");
  ASSERT_EQ(b.data.size(), 4U);
  EXPECT_EQ(b.data[0], std::byte{4});
  EXPECT_EQ(file.tensors().at("a").data.size(), 4U);
  EXPECT_EQ(file.metadata("k").value(), "v");
  EXPECT_EQ(file.metadata("format").error().front().text(),
            "w.safetensors: __metadata__: expected an entry 'format', got 1 others");
}

TEST(Safetensors, RefusesAMissingFile) {
  const auto file = SafetensorsFile::read("no/such.safetensors");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().front().text(),
            "no/such.safetensors: expected a readable safetensors file, got No such file or "
            "directory");
}

TEST(Safetensors, RefusesShortFiles) {
  const auto empty = SafetensorsFile::parse({}, "w");
  EXPECT_EQ(empty.error().front().text(),
            "w: expected a safetensors file of at least 8 bytes, got 0 bytes");
  const auto cut = SafetensorsFile::parse(std::vector<std::byte>(8, std::byte{0x7f}), "w");
  EXPECT_EQ(cut.error().front().text(),
            "w: expected a header within the 8 bytes of the file, got a header of "
            "9187201950435737471 bytes");
  EXPECT_EQ(error_of(kGood, 7),
            "w.safetensors: b: expected data_offsets within the 7 bytes of data, got [4,8]");
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::vector<std::byte> whole = file_of(kGood, 8);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(SafetensorsFile::parse({whole.begin(), whole.begin() + std::ptrdiff_t(size)}, "w"))
        << size;
}

TEST(Safetensors, SurvivesEveryChangedByteOfTheHeader) {
  const std::vector<std::byte> whole = file_of(kGood, 8);
  for (std::size_t at = 0; at < whole.size() - 8; ++at)
    for (const int flip : {0x01, 0x10, 0x80}) {
      std::vector<std::byte> changed = whole;
      changed[at] ^= std::byte(flip);
      const auto file = SafetensorsFile::parse(std::move(changed), "w");
      EXPECT_TRUE(file || !file.error().front().text().empty());
    }
}

TEST(Safetensors, NamesWhatIsWrongWithAnEntry) {
  const auto entry = [](const std::string& text) { return R"({"a":)" + text + "}"; };
  EXPECT_EQ(error_of(entry(R"({"dtype":"F17","shape":[1],"data_offsets":[0,4]})"), 4),
            "w.safetensors: a: expected a dtype such as F16 or F32, got F17");
  EXPECT_EQ(error_of(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), 4),
            "w.safetensors: a: expected 8 bytes for F32[2], got 4 bytes");
  EXPECT_EQ(error_of(entry(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), 4),
            "w.safetensors: a: expected extents that are natural numbers, got [-1]");
  EXPECT_EQ(error_of(entry(R"({"dtype":"F32","shape":[4294967296,4294967296],)"
                           R"("data_offsets":[0,4]})"),
                     4),
            "w.safetensors: a: expected a shape of less than 2^64 bytes, got "
            "[4294967296,4294967296]");
  EXPECT_EQ(error_of(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), 4),
            "w.safetensors: a: expected data_offsets within the 4 bytes of data, got [4,0]");
  EXPECT_EQ(error_of(entry("3"), 0),
            "w.safetensors: a: expected dtype, shape and data_offsets [begin, end], got 3");
}

TEST(Safetensors, RefusesOverlapHolesAndRest) {
  const auto two = [](int begin, int end) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
           R"("b":{"dtype":"U8","shape":[)" +
           std::to_string(end - begin) + R"(],"data_offsets":[)" + std::to_string(begin) + "," +
           std::to_string(end) + "]}}";
  };
  EXPECT_EQ(error_of(two(4, 8), 8), "");
  EXPECT_EQ(error_of(two(3, 8), 8),
            "w.safetensors: b: expected data that begin at byte 4, got byte 3 (overlap)");
  EXPECT_EQ(error_of(two(5, 8), 8),
            "w.safetensors: b: expected data that begin at byte 4, got byte 5 (hole)");
  EXPECT_EQ(error_of(two(4, 7), 8), "w.safetensors: expected 7 bytes of data, got 8 bytes");
}

TEST(Safetensors, RefusesBadHeaders) {
  EXPECT_EQ(error_of("[]", 0),
            "w.safetensors: expected a header that is one JSON object, got array");
  EXPECT_NE(error_of("{", 0).find("expected a header that is one JSON object"), std::string::npos);
  EXPECT_EQ(error_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                     R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                     0),
            "w.safetensors: expected a header that is one JSON object, got 'a' twice");
  EXPECT_EQ(error_of(R"({"__metadata__":{"k":1}})", 0),
            "w.safetensors: __metadata__.k: expected a string, got 1");
}

}  // namespace
}  // namespace disagfusion::exec::torch_stage
