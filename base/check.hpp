// CHECK: failures that are ours, never the user's. Always on, printing both values.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace disagfusion {

/// Prints the message with its place to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view message);

/// The same with the message's parts. By value and out of line: all that a check costs where it
/// holds is its condition, and what it names may stay in registers.
template <class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void check_failed_with(const char* file, int line,
                                                              const char* condition,
                                                              fmt::format_string<Parts...> format,
                                                              Parts... parts) {
  check_failed(file, line, condition, fmt::vformat(format, fmt::make_format_args(parts...)));
}

}  // namespace disagfusion

/// DF_CHECK(condition) or DF_CHECK(condition, "format {}", value).
#define DF_CHECK(condition, ...)                                                        \
  do {                                                                                  \
    if (!(condition)) [[unlikely]]                                                      \
      ::disagfusion::check_failed_with(__FILE__, __LINE__, #condition, "" __VA_ARGS__); \
  } while (false)

/// DF_CHECK_EQ(a, b) prints both values.
#define DF_CHECK_OP(a, op, b)                                                                  \
  do {                                                                                         \
    const auto& df_left = (a);                                                                 \
    const auto& df_right = (b);                                                                \
    if (!(df_left op df_right)) [[unlikely]]                                                   \
      ::disagfusion::check_failed_with(__FILE__, __LINE__, #a " " #op " " #b, "{} against {}", \
                                       df_left, df_right);                                     \
  } while (false)
#define DF_CHECK_EQ(a, b) DF_CHECK_OP(a, ==, b)
#define DF_CHECK_LE(a, b) DF_CHECK_OP(a, <=, b)
#define DF_CHECK_LT(a, b) DF_CHECK_OP(a, <, b)
