// Stage backends that are loaded when a worker asks for them: shared libraries beside the program.
// Whoever links LibTorch pays a third of a second at every start, whatever the command.
#pragma once

#include <string>

#include "exec/stage/backend.hpp"

namespace disagfusion::exec {

/// What a module defines: `extern "C"`, by the name kModuleEntry. Gives the factory of its backend.
using ModuleEntry = void(BackendFactory& factory);
inline constexpr const char* kModuleEntry = "disagfusion_stage_backend";

/// Whether that file stands in the program's folder.
bool has_module(const std::string& file);

/// A factory that loads the module `file` from the program's folder at its first call and keeps it
/// for as long as the process lives. Problems: no such file, a file that is no such module.
BackendFactory module_backend_factory(std::string file);

}  // namespace disagfusion::exec
