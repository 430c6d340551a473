// A configuration file that a test writes in its own source.
#pragma once

#include <string>
#include <utility>

#include "base/file_source.hpp"

namespace disagfusion::test {

/// One text in memory, as test.yaml; shipped models and hardware from the checkout.
class OneText final : public DiskFiles {
 public:
  explicit OneText(std::string text)
      : DiskFiles(DISAGFUSION_SOURCE_DIR "/configs"), text_(std::move(text)) {}
  tl::expected<std::string, std::string> read(const std::string& path) override {
    if (path == "test.yaml") return text_;
    return DiskFiles::read(path);
  }

 private:
  std::string text_;
};

}  // namespace disagfusion::test
