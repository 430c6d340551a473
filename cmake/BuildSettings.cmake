# How everything of ours is compiled: C++20, one floating-point answer on every machine, strict
# warnings as errors, sanitizers where the preset asks for them, ccache and mold where found.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set_property(GLOBAL PROPERTY USE_FOLDERS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# Results are compared byte for byte: no fused multiply-add behind our back.
add_compile_options(-ffp-contract=off -fno-fast-math)
# Nobody replaces a function of ours at load time: within a translation unit it may be inlined.
add_compile_options(-fno-semantic-interposition)

find_program(DISAGFUSION_CCACHE ccache)
if(DISAGFUSION_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Base directory and no directory hashing: a second checkout or build folder hits the same cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_NOHASHDIR=1 "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}"
      ${DISAGFUSION_CCACHE})
endif()

find_program(DISAGFUSION_MOLD mold)
if(DISAGFUSION_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)

set(disagfusion_sanitize_flags)
if(DISAGFUSION_SANITIZE)
  list(JOIN DISAGFUSION_SANITIZE "," disagfusion_sanitize_list)
  set(disagfusion_sanitize_flags "-fsanitize=${disagfusion_sanitize_list}" -fno-omit-frame-pointer)
  if("undefined" IN_LIST DISAGFUSION_SANITIZE)
    list(APPEND disagfusion_sanitize_flags -fno-sanitize-recover=all)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      list(APPEND disagfusion_sanitize_flags -fno-sanitize=function)  # breaks on coroutines
    endif()
  endif()
  add_compile_options(${disagfusion_sanitize_flags})
  add_link_options(${disagfusion_sanitize_flags})
endif()

# Warnings of our own targets only (disagfusion_library and its sisters link this).
add_library(disagfusion_warnings INTERFACE)
target_compile_options(disagfusion_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms of GCC 12 inside libstdc++ (bug 105651), and more of them under sanitizers.
  target_compile_options(disagfusion_warnings INTERFACE -Wno-restrict)
  if(DISAGFUSION_SANITIZE)
    target_compile_options(disagfusion_warnings INTERFACE
      -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
  if("thread" IN_LIST DISAGFUSION_SANITIZE)
    # Asio's memory fences, which ThreadSanitizer does not see; its queues are guarded by more than them.
    target_compile_options(disagfusion_warnings INTERFACE -Wno-tsan)
  endif()
endif()
