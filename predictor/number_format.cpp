#include "predictor/number_format.hpp"

namespace disagfusion::predictor {

std::optional<NumberFormat> parse_number_format(std::string_view text) {
  if (text.empty() || text == "bf16") return NumberFormat::bf16;
  if (text == "fp16") return NumberFormat::fp16;
  if (text == "fp8") return NumberFormat::fp8;
  if (text == "int8") return NumberFormat::int8;
  if (text == "fp4") return NumberFormat::fp4;
  if (text == "fp16acc") return NumberFormat::fp16acc;
  return std::nullopt;
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

const char* name_of(NumberFormat format) {
  switch (format) {
    case NumberFormat::bf16:
      return "bf16";
    case NumberFormat::fp16:
      return "fp16";
    case NumberFormat::fp16acc:
      return "fp16acc";
    case NumberFormat::fp8:
      return "fp8";
    case NumberFormat::int8:
      return "int8";
    case NumberFormat::fp4:
      return "fp4";
  }
  return "bf16";
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
  const double fp8 = gpu.fp8_dense_tflops > 0 ? gpu.fp8_dense_tflops * 1e12 : wide;
  switch (format) {
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
      return fp8;
    case NumberFormat::int8:
      return 2 * wide;  // tensor cores since Ampere: twice the 16-bit rate
    case NumberFormat::fp4:
      return gpu.fp4_dense_tflops > 0 ? gpu.fp4_dense_tflops * 1e12 : fp8;
  }
  return wide;
}

}  // namespace disagfusion::predictor
