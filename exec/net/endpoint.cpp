#include "exec/net/endpoint.hpp"

#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace disagfusion::exec {
namespace {

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// How a text that is no endpoint is refused.
struct Refusal {
  std::string path, form, got;
  [[nodiscard]] tl::unexpected<Problems> with(const std::string& more = "") const {
    Problem problem;
    problem.path = path;
    problem.expected = form + more;
    problem.got = got.empty() ? "nothing" : "\"" + got + "\"";
    return fail(std::move(problem));
  }
};

Result<Endpoint> parse(const std::string& text, const Refusal& refuse) {
  const auto colon = text.rfind(':');
  Endpoint endpoint;
  if (colon == std::string::npos ||
      !parse_port(std::string_view(text).substr(colon + 1), endpoint.port)) {
    return refuse.with();
  }
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (error) return refuse.with();
  if (!address.is_loopback())
    return refuse.with(" (other addresses are refused until tokens and TLS exist)");
  endpoint.address = address.to_string();
  return endpoint;
}

}  // namespace

std::string Endpoint::text() const {
  const bool six = address.find(':') != std::string::npos;
  return (six ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

Result<Endpoint> parse_loopback(const std::string& text, const std::string& path) {
  return parse(text, {path, "a loopback address and port such as 127.0.0.1:8080", text});
}

Result<Endpoint> parse_url(const std::string& text, const std::string& path) {
  std::string rest = text;
  if (rest.rfind("http://", 0) == 0) rest = rest.substr(7);
  while (!rest.empty() && rest.back() == '/') rest.pop_back();
  return parse(rest, {path, "a URL such as http://127.0.0.1:8080", text});
}

}  // namespace disagfusion::exec
