#include "exec/stage/torch/tensor_bytes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "base/check.hpp"
#include "exec/stage/torch/file_problem.hpp"

namespace disagfusion::exec::torch_stage {

static_assert(std::endian::native == std::endian::little,
              "bytes are written as they lie in memory");

namespace {

constexpr std::uint32_t kMagic = 0x42544644;  // "DFTB" as it lies in the file
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kAlignment = 8;
constexpr std::size_t kHighestRank = 8;

std::size_t aligned(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

/// Elements times element size, or nothing on overflow or a negative extent.
std::optional<std::uint64_t> size_of(ElementType type, std::span<const std::int64_t> shape) {
  std::uint64_t size = element_size(type);
  for (const std::int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (__builtin_mul_overflow(size, static_cast<std::uint64_t>(extent), &size))
      return std::nullopt;
  }
  return size;
}

class Writer {
 public:
  template <class T>
  void put(T value) {
    put(&value, sizeof value);
  }
  void put(const void* data, std::size_t size) {
    if (size == 0) return;
    const std::size_t at = bytes_.size();
    bytes_.resize(at + size);
    std::memcpy(bytes_.data() + at, data, size);
  }
  void align() { bytes_.resize(aligned(bytes_.size())); }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  /// False where fewer bytes are left; then nothing is read.
  template <class T>
  [[nodiscard]] bool get(T& value) {
    if (left() < sizeof value) return false;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return true;
  }
  [[nodiscard]] bool get(std::uint64_t size, std::span<const std::byte>& data) {
    if (left() < size) return false;
    data = bytes_.subspan(at_, size);
    at_ += size;
    return true;
  }
  [[nodiscard]] bool align() {
    if (aligned(at_) > bytes_.size()) return false;
    at_ = aligned(at_);
    return true;
  }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

/// Why the tensor at the reader cannot be read, or empty.
std::string read_tensor(Reader& reader, TensorSlice& tensor) {
  std::uint8_t name_size = 0;
  std::uint8_t type = 0;
  std::uint8_t rank = 0;
  std::span<const std::byte> name;
  if (!reader.get(name_size) || !reader.get(name_size, name) || !reader.get(type) ||
      !reader.get(rank))
    return "an end inside the description of a tensor";
  tensor.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  if (type < 1 || type > 3) return fmt::format("element type {} of '{}'", type, tensor.name);
  if (rank > kHighestRank) return fmt::format("rank {} of '{}'", rank, tensor.name);
  tensor.type = static_cast<ElementType>(type);
  tensor.shape.resize(rank);
  for (std::int64_t& extent : tensor.shape)
    if (!reader.get(extent)) return fmt::format("an end inside the shape of '{}'", tensor.name);
  std::uint64_t size = 0;
  if (!reader.get(size) || !reader.align() || !reader.get(size, tensor.data) || !reader.align())
    return fmt::format("{} bytes left for the data of '{}'", reader.left(), tensor.name);
  if (size_of(tensor.type, tensor.shape) != size)
    return fmt::format("{} bytes for {} {}", size, tensor.name, tensor.description());
  return {};
}

Problem bad_bytes(std::string_view from, std::string expected, std::string got) {
  return file_problem(from, {}, std::move(expected), std::move(got));
}

}  // namespace

std::size_t element_size(ElementType type) {
  switch (type) {
    case ElementType::u8:
      return 1;
    case ElementType::i64:
      return 8;
    case ElementType::f32:
      return 4;
  }
  DF_CHECK(false, "element type {}", static_cast<int>(type));
  return 0;
}

std::string_view element_name(ElementType type) {
  switch (type) {
    case ElementType::u8:
      return "u8";
    case ElementType::i64:
      return "i64";
    case ElementType::f32:
      return "f32";
  }
  return "?";
}

std::string TensorSlice::description() const {
  return fmt::format("{}[{}]", element_name(type), fmt::join(shape, ", "));
}

std::vector<std::byte> pack(std::span<const TensorSlice> tensors) {
  DF_CHECK_LT(tensors.size(), std::size_t{65536});
  Writer writer;
  writer.put(kMagic);
  writer.put(kVersion);
  writer.put(static_cast<std::uint16_t>(tensors.size()));
  for (const TensorSlice& tensor : tensors) {
    DF_CHECK_LT(tensor.name.size(), std::size_t{256});
    DF_CHECK_LE(tensor.shape.size(), kHighestRank);
    DF_CHECK_EQ(size_of(tensor.type, tensor.shape).value_or(~std::uint64_t{0}), tensor.data.size());
    writer.put(static_cast<std::uint8_t>(tensor.name.size()));
    writer.put(tensor.name.data(), tensor.name.size());
    writer.put(static_cast<std::uint8_t>(tensor.type));
    writer.put(static_cast<std::uint8_t>(tensor.shape.size()));
    for (const std::int64_t extent : tensor.shape) writer.put(extent);
    writer.put(static_cast<std::uint64_t>(tensor.data.size()));
    writer.align();
    writer.put(tensor.data.data(), tensor.data.size());
    writer.align();
  }
  return writer.take();
}

Result<std::vector<TensorSlice>> unpack(std::span<const std::byte> bytes, std::string_view from) {
  Reader reader(bytes);
  std::uint32_t magic = 0;
  std::uint16_t version = 0;
  std::uint16_t count = 0;
  if (!reader.get(magic) || !reader.get(version) || !reader.get(count))
    return fail(bad_bytes(from, "a header of 8 bytes", fmt::format("{} bytes", bytes.size())));
  if (magic != kMagic)
    return fail(bad_bytes(from, "tensor bytes (magic DFTB)", fmt::format("magic {:#010x}", magic)));
  if (version != kVersion)
    return fail(bad_bytes(from, fmt::format("tensor bytes of version {}", kVersion),
                          fmt::format("version {}", version)));
  std::vector<TensorSlice> tensors(count);
  for (TensorSlice& tensor : tensors) {
    const std::string trouble = read_tensor(reader, tensor);
    if (!trouble.empty()) return fail(bad_bytes(from, "whole tensors", trouble));
  }
  if (reader.left() != 0)
    return fail(bad_bytes(from, "an end after the last tensor",
                          fmt::format("{} more bytes", reader.left())));
  return tensors;
}

Result<TensorSlice> select(const std::vector<TensorSlice>& tensors, std::string_view name,
                           ElementType type, std::span<const std::int64_t> shape,
                           std::string_view from) {
  const auto matches = [](std::int64_t want, std::int64_t got) {
    return want == -1 || want == got;
  };
  for (const TensorSlice& tensor : tensors) {
    if (tensor.name != name) continue;
    if (tensor.type == type && std::ranges::equal(shape, tensor.shape, matches)) return tensor;
    return fail(file_problem(from, tensor.name,
                             fmt::format("{}[{}]", element_name(type), fmt::join(shape, ", ")),
                             tensor.description()));
  }
  std::vector<std::string> names;
  for (const TensorSlice& tensor : tensors) names.push_back(tensor.name);
  return fail(bad_bytes(from, fmt::format("a tensor '{}'", name),
                        fmt::format("tensors {}", fmt::join(names, ", "))));
}

}  // namespace disagfusion::exec::torch_stage
