#include "exec/net/endpoint.hpp"

#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace disagfusion::exec {
namespace {

Problem problem(const std::string& path, const std::string& expected, const std::string& got) {
  Problem p;
  p.path = path;
  p.expected = expected;
  p.got = got.empty() ? "nothing" : "\"" + got + "\"";
  return p;
}

constexpr const char* kForm = "a loopback address and port such as 127.0.0.1:8080";

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::string Endpoint::text() const {
  const bool six = address.find(':') != std::string::npos;
  return (six ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

Result<Endpoint> parse_loopback(const std::string& text, const std::string& path) {
  const auto colon = text.rfind(':');
  Endpoint endpoint;
  if (colon == std::string::npos ||
      !parse_port(std::string_view(text).substr(colon + 1), endpoint.port)) {
    return fail(problem(path, kForm, text));
  }
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (error) return fail(problem(path, kForm, text));
  if (!address.is_loopback()) {
    return fail(problem(
        path, std::string(kForm) + " (other addresses are refused until tokens and TLS exist)",
        text));
  }
  endpoint.address = address.to_string();
  return endpoint;
}

Result<Endpoint> parse_url(const std::string& text, const std::string& path) {
  std::string rest = text;
  if (rest.rfind("http://", 0) == 0) rest = rest.substr(7);
  while (!rest.empty() && rest.back() == '/') rest.pop_back();
  auto endpoint = parse_loopback(rest, path);
  if (endpoint) return endpoint;
  Problem& refused = endpoint.error().front();
  if (refused.expected == kForm) refused.expected = "a URL such as http://127.0.0.1:8080";
  refused.got = "\"" + text + "\"";
  return endpoint;
}

}  // namespace disagfusion::exec
