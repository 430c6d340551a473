# The third-party packages (Debian 12), each as one target dep::NAME with SYSTEM includes.
# docs/dependencies.md says what each is for.

find_package(PkgConfig REQUIRED)

# disagfusion_dependency(NAME target...): dep::NAME, which links the given targets.
function(disagfusion_dependency name)
  add_library(dep_${name} INTERFACE)
  target_link_libraries(dep_${name} INTERFACE ${ARGN})
  add_library(dep::${name} ALIAS dep_${name})
endfunction()

find_package(fmt REQUIRED)
disagfusion_dependency(fmt fmt::fmt)

find_package(yaml-cpp REQUIRED)
disagfusion_dependency(yaml yaml-cpp)

find_package(nlohmann_json REQUIRED)
disagfusion_dependency(json nlohmann_json::nlohmann_json)

find_package(simdjson REQUIRED)
disagfusion_dependency(simdjson simdjson::simdjson)

find_package(tl-expected REQUIRED)
disagfusion_dependency(expected tl::expected)

find_package(CLI11 REQUIRED)
disagfusion_dependency(cli11 CLI11::CLI11)

find_package(SQLite3 REQUIRED)
disagfusion_dependency(sqlite SQLite::SQLite3)

find_package(PNG REQUIRED)
disagfusion_dependency(png PNG::PNG)

find_package(ZLIB REQUIRED)
disagfusion_dependency(zlib ZLIB::ZLIB)

find_package(Protobuf 3.21 REQUIRED)
disagfusion_dependency(protobuf protobuf::libprotobuf Threads::Threads)

# Header only, without a CMake package: the header's folder is all there is to find.
find_path(DISAGFUSION_RANDOM123_INCLUDE Random123/philox.h REQUIRED)
disagfusion_dependency(random123)
target_include_directories(dep_random123 SYSTEM INTERFACE ${DISAGFUSION_RANDOM123_INCLUDE})

find_package(Eigen3 3.4 REQUIRED NO_MODULE)
disagfusion_dependency(eigen Eigen3::Eigen)

# prometheus-cpp's own package also wants civetweb and curl; the core library alone suffices here:
# /metrics is answered by our HTTP server.
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)
disagfusion_dependency(prometheus PkgConfig::PROMETHEUS)

# Boost 1.81, headers only (Asio, Beast). Boost 1.74's awaitable does not compile with g++ 12.
if(NOT DISAGFUSION_BOOST_ROOT AND EXISTS "${CMAKE_SOURCE_DIR}/build/deps/boost/usr/include")
  set(DISAGFUSION_BOOST_ROOT "${CMAKE_SOURCE_DIR}/build/deps/boost/usr")
endif()
set(disagfusion_boost_hints)
if(DISAGFUSION_BOOST_ROOT)
  set(disagfusion_boost_hints PATHS ${DISAGFUSION_BOOST_ROOT} PATH_SUFFIXES include
      NO_DEFAULT_PATH)
endif()
find_path(DISAGFUSION_BOOST_INCLUDE boost/asio/awaitable.hpp ${disagfusion_boost_hints} REQUIRED)
file(STRINGS "${DISAGFUSION_BOOST_INCLUDE}/boost/version.hpp" disagfusion_boost_version
     REGEX "^#define BOOST_VERSION [0-9]+")
string(REGEX REPLACE "[^0-9]" "" disagfusion_boost_version "${disagfusion_boost_version}")
if(disagfusion_boost_version LESS 108100)
  message(FATAL_ERROR "Boost 1.81 or newer is needed, ${DISAGFUSION_BOOST_INCLUDE} holds "
    "${disagfusion_boost_version}. scripts/setup installs 1.81, or unpacks it under build/deps.")
endif()
disagfusion_dependency(boost Threads::Threads)
target_include_directories(dep_boost SYSTEM INTERFACE ${DISAGFUSION_BOOST_INCLUDE})
# Asio and Beast are compiled once (exec/), not in every translation unit.
target_compile_definitions(dep_boost INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ALL_NO_LIB BOOST_ERROR_CODE_HEADER_ONLY)

find_package(GTest REQUIRED)
disagfusion_dependency(gtest GTest::gmock GTest::gtest)
disagfusion_dependency(gtest_main GTest::gmock GTest::gtest GTest::gtest_main)

find_package(rapidcheck REQUIRED)
disagfusion_dependency(rapidcheck rapidcheck)

find_package(benchmark REQUIRED)
disagfusion_dependency(benchmark benchmark::benchmark)
