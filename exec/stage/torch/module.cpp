// What makes the torch backend a module that a worker loads (exec/stage/module.hpp).
#include "exec/stage/module.hpp"
#include "exec/stage/torch/torch_backend.hpp"

extern "C" void disagfusion_stage_backend(disagfusion::exec::BackendFactory& factory) {
  factory = disagfusion::exec::torch_stage::torch_backend_factory();
}
