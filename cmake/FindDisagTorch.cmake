# LibTorch as one imported target, disagfusion::torch, from the PyPI wheel or a libtorch zip: torch's
# CMake package insists on a complete CUDA toolkit, which a machine without GPUs lacks.
#
#   DISAGFUSION_TORCH_ROOT   folder with include/ and lib/; default: the wheel in build/venv, else
#                            build/libtorch
#   DISAGFUSION_TORCH_VERSION, DisagTorch_FOUND   what was found
#
# torch_cuda and c10_cuda are linked where their own libraries (cuBLAS and so on) are there too.

if(NOT DISAGFUSION_TORCH_ROOT)
  file(GLOB disagfusion_torch_wheels
       "${PROJECT_SOURCE_DIR}/build/venv/lib/python3*/site-packages/torch")
  list(APPEND disagfusion_torch_wheels "${PROJECT_SOURCE_DIR}/build/libtorch")
  foreach(root IN LISTS disagfusion_torch_wheels)
    if(EXISTS "${root}/include/ATen/ATen.h")
      set(DISAGFUSION_TORCH_ROOT "${root}" CACHE PATH
          "Folder of LibTorch with include/ and lib/ (wheel or zip)" FORCE)
      break()
    endif()
  endforeach()
endif()

foreach(name torch_cpu c10)
  find_library(DISAGFUSION_TORCH_LIB_${name} ${name} PATHS "${DISAGFUSION_TORCH_ROOT}/lib"
               NO_DEFAULT_PATH)
  mark_as_advanced(DISAGFUSION_TORCH_LIB_${name})
endforeach()

set(DISAGFUSION_TORCH_VERSION "")
foreach(file "${DISAGFUSION_TORCH_ROOT}/version.py" "${DISAGFUSION_TORCH_ROOT}/build-version")
  if(EXISTS "${file}" AND NOT DISAGFUSION_TORCH_VERSION)
    file(STRINGS "${file}" disagfusion_torch_line REGEX "^(__version__ = )?['0-9]" LIMIT_COUNT 1)
    string(REGEX MATCH "[0-9][0-9a-z.+]*" DISAGFUSION_TORCH_VERSION "${disagfusion_torch_line}")
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DisagTorch
  REQUIRED_VARS DISAGFUSION_TORCH_ROOT DISAGFUSION_TORCH_LIB_torch_cpu DISAGFUSION_TORCH_LIB_c10
  VERSION_VAR DISAGFUSION_TORCH_VERSION
  REASON_FAILURE_MESSAGE
    "Run scripts/setup, set DISAGFUSION_TORCH_ROOT, or configure with -DDISAGFUSION_WITH_TORCH=OFF")

if(DisagTorch_FOUND AND NOT TARGET disagfusion::torch)
  add_library(disagfusion::torch INTERFACE IMPORTED GLOBAL)
  # The wheel bundles fmt, protobuf, pybind11 and others in unlike versions: its folders come
  # after the system's (-idirafter, which also silences warnings from them).
  target_compile_options(disagfusion::torch INTERFACE
    "SHELL:-idirafter ${DISAGFUSION_TORCH_ROOT}/include"
    "SHELL:-idirafter ${DISAGFUSION_TORCH_ROOT}/include/torch/csrc/api/include")
  # Backends register themselves when their library is loaded, so it must not be dropped.
  set(disagfusion_torch_libraries -Wl,--no-as-needed)
  file(GLOB disagfusion_cublas "${DISAGFUSION_TORCH_ROOT}/../nvidia/*/lib/libcublas.so*"
       "${DISAGFUSION_TORCH_ROOT}/lib/libcublas*.so*")
  if(disagfusion_cublas)
    foreach(name torch_cuda c10_cuda)
      find_library(DISAGFUSION_TORCH_LIB_${name} ${name} PATHS "${DISAGFUSION_TORCH_ROOT}/lib"
                   NO_DEFAULT_PATH)
      mark_as_advanced(DISAGFUSION_TORCH_LIB_${name})
      if(DISAGFUSION_TORCH_LIB_${name})
        list(APPEND disagfusion_torch_libraries "${DISAGFUSION_TORCH_LIB_${name}}")
      endif()
    endforeach()
  endif()
  list(APPEND disagfusion_torch_libraries "${DISAGFUSION_TORCH_LIB_torch_cpu}"
       "${DISAGFUSION_TORCH_LIB_c10}" -Wl,--as-needed)
  target_link_libraries(disagfusion::torch INTERFACE ${disagfusion_torch_libraries})
  # As a link flag, since CMake adds the folder of an imported file only to what it builds itself.
  target_link_options(disagfusion::torch INTERFACE "-Wl,-rpath,${DISAGFUSION_TORCH_ROOT}/lib")
endif()
