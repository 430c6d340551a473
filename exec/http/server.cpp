#include "exec/http/server.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <vector>

namespace disagfusion::exec {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

using Parser = http::request_parser<http::string_body>;
using Response = http::response<http::string_body>;

/// Whether the Host header names this machine's loopback: a page that a browser was lured to must
/// not speak to us under its own name.
bool is_loopback_host(std::string_view host) {
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    host = host.substr(0, colon);
  }
  return host == "localhost" || host == "[::1]" || host.substr(0, 4) == "127.";
}

HttpRequest request_of(const http::request<http::string_body>& message) {
  HttpRequest request;
  request.method = message.method_string();
  const std::string target = message.target();
  request.path = target.substr(0, target.find('?'));
  request.content_type = message[http::field::content_type];
  request.id = message["X-Request-Id"];
  request.body = message.body();
  return request;
}

Response response_of(HttpAnswer answer, unsigned version, bool keep_alive) {
  Response response{static_cast<http::status>(answer.status), version};
  response.set(http::field::server, "disagfusion");
  response.set(http::field::content_type, answer.content_type);
  for (const auto& [name, value] : answer.headers) response.set(name, value);
  response.keep_alive(keep_alive);
  response.body() = std::move(answer.body);
  response.prepare_payload();
  return response;
}

/// Ends our direction and reads on for a moment: a client that is still sending would lose the
/// answer if the connection were closed under it.
asio::awaitable<void> linger(beast::tcp_stream& stream) {
  constexpr std::chrono::seconds kPatience{2};
  constexpr std::size_t kMost = std::size_t{64} << 20U;
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  std::vector<char> waste(std::size_t{64} << 10U);
  stream.expires_after(kPatience);
  for (std::size_t total = 0; total < kMost;) {
    const auto [error, size] = co_await stream.async_read_some(asio::buffer(waste), use_tuple);
    if (error) break;
    total += size;
  }
}

/// What a request that could not be read is told; nothing where nobody listens any more.
std::optional<HttpAnswer> complaint(error_code error) {
  if (error == http::error::body_limit) {
    return http_error(413, "invalid_request_error", "the body is too large", "body");
  }
  if (error == http::error::header_limit) {
    return http_error(431, "invalid_request_error", "the header is too large");
  }
  if (error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return http_error(400, "invalid_request_error", "this is no well-formed HTTP request");
  }
  return std::nullopt;
}

}  // namespace

HttpServer::HttpServer(asio::io_context& context, const Endpoint& listen, Handler handler,
                       HttpLimits limits)
    : acceptor_(context), endpoint_(listen), handler_(std::move(handler)), limits_(limits) {
  const tcp::endpoint local(asio::ip::make_address(listen.address), listen.port);
  acceptor_.open(local.protocol());
  acceptor_.set_option(tcp::acceptor::reuse_address(true));
  acceptor_.bind(local);
  acceptor_.listen();
  endpoint_.port = acceptor_.local_endpoint().port();
}

std::shared_ptr<HttpServer> HttpServer::start(asio::io_context& context, const Endpoint& listen,
                                              Handler handler, HttpLimits limits) {
  std::shared_ptr<HttpServer> server(new HttpServer(context, listen, std::move(handler), limits));
  asio::co_spawn(context, accept(server), asio::detached);
  return server;
}

void HttpServer::stop() {
  error_code ignored;
  acceptor_.close(ignored);
}

asio::awaitable<void> HttpServer::accept(std::shared_ptr<HttpServer> self) {
  while (self->acceptor_.is_open()) {
    auto [error, socket] = co_await self->acceptor_.async_accept(use_tuple);
    if (error == asio::error::operation_aborted) break;
    if (error) {
      co_await sleep_for(std::chrono::milliseconds(50));
      continue;
    }
    if (self->connections_ >= self->limits_.connections) continue;
    asio::co_spawn(co_await asio::this_coro::executor, serve(self, std::move(socket)),
                   asio::detached);
  }
}

asio::awaitable<void> HttpServer::serve(std::shared_ptr<HttpServer> self, tcp::socket socket) {
  ++self->connections_;
  co_await converse(self, std::move(socket));
  --self->connections_;
}

asio::awaitable<void> HttpServer::converse(std::shared_ptr<HttpServer> self, tcp::socket socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer;
  for (bool keep_alive = true; keep_alive;) {
    Parser parser;
    parser.header_limit(self->limits_.header_bytes);
    parser.body_limit(self->limits_.body_bytes);
    stream.expires_after(self->limits_.read);
    const auto [error, size] = co_await http::async_read(stream, buffer, parser, use_tuple);
    HttpAnswer answer;
    unsigned version = 11;
    const auto refuse = [&](HttpAnswer told) {
      answer = std::move(told);
      const std::string sent = parser.get()["X-Request-Id"];
      answer.headers.emplace_back("X-Request-Id", request_id(sent));
    };
    if (error) {
      auto told = complaint(error);
      if (!told) break;
      refuse(std::move(*told));
      keep_alive = false;
    } else {
      version = parser.get().version();
      keep_alive = parser.get().keep_alive();
      stream.expires_never();
      if (is_loopback_host(parser.get()[http::field::host])) {
        answer = co_await self->handler_(request_of(parser.get()));
      } else {
        refuse(http_error(403, "invalid_request_error",
                          "the Host header must name a loopback address"));
      }
    }
    const Response response = response_of(std::move(answer), version, keep_alive);
    stream.expires_after(self->limits_.write);
    const auto [failed, written] = co_await http::async_write(stream, response, use_tuple);
    if (failed) break;
  }
  co_await linger(stream);
}

}  // namespace disagfusion::exec
