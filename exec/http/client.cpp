#include "exec/http/client.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <memory>

namespace disagfusion::exec {

namespace beast = boost::beast;
namespace http = beast::http;

struct HttpClient::Connection {
  explicit Connection(asio::io_context& context) : stream(context) {}
  beast::tcp_stream stream;
  beast::flat_buffer buffer;
};

namespace {

constexpr std::uint64_t kLargestAnswer = std::uint64_t{1} << 30U;

http::request<http::string_body> request_of(const HttpCall& call, const Endpoint& server) {
  http::request<http::string_body> request{http::string_to_verb(call.method), call.path, 11};
  request.set(http::field::host, server.text());
  request.set(http::field::user_agent, "disagfusion");
  if (!call.body.empty()) request.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : call.headers) request.set(name, value);
  if (call.method == "POST" && call.body.empty()) {
    request.set(http::field::content_type, "application/json");
  }
  request.body() = call.body;
  request.prepare_payload();
  return request;
}

}  // namespace

HttpClient::HttpClient(asio::io_context& context, Endpoint server)
    : context_(context), server_(std::move(server)) {}

HttpClient::~HttpClient() = default;

asio::awaitable<HttpReply> HttpClient::call(HttpCall call) { return run(this, std::move(call)); }

asio::awaitable<HttpReply> HttpClient::run(HttpClient* self, HttpCall call) {
  const auto request = request_of(call, self->server_);
  // A kept connection may have been closed by the server meanwhile: then once more on a fresh one.
  for (;;) {
    std::unique_ptr<Connection> connection;
    const bool kept = !self->idle_.empty();
    if (kept) {
      connection = std::move(self->idle_.back());
      self->idle_.pop_back();
    } else {
      connection = std::make_unique<Connection>(self->context_);
    }
    beast::tcp_stream& stream = connection->stream;
    stream.expires_after(call.limit);
    if (!kept) {
      const tcp::endpoint server(asio::ip::make_address(self->server_.address), self->server_.port);
      const auto [error] = co_await stream.async_connect(server, use_tuple);
      if (error) co_return HttpReply{0, error.message()};
      error_code ignored;
      stream.socket().set_option(tcp::no_delay(true), ignored);
    }
    const auto [write_error, written] = co_await http::async_write(stream, request, use_tuple);
    http::response_parser<http::string_body> parser;
    parser.body_limit(kLargestAnswer);
    error_code failed = write_error;
    if (!failed) {
      const auto [read_error, read] =
          co_await http::async_read(stream, connection->buffer, parser, use_tuple);
      failed = read_error;
    }
    const bool nothing_read = !parser.got_some();
    if (failed && kept && nothing_read && failed != beast::error::timeout) continue;
    if (failed) co_return HttpReply{0, failed.message()};
    HttpReply reply{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
    stream.expires_never();
    if (parser.get().keep_alive()) self->idle_.push_back(std::move(connection));
    co_return reply;
  }
}

namespace {

asio::awaitable<void> call_into(HttpClient* client, HttpCall call, HttpReply* reply) {
  *reply = co_await client->call(std::move(call));
}

}  // namespace

HttpReply call_and_wait(const Endpoint& server, HttpCall call) {
  asio::io_context context{1};
  HttpClient client(context, server);
  HttpReply reply;
  asio::co_spawn(context, call_into(&client, std::move(call), &reply), asio::detached);
  context.run();
  return reply;
}

}  // namespace disagfusion::exec
