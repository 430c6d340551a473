// A request and an answer of our HTTP server, without the library that reads and writes them.
#pragma once

#include <cstddef>
#include <cstdint>
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

inline constexpr std::size_t kLongestId = 128;
/// Letters, digits and -_.: only, at most kLongestId of them; empty is good.
bool is_good_id(const std::string& id);
/// What every answer carries as X-Request-Id: the id that was sent, where it is good, else a new
/// one.
std::string request_id(const std::string& sent);
/// 64 bits that nobody can guess.
std::uint64_t random_bits();

}  // namespace disagfusion::exec
