// Protobuf messages in frames: four bytes of length, most significant first, then the message.
#pragma once

#include <google/protobuf/message_lite.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "exec/net/asio.hpp"

namespace disagfusion::exec {

/// A longer frame is malformed; its connection is closed. Tensors do not travel in frames.
inline constexpr std::size_t kLargestFrame = std::size_t{16} << 20U;
inline constexpr std::size_t kFrameHeader = 4;

/// The length that a header announces, or nothing where no frame may be so long (or empty).
std::optional<std::size_t> frame_length(const std::array<unsigned char, kFrameHeader>& header);

/// Appends header and message to `out`. The message is at most kLargestFrame long (CHECK).
void append_frame(std::string& out, const google::protobuf::MessageLite& message);

/// Reads one frame into `message`. False: the peer closed, the frame is malformed or too long, or
/// the operation was cancelled; the stream is of no use then. `stream` and `message` must outlive
/// the awaitable; one reader at a time.
asio::awaitable<bool> read_frame(tcp::socket& stream, google::protobuf::MessageLite& message);

/// Writes one message. False where the connection is gone. As read_frame; one writer at a time.
asio::awaitable<bool> write_frame(tcp::socket& stream,
                                  const google::protobuf::MessageLite& message);

/// Writes text as it is.
asio::awaitable<bool> write_all(tcp::socket& stream, std::string_view text);

}  // namespace disagfusion::exec
