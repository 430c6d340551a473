// Addresses as people write them. Nothing but loopback is served until tokens and TLS exist.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace disagfusion::exec {

struct Endpoint {
  std::string address = "127.0.0.1";  ///< IPv4 or IPv6, without brackets
  std::uint16_t port = 0;             ///< 0: any free one, for listening
  [[nodiscard]] std::string text() const;
};

/// "127.0.0.1:8080", "[::1]:8080" or "localhost:8080". A problem names `path` as where it stood and
/// says so where the address is not loopback.
Result<Endpoint> parse_loopback(const std::string& text, const std::string& path);

/// An http URL of a loopback server, "http://127.0.0.1:8080" with or without a trailing slash; also
/// what parse_loopback takes.
Result<Endpoint> parse_url(const std::string& text, const std::string& path);

}  // namespace disagfusion::exec
