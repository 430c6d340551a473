// A request and an answer of our HTTP server, without the library that reads and writes them.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace disagfusion::exec {

struct HttpRequest {
  std::string method;  ///< "GET", "POST", ...
  std::string path;    ///< without the query
  std::string content_type;
  std::string id;  ///< X-Request-Id, as the client sent it; empty: none
  std::string body;
};

struct HttpAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  ///< X-Request-Id, Retry-After
};

/// The JSON body of an error (design 7.6): no path, stack or token in it. `param`: the field that
/// is wrong, or empty.
HttpAnswer http_error(int status, const std::string& type, const std::string& message,
                      const std::string& param = {});

}  // namespace disagfusion::exec
