# The four kinds of target. Includes are written from the source root: #include "base/time.hpp".

include(GoogleTest)

# Generated code, all of it: the checks build this before they look at headers.
set(DISAGFUSION_GENERATED_DIR "${CMAKE_BINARY_DIR}/generated")
add_custom_target(disagfusion_generated)

# disagfusion_library(NAME base [SOURCES ...] [PUBLIC ...] [PRIVATE ...])
# Makes disagfusion_<NAME>. Every source is listed; a library without sources is its headers.
function(disagfusion_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;PUBLIC;PRIVATE")
  set(target disagfusion_${arg_NAME})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "disagfusion_library(${arg_NAME}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${target} PUBLIC ${arg_PUBLIC} Threads::Threads
                          PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:disagfusion_warnings>)
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${target} INTERFACE ${arg_PUBLIC} ${arg_PRIVATE})
  endif()
endfunction()

# disagfusion_program(NAME disagfusion SOURCES ... [LINK ...]): build/<preset>/<NAME>.
function(disagfusion_program)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LINK")
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_include_directories(${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${arg_NAME} PRIVATE ${arg_LINK} disagfusion_warnings)
  set_target_properties(${arg_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
endfunction()

# disagfusion_protobuf(NAME wire PROTOS frames.proto ...): disagfusion_<NAME>, whose headers are
# included as "exec/wire/frames.pb.h" (the proto's path from the source root).
function(disagfusion_protobuf)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "PROTOS")
  set(generated)
  foreach(proto IN LISTS arg_PROTOS)
    cmake_path(ABSOLUTE_PATH proto NORMALIZE OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE relative)
    cmake_path(REMOVE_EXTENSION relative OUTPUT_VARIABLE stem)
    set(outputs "${DISAGFUSION_GENERATED_DIR}/${stem}.pb.cc" "${DISAGFUSION_GENERATED_DIR}/${stem}.pb.h")
    add_custom_command(OUTPUT ${outputs}
      COMMAND ${CMAKE_COMMAND} -E make_directory "${DISAGFUSION_GENERATED_DIR}"
      COMMAND protobuf::protoc "--proto_path=${PROJECT_SOURCE_DIR}"
              "--cpp_out=${DISAGFUSION_GENERATED_DIR}" "${path}"
      DEPENDS "${path}" VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  add_custom_target(disagfusion_${arg_NAME}_generated DEPENDS ${generated})
  add_dependencies(disagfusion_generated disagfusion_${arg_NAME}_generated)
  add_library(disagfusion_${arg_NAME} STATIC ${generated})
  add_dependencies(disagfusion_${arg_NAME} disagfusion_${arg_NAME}_generated)
  target_include_directories(disagfusion_${arg_NAME} SYSTEM PUBLIC "${DISAGFUSION_GENERATED_DIR}")
  target_link_libraries(disagfusion_${arg_NAME} PUBLIC dep::protobuf)
endfunction()

# What every test and benchmark may ask for: where the checkout, the facts shared beside it (may be
# missing: such tests skip) and the program are.
function(disagfusion_test_definitions target)
  target_compile_definitions(${target} PRIVATE
    "DISAGFUSION_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\""
    "DISAGFUSION_SHARED_DIR=\"${DISAGFUSION_SHARED_DIR}\""
    "DISAGFUSION_BINARY_DIR=\"${CMAKE_BINARY_DIR}\""
    "DISAGFUSION_PROGRAM=\"${CMAKE_BINARY_DIR}/disagfusion\"")
endfunction()
cmake_path(SET disagfusion_shared_default NORMALIZE "${CMAKE_SOURCE_DIR}/../shared")
set(DISAGFUSION_SHARED_DIR "${disagfusion_shared_default}" CACHE PATH "Facts that tests read where present")

# One CTest run looks at both builds, and CTest gives a test's labels to all tests of its name: names
# on builds without sanitizers begin with this.
if(DISAGFUSION_SANITIZE)
  set(DISAGFUSION_TEST_PREFIX "")
else()
  set(DISAGFUSION_TEST_PREFIX "release/")
endif()

# disagfusion_labels(VARIABLE label...): the labels of a test. To the given ones comes `suite` where
# this build is the one on which `make test` runs it: those labelled `release` on a build without
# sanitizers, those labelled `long` nowhere (`make test-long`), all others on one with sanitizers.
function(disagfusion_labels variable)
  set(labels ${ARGN})
  if("long" IN_LIST labels)
  elseif(("release" IN_LIST labels AND NOT DISAGFUSION_SANITIZE)
         OR (NOT "release" IN_LIST labels AND DISAGFUSION_SANITIZE))
    list(APPEND labels suite)
  endif()
  set(${variable} "${labels}" PARENT_SCOPE)
endfunction()

# disagfusion_test(NAME x SOURCES ... [LINK ...] [LABELS ...] [TIMEOUT s] [SERIAL])
# A GoogleTest program test_<NAME>; each of its cases is a CTest test `<NAME>.<Suite>.<Case>`
# (`release/<NAME>...` on a build without sanitizers).
# LABELS release: run on the release build only. LABELS long: run by `make test-long` only.
# SERIAL: its cases do not run beside other tests (timing, fixed ports).
# The program `disagfusion` is built before it (DISAGFUSION_PROGRAM is its path).
function(disagfusion_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "SERIAL" "NAME;TIMEOUT" "SOURCES;LINK;LABELS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "disagfusion_test(${arg_NAME}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  set(target test_${arg_NAME})
  add_executable(${target} ${arg_SOURCES})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  disagfusion_test_definitions(${target})
  target_link_libraries(${target} PRIVATE ${arg_LINK} dep::gtest_main disagfusion_warnings)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(properties TIMEOUT ${arg_TIMEOUT})
  if(arg_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  gtest_discover_tests(${target} TEST_PREFIX "${DISAGFUSION_TEST_PREFIX}${arg_NAME}." DISCOVERY_TIMEOUT 60
                       WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" PROPERTIES ${properties})
  # gtest_discover_tests of CMake 3.25 loses all labels but the first: CTest reads them from here.
  disagfusion_labels(labels ${arg_LABELS})
  set(labels_file "${CMAKE_CURRENT_BINARY_DIR}/${target}_labels.cmake")
  file(WRITE "${labels_file}" "if(${target}_TESTS)\n  set_tests_properties(\${${target}_TESTS} "
                              "PROPERTIES LABELS \"${labels}\")\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels_file}")
  if(TARGET disagfusion)
    add_dependencies(${target} disagfusion)
  endif()
endfunction()

# disagfusion_script_test(NAME x COMMAND ... [LABELS ...] [TIMEOUT s] [SERIAL])
# A CTest test that runs a command in the source root; exit status 77 means skipped.
function(disagfusion_script_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "SERIAL" "NAME;TIMEOUT" "COMMAND;LABELS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_SERIAL)
    set(arg_SERIAL FALSE)
  endif()
  disagfusion_labels(labels ${arg_LABELS})
  set(name "${DISAGFUSION_TEST_PREFIX}${arg_NAME}")
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77
    RUN_SERIAL ${arg_SERIAL} LABELS "${labels}"
    ENVIRONMENT "DISAGFUSION_PROGRAM=${CMAKE_BINARY_DIR}/disagfusion;DISAGFUSION_SHARED_DIR=${DISAGFUSION_SHARED_DIR}")
endfunction()

# disagfusion_benchmark(NAME x SOURCES ... [LINK ...]): bench_<NAME>, run by `make bench`.
function(disagfusion_benchmark)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LINK")
  if(NOT DISAGFUSION_BENCHMARKS)
    return()
  endif()
  add_executable(bench_${arg_NAME} ${arg_SOURCES})
  target_include_directories(bench_${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}")
  disagfusion_test_definitions(bench_${arg_NAME})
  target_link_libraries(bench_${arg_NAME} PRIVATE ${arg_LINK} dep::benchmark disagfusion_warnings)
endfunction()
