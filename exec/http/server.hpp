// The HTTP/1.1 listener: limits, time-outs, keep-alive. What is answered is decided behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "exec/http/message.hpp"
#include "exec/net/asio.hpp"
#include "exec/net/endpoint.hpp"

namespace disagfusion::exec {

/// Limits of one connection.
struct HttpLimits {
  std::uint32_t header_bytes = 16U << 10U;
  std::uint64_t body_bytes = 1U << 20U;
  std::chrono::seconds read{30};  ///< for one whole request, idle time included
  std::chrono::seconds write{60};
  std::size_t connections = 4096;  ///< more are closed at once
};

/// Serves until stopped. One thread, that of `context`. Owned by shared pointer: its connections
/// keep it. Bad requests are answered here with 400, 413 or 431, all others by the handler.
class HttpServer : public std::enable_shared_from_this<HttpServer> {
 public:
  /// May take as long as it likes; cancelled by nothing. Must not throw.
  using Handler = std::function<asio::awaitable<HttpAnswer>(HttpRequest)>;

  /// Throws boost::system::system_error where the endpoint cannot be had.
  static std::shared_ptr<HttpServer> start(asio::io_context& context, const Endpoint& listen,
                                           Handler handler, HttpLimits limits = {});
  /// Takes no more connections.
  void stop();
  [[nodiscard]] Endpoint endpoint() const { return endpoint_; }

 private:
  HttpServer(asio::io_context& context, const Endpoint& listen, Handler handler, HttpLimits limits);
  static asio::awaitable<void> accept(std::shared_ptr<HttpServer> self);
  static asio::awaitable<void> serve(std::shared_ptr<HttpServer> self, tcp::socket socket);
  static asio::awaitable<void> converse(std::shared_ptr<HttpServer> self, tcp::socket socket);

  tcp::acceptor acceptor_;
  Endpoint endpoint_;
  Handler handler_;
  HttpLimits limits_;
  std::size_t connections_ = 0;
};

}  // namespace disagfusion::exec
