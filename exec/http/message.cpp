#include "exec/http/message.hpp"

#include <nlohmann/json.hpp>

namespace disagfusion::exec {

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
