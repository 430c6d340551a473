#include "traces/decimal.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace disagfusion::traces {

namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Exponents and very long numbers: through double.
std::optional<Duration> parse_seconds_by_double(std::string_view text, Duration most) {
  const std::optional<double> seconds = parse_real(text, 0, most.seconds());
  if (!seconds || std::signbit(*seconds)) return std::nullopt;
  const Duration rounded = from_seconds(*seconds);
  return rounded <= most ? std::optional(rounded) : std::nullopt;
}

constexpr std::array<std::int64_t, 10> kPowersOfTen{
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

}  // namespace

std::optional<Duration> parse_seconds(std::string_view text, Duration most) {
  const char* p = text.data();
  const char* const end = p + text.size();
  std::int64_t whole = 0;
  const char* const whole_begin = p;
  while (p != end && is_digit(*p) && p - whole_begin < 10) whole = whole * 10 + (*p++ - '0');
  if (p - whole_begin > 9) return parse_seconds_by_double(text, most);
  std::ptrdiff_t digits = p - whole_begin;
  std::int64_t ns = whole * 1'000'000'000;
  if (p != end && *p == '.') {
    const char* const fraction_begin = ++p;
    std::int64_t fraction = 0;
    while (p != end && is_digit(*p) && p - fraction_begin < 9)
      fraction = fraction * 10 + (*p++ - '0');
    const std::ptrdiff_t taken = p - fraction_begin;
    ns += fraction * kPowersOfTen[static_cast<std::size_t>(9 - taken)];
    digits += taken;
    if (p != end && is_digit(*p)) {
      ns += *p >= '5' ? 1 : 0;
      while (p != end && is_digit(*p)) ++p;
    }
  }
  if (p != end) return parse_seconds_by_double(text, most);
  if (digits == 0 || ns > most.ns) return std::nullopt;
  return Duration{ns};
}

std::optional<std::int64_t> parse_whole(std::string_view text, std::int64_t least,
                                        std::int64_t most) {
  const char* const end = text.data() + text.size();
  std::int64_t value = 0;
  auto [p, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc()) return std::nullopt;
  if (p != end && *p == '.') {
    const char* const fraction = ++p;
    while (p != end && *p == '0') ++p;
    if (p == fraction) return std::nullopt;
  }
  if (p != end || value < least || value > most) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text, double least, double most) {
  // from_chars also takes "nan", "inf" and a leading '-': the first two are refused here.
  if (text.empty()) return std::nullopt;
  const char first = text[0] == '-' && text.size() > 1 ? text[1] : text[0];
  if (!is_digit(first) && first != '.') return std::nullopt;
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [p, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || p != end) return std::nullopt;
  if (!(value >= least && value <= most)) return std::nullopt;
  return value;
}

void append_seconds(std::string& out, std::int64_t ns) {
  std::array<char, 24> text{};
  char* p = text.data();
  if (ns < 0) *p++ = '-';
  const std::uint64_t magnitude =
      ns < 0 ? 0 - static_cast<std::uint64_t>(ns) : static_cast<std::uint64_t>(ns);
  p = std::to_chars(p, text.data() + text.size(), magnitude / 1'000'000'000).ptr;
  auto fraction = static_cast<std::uint32_t>(magnitude % 1'000'000'000);
  if (fraction != 0) {
    *p++ = '.';
    for (int i = 8; i >= 0; --i) {
      p[i] = static_cast<char>('0' + fraction % 10);
      fraction /= 10;
    }
    p += 9;
    while (p[-1] == '0') --p;
  }
  out.append(text.data(), static_cast<std::size_t>(p - text.data()));
}

void append_real(std::string& out, double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  out.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace disagfusion::traces
