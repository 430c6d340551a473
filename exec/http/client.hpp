// An HTTP/1.1 client for our own loopback server: `ctl`, `load` and tests.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "exec/net/asio.hpp"
#include "exec/net/endpoint.hpp"

namespace disagfusion::exec {

struct HttpCall {
  std::string method = "GET";
  std::string path;
  std::string body;  ///< JSON, where not empty
  std::vector<std::pair<std::string, std::string>> headers;
  std::chrono::nanoseconds limit = std::chrono::hours(24);  ///< for the whole call
};

struct HttpReply {
  int status = 0;  ///< 0: no answer, `body` says why
  std::string body;
};

/// Keeps idle connections for the next call; any number of calls at once. One thread, that of the
/// executor. Must outlive its calls.
class HttpClient {
 public:
  HttpClient(asio::io_context& context, Endpoint server);
  ~HttpClient();
  /// Errors become a reply of status 0. Cancellation ends the call.
  asio::awaitable<HttpReply> call(HttpCall call);

 private:
  struct Connection;
  static asio::awaitable<HttpReply> run(HttpClient* self, HttpCall call);

  asio::io_context& context_;
  Endpoint server_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

/// One call, waited for on this thread.
HttpReply call_and_wait(const Endpoint& server, HttpCall call);

}  // namespace disagfusion::exec
