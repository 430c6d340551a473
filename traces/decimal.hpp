// Numbers in traces: decimal text to integers, without locale, allocation or loss.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace disagfusion::traces {

/// Seconds as decimal text ("12.5", "3e-5") to nanoseconds, rounded half up. Nothing where the text
/// is no plain number from 0 to `most`: signs, NaN, infinity, hexadecimal, blanks are refused.
std::optional<Duration> parse_seconds(std::string_view text, Duration most);

/// A whole number from `least` to `most`; "30" and "30.0" alike.
std::optional<std::int64_t> parse_whole(std::string_view text, std::int64_t least,
                                        std::int64_t most);

/// A finite number from `least` to `most`.
std::optional<double> parse_real(std::string_view text, double least, double most);

/// Appends nanoseconds as seconds, exactly and without trailing zeros: 1500000000 is "1.5".
void append_seconds(std::string& out, std::int64_t ns);

/// Appends the shortest decimal text that reads back as `value`.
void append_real(std::string& out, double value);

/// `text` without blanks and tabs at its ends.
std::string_view trim(std::string_view text);

}  // namespace disagfusion::traces
