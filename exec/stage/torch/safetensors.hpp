// A strict reader of safetensors files: weights without pickled code.
//
// The format: u64 size of the header, the header (a JSON object: name -> dtype, shape,
// data_offsets;
// "__metadata__" -> strings), then the data. Everything is checked before anything is used.
// Free of LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace disagfusion::exec::torch_stage {

/// One tensor of a file; `data` points into the SafetensorsFile that it came from.
struct StoredTensor {
  std::string dtype;                ///< "F16", "F32", "I64", "U8", ...
  std::vector<std::int64_t> shape;  ///< row-major extents
  std::span<const std::byte> data;  ///< little-endian

  /// "F16[128, 64]".
  [[nodiscard]] std::string description() const;
};

/// A file read whole into memory and checked. Movable: its tensors stay where they are.
class SafetensorsFile {
 public:
  /// Fails, naming the file, where it cannot be read, is short, has a header that is no such
  /// object, an unknown dtype, a size that does not fit its shape, data that overlap, leave a hole
  /// or lie outside the file, or a name twice.
  static Result<SafetensorsFile> read(const std::string& path);
  /// As `read`, from memory; `name` stands for the path in messages.
  static Result<SafetensorsFile> parse(std::vector<std::byte> bytes, std::string name);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The metadata entry, or a failure that names the file and the key.
  [[nodiscard]] Result<std::string> metadata(const std::string& key) const;

 private:
  std::string path_;
  std::vector<std::byte> bytes_;
  std::map<std::string, StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace disagfusion::exec::torch_stage
