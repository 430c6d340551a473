// `ctl URL ...`: an operator's orders to a running server, each an event in its log.
#pragma once

#include <string>
#include <vector>

namespace disagfusion::exec {

struct CtlOptions {
  std::string url;
  std::string command;  ///< status, drain, undrain, re-role, explain, pin, ...
  std::vector<std::string> arguments;
  bool json = false;  ///< the server's answer as it is
};

/// Prints for people (or JSON) on stdout. 0: done; 1: the server refused or is not there; 2: bad
/// usage.
int ctl_command(const CtlOptions& options);

}  // namespace disagfusion::exec
