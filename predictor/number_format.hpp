// Number formats: bytes a parameter and the peak rate that a GPU offers for each.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/scenario.hpp"

namespace disagfusion::predictor {

/// fp16acc is fp16 with 16-bit accumulation, which GeForce cards do at twice the rate.
enum class NumberFormat : std::uint8_t { bf16, fp16, fp16acc, fp8, int8, fp4 };

/// Names accepted in `dtype`, for messages.
inline constexpr std::string_view kNumberFormatNames = "bf16, fp16, fp16acc, fp8, int8 or fp4";

/// The format of a `dtype` text; empty is bf16; nothing when unknown.
std::optional<NumberFormat> parse_number_format(std::string_view text);

/// Bytes a stored parameter.
double bytes_per_parameter(NumberFormat format);

/// Dense peak of 16-bit matrix products, FLOP/s; 0 when the data sheet is unknown.
double peak_16bit(const GpuSpec& gpu);

/// The format whose rate matrix products in `format` run at: the next wider one where the GPU's
/// data sheet has no figure (int8 is taken at twice the 16-bit rate of any).
NumberFormat computed_in(const GpuSpec& gpu, NumberFormat format);

/// As in kNumberFormatNames.
const char* name_of(NumberFormat format);

/// Dense peak of matrix products in `format`, FLOP/s. Where the GPU has no units for it (fp8 on
/// Ampere) or the rate is unknown, that of the next wider format: weights shrink, compute does not.
double peak_of(const GpuSpec& gpu, NumberFormat format);

}  // namespace disagfusion::predictor
