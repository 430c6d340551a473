// Tensors as bytes between stages: what one stage hands to the next, and the state of a preempted
// job. Self-describing and free of LibTorch, so that whoever holds the bytes can read a shape.
//
// Layout, little-endian: magic "DFTB", u16 version (1), u16 count; then for each tensor u8 length
// of the name, the name, u8 dtype, u8 rank, rank x i64 extents, u64 bytes of data, and zeros up to
// the next multiple of 8 from the start; then the data, row-major, and zeros up to a multiple of 8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace disagfusion::exec::torch_stage {

enum class ElementType : std::uint8_t { u8 = 1, i64 = 2, f32 = 3 };

/// Bytes of one element.
std::size_t element_size(ElementType type);
/// "u8", "i64" or "f32".
std::string_view element_name(ElementType type);

/// One named tensor of a bundle; `data` points into memory that somebody else owns.
struct TensorSlice {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> shape;  ///< row-major extents, each >= 0; empty is a scalar
  std::span<const std::byte> data;

  /// "f32[2, 12, 64]".
  [[nodiscard]] std::string description() const;
};

/// The bytes of all tensors. Names are shorter than 256 bytes and differ; the size of each `data`
/// fits its shape (both checked: a fault of ours otherwise).
std::vector<std::byte> pack(std::span<const TensorSlice> tensors);

/// The tensors in `bytes`, pointing into it (data aligned to 8 where `bytes` is). Refuses short,
/// long or foreign bytes; `from` names them in the message ("output of encoder").
Result<std::vector<TensorSlice>> unpack(std::span<const std::byte> bytes, std::string_view from);

/// The tensor of that name, or a failure that lists the names there are. Checks type and shape;
/// an extent of -1 matches any.
Result<TensorSlice> select(const std::vector<TensorSlice>& tensors, std::string_view name,
                           ElementType type, std::span<const std::int64_t> shape,
                           std::string_view from);

}  // namespace disagfusion::exec::torch_stage
