// Quantities as files write them: a number and a unit, one optional space between ("24 ms").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "base/time.hpp"

namespace disagfusion {

/// What is measured; in brackets the unit in which parse_quantity answers.
enum class Quantity : std::uint8_t {
  time,       ///< ns, us, ms, s, min, h (nanoseconds)
  bytes,      ///< B, kB, MB, GB, TB, KiB, MiB, GiB, TiB (bytes; GB = 1e9, GiB = 2^30)
  bandwidth,  ///< bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s, and every byte unit with /s (bytes/s)
  price,      ///< USD/h (USD/h)
  rate,       ///< /s, /min, /h (/s)
  share,      ///< % (1 is 100 %)
  factor,     ///< x (times)
  events,     ///< events
};

/// "a duration such as 24 ms".
std::string quantity_example(Quantity quantity);
/// The units, as messages list them.
std::string quantity_units(Quantity quantity);

/// The value in the base unit, or what was expected instead. Finite, sign as written: ranges are
/// the reader's. NaN, infinity, hexadecimal numbers and separators are refused.
tl::expected<double, std::string> parse_quantity(std::string_view text, Quantity quantity);

/// A plain decimal number ("3", "0.5", "2e8"): the whole text, finite; else nothing.
tl::expected<double, std::string> parse_number(std::string_view text);

/// As a file writes it; parsed again it is the very same value.
std::string duration_text(Duration duration);
std::string bytes_text(double bytes);
std::string bandwidth_text(double bytes_per_s);

}  // namespace disagfusion
