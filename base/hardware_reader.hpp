// GPU types: shipped files of configs/hardware, and a scenario's own `hardware:` list.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/config_reader.hpp"
#include "base/loading.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

/// A hardware map or the root of a hardware file.
GpuSpec read_gpu(const ConfigNode& node, Problems& problems);

/// The GPU types a file may name: its own first, then the shipped ones, read when first asked for.
class HardwareReader {
 public:
  /// Takes the key `hardware` (a list of maps or paths; optional).
  HardwareReader(MapReader& root, Loading& loading);

  /// Reads the type where it was not yet; an unknown one is a Problem at `place`, which says what
  /// is `expected`, and false.
  bool require(const std::string& name, const Place& place,
               const char* expected = "a GPU type of configs/hardware or of `hardware`");
  /// Every type that was required, and the file's own.
  [[nodiscard]] const std::map<std::string, GpuSpec>& types() const { return types_; }

 private:
  [[nodiscard]] std::vector<std::string> names();

  Loading& loading_;
  std::map<std::string, GpuSpec> types_;
  std::vector<std::string> shipped_;
};

}  // namespace disagfusion
