// What the HTTP server answers (design 7.6): images, models, health, metrics, requests, and the
// operators' orders of `ctl`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "exec/controller/controller.hpp"
#include "exec/http/message.hpp"
#include "exec/http/metrics.hpp"
#include "exec/net/asio.hpp"

namespace disagfusion::exec {

/// One thread, the controller's. Must outlive the answers it is working on.
class Api {
 public:
  explicit Api(Controller& controller) : controller_(controller), metrics_(controller) {}

  /// Answers one request; an image request is answered when it has ended.
  asio::awaitable<HttpAnswer> answer(HttpRequest request);

 private:
  static asio::awaitable<HttpAnswer> route(Api* self, HttpRequest request);
  static asio::awaitable<HttpAnswer> generate(Api* self, HttpRequest request);
  static asio::awaitable<HttpAnswer> find_request(Api* self, std::string id);
  static asio::awaitable<HttpAnswer> pictures_of(Api* self, std::uint64_t number, bool openai);
  HttpAnswer cancel_request(const std::string& id);
  /// What the paths that know GET alone answer; nothing where it is none of them.
  std::optional<HttpAnswer> only_read(const std::string& path);
  HttpAnswer models() const;
  HttpAnswer admin(const HttpRequest& request);
  HttpAnswer status() const;
  HttpAnswer explain(const std::string& id) const;
  HttpAnswer order(const std::string& name, const std::string& body);
  [[nodiscard]] Result<std::vector<WeightsId>> role_stages(InstanceId instance,
                                                           const std::string& text) const;
  [[nodiscard]] HttpAnswer ended_badly(const Account& account) const;

  Controller& controller_;
  Metrics metrics_;
};

/// RFC 4648, with padding.
std::string to_base64(std::string_view bytes);

}  // namespace disagfusion::exec
