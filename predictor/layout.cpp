#include "predictor/layout.hpp"

#include <algorithm>
#include <charconv>

namespace disagfusion::predictor {
namespace {

constexpr std::uint32_t kMostGpus = 4096;

/// One part of a layout, such as "ulysses4" or "fsdp"; false for what is none.
bool take_part(const std::string& part, Layout& layout) {
  if (part == "fsdp" || part == "hsdp") return layout.sharded = true;
  const std::size_t digits = std::min(part.find_first_of("0123456789"), part.size());
  const std::string name = part.substr(0, digits);
  const char* const end = part.data() + part.size();
  std::uint32_t count = 0;
  const auto [stop, error] = std::from_chars(part.data() + digits, end, count);
  if (error != std::errc() || stop != end || count == 0 || count > kMostGpus) return false;
  const auto grow = [count](std::uint32_t& ways) {
    ways *= count;
    return ways <= kMostGpus;
  };
  if (name == "ulysses" || name == "usp" || name == "sp") return grow(layout.ulysses);
  if (name == "ring") return grow(layout.ring);
  if (name == "pipefusion" || name == "pp") return grow(layout.pipeline);
  if (name == "tp") return grow(layout.tensor);
  if (name == "cfg") return grow(layout.guidance);
  if (name == "vae") return grow(layout.vae);
  return false;
}

}  // namespace

std::optional<Layout> parse_layout(const std::string& text) {
  Layout layout;
  if (text.empty() || text == "none" || text == "disagg" || text == "colocated") return layout;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find_first_of("x+", at), text.size());
    if (!take_part(text.substr(at, end - at), layout)) return std::nullopt;
    at = end + 1;
  }
  // Doubles: each count is at most 4096, their product need not fit a whole number.
  const double gpus =
      1.0 * layout.ulysses * layout.ring * layout.pipeline * layout.tensor * layout.guidance;
  return gpus <= kMostGpus ? std::optional(layout) : std::nullopt;
}

std::string layout_class(const Layout& layout) {
  std::string words;
  const auto add = [&words](bool used, const char* word) {
    if (used) words += (words.empty() ? "" : "+") + std::string(word);
  };
  add(layout.ulysses > 1, "ulysses");
  add(layout.ring > 1, "ring");
  add(layout.pipeline > 1, "pipeline");
  add(layout.tensor > 1, "tensor");
  add(layout.guidance > 1, "guidance");
  return words;
}

}  // namespace disagfusion::predictor
