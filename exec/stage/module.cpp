#include "exec/stage/module.hpp"

#include <dlfcn.h>

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "base/file_source.hpp"

namespace disagfusion::exec {

namespace {

std::string path_of(const std::string& file) {
  return (std::filesystem::path(running_program()).parent_path() / file).string();
}

Result<BackendFactory> load_module(const std::string& file) {
  const std::string path = path_of(file);
  // Never unloaded: its threads and its buffers' owners may outlive every backend.
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const entry = library == nullptr ? nullptr : ::dlsym(library, kModuleEntry);
  if (entry == nullptr) {
    const char* const why = ::dlerror();
    return fail(Problem{path, 0, 0, "", "a stage backend", why == nullptr ? "" : why, ""});
  }
  BackendFactory factory;
  reinterpret_cast<ModuleEntry*>(entry)(factory);
  return factory;
}

}  // namespace

bool has_module(const std::string& file) {
  std::error_code error;
  return std::filesystem::exists(path_of(file), error);
}

BackendFactory module_backend_factory(std::string file) {
  auto loaded = std::make_shared<BackendFactory>();
  return [file = std::move(file),
          loaded](const BackendContext& context) -> Result<std::unique_ptr<StageBackend>> {
    if (!*loaded) {
      Result<BackendFactory> factory = load_module(file);
      if (!factory) return fail(std::move(factory.error()));
      *loaded = std::move(*factory);
    }
    return (*loaded)(context);
  };
}

}  // namespace disagfusion::exec
