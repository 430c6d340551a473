// Pictures as the last stage hands them over (binary PPM, one after the other) and as clients get
// them (PNG).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace disagfusion::exec {

/// 8-bit RGB, rows from the top.
struct Picture {
  std::uint32_t width = 0, height = 0;
  std::string pixels;  ///< width x height x 3 bytes
};

/// Appends the picture as "P6".
void append_ppm(std::string& out, const Picture& picture);

/// Every picture in `bytes`. Empty where the bytes are anything else, or a side is above 16384.
std::vector<Picture> parse_ppm(std::string_view bytes);

/// The picture as a PNG file; the same pixels give the same bytes. Empty where it has no pixels or
/// libpng fails. Any thread.
std::string encode_png(const Picture& picture);

}  // namespace disagfusion::exec
