// CHECK: failures that are ours, never the user's. Always on, printing both values.
#pragma once

#include <fmt/format.h>

#include <string>

namespace disagfusion {

/// Prints the message with its place to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);

}  // namespace disagfusion

/// DF_CHECK(condition) or DF_CHECK(condition, "format {}", value).
#define DF_CHECK(condition, ...)                                                                  \
  do {                                                                                            \
    if (!(condition)) [[unlikely]]                                                                \
      ::disagfusion::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)

/// DF_CHECK_EQ(a, b) prints both values.
#define DF_CHECK_OP(a, op, b)                                                         \
  do {                                                                                \
    const auto& df_left = (a);                                                        \
    const auto& df_right = (b);                                                       \
    if (!(df_left op df_right)) [[unlikely]]                                          \
      ::disagfusion::check_failed(__FILE__, __LINE__, #a " " #op " " #b,              \
                                  ::fmt::format("{} against {}", df_left, df_right)); \
  } while (false)
#define DF_CHECK_EQ(a, b) DF_CHECK_OP(a, ==, b)
#define DF_CHECK_LE(a, b) DF_CHECK_OP(a, <=, b)
#define DF_CHECK_LT(a, b) DF_CHECK_OP(a, <, b)
