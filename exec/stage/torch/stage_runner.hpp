// The built-in model's stages over bytes: one batch in, one batch out, on the caller's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "exec/stage/backend.hpp"
#include "exec/stage/torch/builtin_model.hpp"

namespace disagfusion::exec::torch_stage {

/// Called after each step with the next step's number; false asks the batch to stop there.
using StepGate = std::function<bool(std::uint32_t next_step)>;

/// One loaded stage.
class StageRunner {
 public:
  /// Loads a stage of that kind. Fails for kinds that the built-in model lacks.
  static Result<StageRunner> load(const SafetensorsFile& file, StageKind kind);

  /// Computes the batch; members whose request or bytes are unfit fail alone (bad_input). `gate` is
  /// asked before the first step and after each but the last. LibTorch's exceptions pass through.
  /// Leaves BatchResult::compute to the caller.
  [[nodiscard]] BatchResult run(const BatchJob& job, const StepGate& gate) const;
  /// Of the weights in memory.
  [[nodiscard]] std::uint64_t weight_bytes() const;
  /// Of intermediate tensors at batch 8, roughly.
  [[nodiscard]] std::uint64_t workspace_bytes() const;

 private:
  using Model = std::variant<TextEncoder, Dit, Decoder>;
  explicit StageRunner(Model model) : model_(std::move(model)) {}
  Model model_;
};

}  // namespace disagfusion::exec::torch_stage
