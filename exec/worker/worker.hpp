// `worker --connect ADDR:PORT`: the process of one instance. It outlives its controller: it
// finishes what it runs, keeps its handles, connects again and tells what it has.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "exec/net/endpoint.hpp"
#include "exec/stage/backend.hpp"
#include "scheduler/keys.hpp"

namespace disagfusion::exec {

/// The environment variable that carries the token which controller and workers show each other.
inline constexpr const char* kTokenVariable = "DISAGFUSION_WORKER_TOKEN";

struct WorkerOptions {
  std::string connect;            ///< ADDR:PORT of the controller's control listener
  std::uint32_t instance = 0;     ///< --instance, as the controller gives it
  std::uint32_t incarnation = 0;  ///< --incarnation
  BackendFactories backends;      ///< besides `emulated`
};

/// Runs until the controller says stop or goodbye, or nothing was heard of it for orphan_timeout.
/// Returns the exit status; 2 with a line on stderr for bad options.
int worker_command(const WorkerOptions& options);

}  // namespace disagfusion::exec
