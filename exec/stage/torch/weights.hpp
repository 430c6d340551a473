// Named weights of a safetensors file as tensors of LibTorch, with their shapes checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/result.hpp"
#include "exec/stage/torch/safetensors.hpp"

namespace disagfusion::exec::torch_stage {

/// The stored tensor as it is (F16, F32, U8 or I64), copied.
Result<at::Tensor> to_tensor(const SafetensorsFile& file, const std::string& name);

/// Takes tensors by name and shape, in float32. Problems are collected: ask `problems` once, at the
/// end; a missing or misshapen tensor is zeros until then.
class WeightsReader {
 public:
  /// Names are `prefix` + name. `file` outlives the reader.
  WeightsReader(const SafetensorsFile& file, std::string prefix);

  at::Tensor take(const std::string& name, std::initializer_list<std::int64_t> shape);
  /// Adds one problem for every tensor of the prefix that nobody took.
  Problems finish();
  /// Bytes of what was taken, as it lies in memory.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  const SafetensorsFile& file_;
  std::string prefix_;
  std::map<std::string, bool> taken_;
  Problems problems_;
  std::uint64_t bytes_ = 0;
};

}  // namespace disagfusion::exec::torch_stage
