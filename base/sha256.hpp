// The hash by which files, scenarios and data are told apart.
#pragma once

#include <string>

namespace disagfusion {

/// Lower-case hexadecimal SHA-256 (FIPS 180-4).
std::string sha256_hex(const std::string& text);

}  // namespace disagfusion
