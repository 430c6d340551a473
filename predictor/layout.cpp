#include "predictor/layout.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace disagfusion::predictor {
namespace {

constexpr std::uint32_t kMostGpus = 4096;

void count_in(const std::string& name, std::uint32_t count, Layout& layout) {
  const auto grow = [count](std::uint32_t& ways) { ways = std::min(kMostGpus, ways * count); };
  if (name == "ulysses" || name == "usp" || name == "sp") grow(layout.ulysses);
  if (name == "ring") grow(layout.ring);
  if (name == "pipefusion" || name == "pp") grow(layout.pipeline);
  if (name == "tp") grow(layout.tensor);
  if (name == "cfg") grow(layout.guidance);
  if (name == "vae") layout.vae = count;
}

}  // namespace

Layout parse_layout(const std::string& text) {
  Layout layout;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t word = at;
    while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at])) != 0) ++at;
    std::string name = text.substr(word, at - word);
    if (name.starts_with('x') && name.size() > 1) name.erase(0, 1);  // the x of "cfg2xring2"
    if (name == "fsdp" || name == "hsdp") layout.sharded = true;
    std::uint32_t count = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + text.size(), count);
    at = static_cast<std::size_t>(stop - text.data());
    if (at == word) ++at;  // a separator
    if (error == std::errc() && count > 0 && count <= kMostGpus) count_in(name, count, layout);
  }
  return layout;
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
