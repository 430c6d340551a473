#include "exec/http/message.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.hpp"

namespace disagfusion::exec {

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  DF_CHECK(::getrandom(&bits, sizeof bits, 0) == static_cast<ssize_t>(sizeof bits));
  return bits;
}

bool is_good_id(const std::string& id) {
  return id.size() <= kLongestId && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == '.' || c == ':';
         });
}

std::string request_id(const std::string& sent) {
  return !sent.empty() && is_good_id(sent) ? sent : fmt::format("req-{:016x}", random_bits());
}

HttpAnswer http_error(int status, const std::string& type, const std::string& message,
                      const std::string& param) {
  nlohmann::ordered_json error;
  error["type"] = type;
  error["message"] = message;
  error["param"] = param.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(param);
  HttpAnswer answer;
  answer.status = status;
  nlohmann::ordered_json body;
  body["error"] = std::move(error);
  answer.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return answer;
}

}  // namespace disagfusion::exec
