// Models, hardware and files that the tests of the loader read, in memory.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/file_source.hpp"

namespace disagfusion::test {

inline std::string read_test_file(const std::string& name) {
  std::ifstream stream(std::string(DISAGFUSION_SOURCE_DIR "/tests/base/") + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// A shipped model, two shipped GPU types, and `text` as scenario.yaml.
inline std::vector<SourceText> texts_with(const std::string& text) {
  return {
      {"scenario.yaml", text},
      {"configs:models/toy-image.yaml",
       "name: toy-image\n"
       "stages:\n"
       "  - {name: encoder, kind: encoder, weights: t5}\n"
       "  - {name: dit, kind: dit, after: [encoder]}\n"
       "  - {name: decoder, kind: decoder, after: [dit]}\n"
       "architecture: {task: t2i, dit_params_b: 2.5, heads: 24, default_width: 1024,\n"
       "  default_height: 768, default_steps: 28}\n"},
      {"configs:hardware/A10.yaml",
       "name: A10\narch: Ampere\nbf16_dense_tflops: 125\nmemory: 24 GB\n"
       "memory_bandwidth: 600 GB/s\nprice_low: 1.39 USD/h\n"},
      {"configs:hardware/H100-SXM.yaml", "name: H100-SXM\nbf16_dense_tflops: 989\nmemory: 80 GB\n"},
      {"own/model.yaml", "name: own\nstages: [{name: only}]\n"},
      {"own/broken.yaml", "name: own\nstages: [{name: only, afer: []}]\n"},
      {"own/gpu.yaml", "name: OwnGpu\nmemory: 10 GB\n"}};
}

}  // namespace disagfusion::test
