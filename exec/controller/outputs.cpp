#include "exec/controller/outputs.hpp"

#include <boost/asio/post.hpp>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/atomic_file.hpp"
#include "exec/stage/picture.hpp"

namespace disagfusion::exec {
namespace {

std::string picture_name(const std::string& folder, std::uint64_t number, std::uint32_t node,
                         std::size_t picture) {
  return folder + "/" + std::to_string(number) + "-" + std::to_string(node) + "-" +
         std::to_string(picture) + ".png";
}

bool write_file(const std::string& path, std::string_view text) {
  auto file = AtomicFile::create(path);
  if (!file) return false;
  file->write(text);
  return file->commit().has_value();
}

bool write_output(const std::string& folder, std::uint64_t number, std::uint32_t node,
                  std::string_view bytes) {
  const std::vector<Picture> pictures = parse_ppm(bytes);
  if (pictures.empty()) {
    return write_file(folder + "/" + std::to_string(number) + "-" + std::to_string(node) + ".bin",
                      bytes);
  }
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const std::string png = encode_png(pictures[i]);
    if (png.empty() || !write_file(picture_name(folder, number, node, i), png)) return false;
  }
  return true;
}

std::vector<std::string> read_pictures(const std::string& folder, std::uint64_t number,
                                       const std::vector<std::uint32_t>& nodes) {
  std::vector<std::string> pictures;
  for (const std::uint32_t node : nodes) {
    for (std::size_t i = 0;; ++i) {
      std::ifstream file(picture_name(folder, number, node, i), std::ios::binary);
      if (!file) break;
      pictures.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  return pictures;
}

}  // namespace

OutputStore::OutputStore(asio::io_context& context, std::string folder)
    : context_(context), folder_(std::move(folder)) {}

OutputStore::~OutputStore() { thread_.join(); }

void OutputStore::keep(std::uint64_t number, std::uint32_t node, Buffer bytes,
                       std::function<void(bool)> done) {
  asio::post(thread_, [this, number, node, bytes = std::move(bytes), done = std::move(done)] {
    const bool kept = write_output(folder_, number, node, bytes.bytes());
    asio::post(context_, [done, kept] { done(kept); });
  });
}

void OutputStore::read(std::uint64_t number, std::vector<std::uint32_t> nodes,
                       std::function<void(std::vector<std::string>)> done) {
  asio::post(thread_, [this, number, nodes = std::move(nodes), done = std::move(done)] {
    auto pictures = read_pictures(folder_, number, nodes);
    asio::post(context_, [done, pictures = std::move(pictures)] { done(pictures); });
  });
}

}  // namespace disagfusion::exec
