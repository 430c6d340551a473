// How several GPUs share one request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace disagfusion::predictor {

/// GPUs of a parallel layout, by what they share. Each count is at least 1.
struct Layout {
  std::uint32_t ulysses = 1;   ///< tokens, by all-to-all around attention; `usp` and `sp` too
  std::uint32_t ring = 1;      ///< tokens, keys and values going round
  std::uint32_t pipeline = 1;  ///< layers, patches in flight (PipeFusion)
  std::uint32_t tensor = 1;    ///< matrices
  std::uint32_t guidance = 1;  ///< forward passes of one step
  std::uint32_t vae = 1;       ///< the decoder
  bool sharded = false;        ///< weights spread over all GPUs and gathered layer by layer (FSDP)

  /// GPUs that share the tokens or layers of one forward pass.
  [[nodiscard]] std::uint32_t sequence() const { return ulysses * ring * pipeline * tensor; }
  [[nodiscard]] std::uint32_t gpus() const { return sequence() * guidance; }
  bool operator==(const Layout&) const = default;
};

/// The forms of parse_layout, for messages.
inline constexpr const char* kLayoutForms =
    "none, or ulysses4, usp4, sp4, ring4, pipefusion4, pp4, tp4, cfg2, vae4, fsdp, hsdp, or "
    "several of these joined by x or +";

/// Reads a layout as the published table writes it: "none", "usp4+fsdp", "cfg2xulysses2xring2",
/// "ulysses2+hsdp+vae2". "", "disagg" and "colocated", which say where other stages ran, are one
/// GPU. Nothing for any other word, a count of 0 and more than 4096 GPUs.
std::optional<Layout> parse_layout(const std::string& text);

/// GPUs of a node of the published rows: how a layout grows beyond them was never measured.
inline constexpr std::uint32_t kNodeGpus = 8;

/// The ways of sharing in use, in one word a way: "ulysses", "ring+guidance"; "" on one GPU.
std::string layout_class(const Layout& layout);

}  // namespace disagfusion::predictor
