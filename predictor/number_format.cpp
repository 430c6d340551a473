#include "predictor/number_format.hpp"

#include <array>
#include <utility>

namespace disagfusion::predictor {

namespace {

constexpr std::array<std::pair<NumberFormat, const char*>, 6> kNames = {{
    {NumberFormat::bf16, "bf16"},
    {NumberFormat::fp16, "fp16"},
    {NumberFormat::fp16acc, "fp16acc"},
    {NumberFormat::fp8, "fp8"},
    {NumberFormat::int8, "int8"},
    {NumberFormat::fp4, "fp4"},
}};

}  // namespace

std::optional<NumberFormat> parse_number_format(std::string_view text) {
  if (text.empty()) return NumberFormat::bf16;
  for (const auto& [format, name] : kNames)
    if (text == name) return format;
  return std::nullopt;
}

const char* name_of(NumberFormat format) {
  for (const auto& [known, name] : kNames)
    if (known == format) return name;
  return "bf16";
}

double bytes_per_parameter(NumberFormat format) {
  switch (format) {
    case NumberFormat::bf16:
    case NumberFormat::fp16:
    case NumberFormat::fp16acc:
      return 2.0;
    case NumberFormat::fp8:
    case NumberFormat::int8:
      return 1.0;
    case NumberFormat::fp4:
      return 0.5;
  }
  return 2.0;
}

NumberFormat computed_in(const GpuSpec& gpu, NumberFormat format) {
  if (format == NumberFormat::fp4 && gpu.fp4_dense_tflops <= 0) format = NumberFormat::fp8;
  if (format == NumberFormat::fp8 && gpu.fp8_dense_tflops <= 0) format = NumberFormat::bf16;
  return format;
}

double peak_16bit(const GpuSpec& gpu) {
  const double tflops = gpu.bf16_dense_tflops > 0 ? gpu.bf16_dense_tflops : gpu.fp16_dense_tflops;
  return tflops * 1e12;
}

double peak_of(const GpuSpec& gpu, NumberFormat format) {
  const double wide = peak_16bit(gpu);
  switch (computed_in(gpu, format)) {
    case NumberFormat::bf16:
      return wide;
    case NumberFormat::fp16:
      return gpu.fp16_dense_tflops > 0 ? gpu.fp16_dense_tflops * 1e12 : wide;
    case NumberFormat::fp16acc: {
      const bool geforce = gpu.name.starts_with("RTX3") || gpu.name.starts_with("RTX4") ||
                           gpu.name.starts_with("RTX5");
      return geforce ? 2 * wide : wide;
    }
    case NumberFormat::fp8:
      return gpu.fp8_dense_tflops * 1e12;
    case NumberFormat::int8:
      return 2 * wide;  // tensor cores since Ampere: twice the 16-bit rate
    case NumberFormat::fp4:
      return gpu.fp4_dense_tflops * 1e12;
  }
  return wide;
}

}  // namespace disagfusion::predictor
