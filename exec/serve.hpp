// `serve SCENARIO.yaml [--listen ADDR:PORT]`.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace disagfusion::exec {

struct ServeOptions {
  std::string scenario;
  std::optional<std::string> listen;  ///< instead of serve.listen; port 0: any free one
  std::vector<std::string> backends;  ///< that workers of this build have besides `emulated`
};

/// Serves until SIGINT or SIGTERM; then workers are ended and 0 is returned. Says on stdout where
/// it listens, in one line. 2, with a line a problem on stderr, for bad input.
int serve_command(const ServeOptions& options);

}  // namespace disagfusion::exec
