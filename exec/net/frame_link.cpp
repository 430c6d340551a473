#include "exec/net/frame_link.hpp"

#include <boost/asio/write.hpp>

namespace disagfusion::exec {

FrameLink::FrameLink(tcp::socket socket) : socket_(std::move(socket)) {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
}

void FrameLink::send(const google::protobuf::MessageLite& message) {
  if (!socket_.is_open()) return;
  append_frame(queued_, message);
  if (queued_.size() > kMostUnsent) {
    close();
  } else if (!writing_) {
    write();
  }
}

void FrameLink::write() {
  writing_ = true;
  in_flight_.swap(queued_);
  queued_.clear();
  asio::async_write(socket_, asio::buffer(in_flight_),
                    [self = shared_from_this()](error_code error, std::size_t) {
                      self->writing_ = false;
                      if (error) {
                        self->close();
                      } else if (!self->queued_.empty()) {
                        self->write();
                      }
                    });
}

asio::awaitable<bool> FrameLink::read(google::protobuf::MessageLite& message) {
  const auto self = shared_from_this();
  const bool good = co_await read_frame(socket_, message);
  if (!good) close();
  co_return good;
}

void FrameLink::close() {
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace disagfusion::exec
