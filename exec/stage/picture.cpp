#include "exec/stage/picture.hpp"

#include <png.h>

#include <charconv>
#include <cstddef>

namespace disagfusion::exec {
namespace {

constexpr std::uint32_t kLargestSide = 16384;

/// Takes "number, one white space" off the front.
bool take_number(std::string_view& text, std::uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return true;
}

bool take_picture(std::string_view& text, Picture& picture) {
  if (text.substr(0, 3) != "P6\n") return false;
  text.remove_prefix(3);
  std::uint32_t depth = 0;
  if (!take_number(text, picture.width) || !take_number(text, picture.height) ||
      !take_number(text, depth) || depth != 255 || picture.width == 0 || picture.height == 0 ||
      picture.width > kLargestSide || picture.height > kLargestSide) {
    return false;
  }
  const std::size_t size = std::size_t{3} * picture.width * picture.height;
  if (text.size() < size) return false;
  picture.pixels = std::string(text.substr(0, size));
  text.remove_prefix(size);
  return true;
}

}  // namespace

void append_ppm(std::string& out, const Picture& picture) {
  out += "P6\n" + std::to_string(picture.width) + " " + std::to_string(picture.height) + "\n255\n";
  out += picture.pixels;
}

std::vector<Picture> parse_ppm(std::string_view bytes) {
  std::vector<Picture> pictures;
  while (!bytes.empty()) {
    if (!take_picture(bytes, pictures.emplace_back())) return {};
  }
  return pictures;
}

std::string encode_png(const Picture& picture) {
  if (picture.pixels.size() != std::size_t{3} * picture.width * picture.height ||
      picture.pixels.empty()) {
    return {};
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = picture.width;
  image.height = picture.height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string out(size, '\0');
  if (png_image_write_to_memory(&image, out.data(), &size, 0, picture.pixels.data(), 0, nullptr) ==
      0) {
    return {};
  }
  out.resize(size);
  return out;
}

}  // namespace disagfusion::exec
