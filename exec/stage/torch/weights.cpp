#include "exec/stage/torch/weights.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "exec/stage/torch/file_problem.hpp"

namespace disagfusion::exec::torch_stage {

namespace {

std::optional<at::ScalarType> scalar_type(const std::string& dtype) {
  if (dtype == "F16") return at::kHalf;
  if (dtype == "BF16") return at::kBFloat16;
  if (dtype == "F32") return at::kFloat;
  if (dtype == "U8") return at::kByte;
  if (dtype == "I64") return at::kLong;
  return std::nullopt;
}

}  // namespace

Result<at::Tensor> to_tensor(const SafetensorsFile& file, const std::string& name) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) {
    std::vector<std::string> known;
    for (const auto& [other, stored] : file.tensors()) known.push_back(other);
    Problem problem = file_problem(file.path(), name, "a tensor of this name", "none");
    problem.nearest = nearest_name(name, known);
    return fail(std::move(problem));
  }
  const StoredTensor& stored = found->second;
  const auto type = scalar_type(stored.dtype);
  if (!type)
    return fail(file_problem(file.path(), name, "F16, BF16, F32, U8 or I64", stored.dtype));
  at::Tensor tensor = at::empty(stored.shape, at::TensorOptions().dtype(*type));
  if (!stored.data.empty()) std::memcpy(tensor.data_ptr(), stored.data.data(), stored.data.size());
  return tensor;
}

WeightsReader::WeightsReader(const SafetensorsFile& file, std::string prefix)
    : file_(file), prefix_(std::move(prefix)) {
  for (const auto& [name, stored] : file.tensors())
    if (name.starts_with(prefix_)) taken_.emplace(name, false);
}

at::Tensor WeightsReader::take(const std::string& name, std::initializer_list<std::int64_t> shape) {
  const std::string full = prefix_ + name;
  auto tensor = to_tensor(file_, full);
  if (!tensor) {
    problems_.insert(problems_.end(), tensor.error().begin(), tensor.error().end());
    return at::zeros(shape);
  }
  taken_[full] = true;
  if (!std::ranges::equal(shape, tensor->sizes())) {
    problems_.push_back(file_problem(file_.path(), full,
                                     fmt::format("shape [{}]", fmt::join(shape, ", ")),
                                     fmt::format("[{}]", fmt::join(tensor->sizes(), ", "))));
    return at::zeros(shape);
  }
  at::Tensor result = tensor->to(at::kFloat);
  bytes_ += result.nbytes();
  return result;
}

Problems WeightsReader::finish() {
  for (const auto& [name, was_taken] : taken_)
    if (!was_taken)
      problems_.push_back(file_problem(file_.path(), name, "no such tensor",
                                       file_.tensors().at(name).description()));
  return std::move(problems_);
}

}  // namespace disagfusion::exec::torch_stage
