// One connection of frames: what is sent is queued and written in order, what comes is read one by
// one.
#pragma once

#include <memory>
#include <string>

#include "exec/net/asio.hpp"
#include "exec/net/framing.hpp"

namespace disagfusion::exec {

/// Owned by shared pointer: a write that is under way keeps it. One thread, that of the socket.
class FrameLink : public std::enable_shared_from_this<FrameLink> {
 public:
  explicit FrameLink(tcp::socket socket);

  /// Queues one message. Dropped where the link is closed; the peer's reader then sees the end. A
  /// peer that leaves more than kMostUnsent bytes unread is cut off.
  void send(const google::protobuf::MessageLite& message);
  /// The next message. False: the link is closed or the peer broke the rules; it is closed then.
  /// One reader at a time; `message` must outlive the awaitable. Cancellation closes.
  asio::awaitable<bool> read(google::protobuf::MessageLite& message);
  /// Ends both directions at once. Idempotent.
  void close();
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  /// Nothing is waiting to be written.
  [[nodiscard]] bool flushed() const { return !writing_; }

  static constexpr std::size_t kMostUnsent = std::size_t{256} << 20U;

 private:
  void write();

  tcp::socket socket_;
  std::string queued_, in_flight_;
  bool writing_ = false;
};

}  // namespace disagfusion::exec
