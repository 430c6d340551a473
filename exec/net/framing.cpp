#include "exec/net/framing.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "base/check.hpp"

namespace disagfusion::exec {

std::optional<std::size_t> frame_length(const std::array<unsigned char, kFrameHeader>& header) {
  std::size_t length = 0;
  for (const unsigned char byte : header) length = length << 8U | byte;
  if (length == 0 || length > kLargestFrame) return std::nullopt;
  return length;
}

void append_frame(std::string& out, const google::protobuf::MessageLite& message) {
  const std::size_t length = message.ByteSizeLong();
  DF_CHECK_LE(length, kLargestFrame);
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(length >> static_cast<unsigned>(shift) & 0xffU));
  }
  message.AppendToString(&out);
}

asio::awaitable<bool> read_frame(tcp::socket& stream, google::protobuf::MessageLite& message) {
  std::array<unsigned char, kFrameHeader> header{};
  const auto [header_error, header_size] =
      co_await asio::async_read(stream, asio::buffer(header), use_tuple);
  if (header_error) co_return false;
  const auto length = frame_length(header);
  if (!length) co_return false;
  std::string text(*length, '\0');
  const auto [error, size] = co_await asio::async_read(stream, asio::buffer(text), use_tuple);
  co_return !error && message.ParseFromString(text);
}

asio::awaitable<bool> write_frame(tcp::socket& stream,
                                  const google::protobuf::MessageLite& message) {
  std::string text;
  append_frame(text, message);
  co_return co_await write_all(stream, text);
}

asio::awaitable<bool> write_all(tcp::socket& stream, std::string_view text) {
  const auto [error, size] =
      co_await asio::async_write(stream, asio::buffer(text.data(), text.size()), use_tuple);
  co_return !error;
}

}  // namespace disagfusion::exec
