#include "base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <vector>

namespace disagfusion {

namespace {

/// value in base units = number x times / by: two exact steps keep "95 %" at 0.95.
struct UnitName {
  std::string_view name;
  double times = 1;
  double by = 1;
};

constexpr double kKibi = 1024.0;

constexpr std::array kTimeUnits{UnitName{"ns"},     UnitName{"us", 1e3},   UnitName{"ms", 1e6},
                                UnitName{"s", 1e9}, UnitName{"min", 6e10}, UnitName{"h", 3.6e12}};
constexpr std::array kByteUnits{UnitName{"B"},
                                UnitName{"kB", 1e3},
                                UnitName{"MB", 1e6},
                                UnitName{"GB", 1e9},
                                UnitName{"TB", 1e12},
                                UnitName{"KiB", kKibi},
                                UnitName{"MiB", kKibi* kKibi},
                                UnitName{"GiB", kKibi* kKibi* kKibi},
                                UnitName{"TiB", kKibi* kKibi* kKibi* kKibi},
                                UnitName{"KB", 1e3}};
constexpr std::array kBitRateUnits{UnitName{"bit/s", 1, 8},     UnitName{"kbit/s", 1e3, 8},
                                   UnitName{"Mbit/s", 1e6, 8},  UnitName{"Gbit/s", 1e9, 8},
                                   UnitName{"Tbit/s", 1e12, 8}, UnitName{"Kbit/s", 1e3, 8}};
constexpr std::array kPriceUnits{UnitName{"USD/h"}};
constexpr std::array kRateUnits{UnitName{"/s"}, UnitName{"/min", 1, 60}, UnitName{"/h", 1, 3600}};
constexpr std::array kShareUnits{UnitName{"%", 1, 100}};
constexpr std::array kFactorUnits{UnitName{"x"}};
constexpr std::array kEventUnits{UnitName{"events"}};

template <std::size_t N>
const UnitName* find_unit(const std::array<UnitName, N>& units, std::string_view name) {
  for (const UnitName& unit : units)
    if (unit.name == name) return &unit;
  return nullptr;
}

const UnitName* find_unit(Quantity quantity, std::string_view name) {
  switch (quantity) {
    case Quantity::time:
      return find_unit(kTimeUnits, name);
    case Quantity::bytes:
      return find_unit(kByteUnits, name);
    case Quantity::bandwidth:
      if (name.size() > 2 && name.substr(name.size() - 2) == "/s")
        if (const UnitName* unit = find_unit(kByteUnits, name.substr(0, name.size() - 2)))
          return unit;
      return find_unit(kBitRateUnits, name);
    case Quantity::price:
      return find_unit(kPriceUnits, name);
    case Quantity::rate:
      return find_unit(kRateUnits, name);
    case Quantity::share:
      return find_unit(kShareUnits, name);
    case Quantity::factor:
      return find_unit(kFactorUnits, name);
    case Quantity::events:
      return find_unit(kEventUnits, name);
  }
  return nullptr;
}

/// Splits off the leading decimal number; false where there is none or it is not finite.
bool take_number(std::string_view& text, double& value) {
  const std::size_t digit = text.empty() || text.front() != '-' ? 0 : 1;
  if (digit >= text.size() || text[digit] < '0' || text[digit] > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !std::isfinite(value)) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// The first unit, from the last, in which the value is written exactly and is at least 1.
std::string shortest(double value, const std::vector<UnitName>& units, std::string_view suffix) {
  for (const UnitName& unit : units) {
    const double in_unit = value / unit.times;
    if (in_unit < 1 || in_unit * unit.times != value) continue;
    const std::string text = fmt::format("{}", in_unit);
    if (text.size() <= 12) return fmt::format("{} {}{}", text, unit.name, suffix);
  }
  return fmt::format("{} B{}", value, suffix);
}

const std::vector<UnitName> kDecimalBytes{
    {"TB", 1e12, 1}, {"GB", 1e9, 1}, {"MB", 1e6, 1}, {"kB", 1e3, 1}};

}  // namespace

std::string quantity_example(Quantity quantity) {
  switch (quantity) {
    case Quantity::time:
      return "a duration such as 24 ms";
    case Quantity::bytes:
      return "a size such as 80 GB";
    case Quantity::bandwidth:
      return "a bandwidth such as 10 Gbit/s";
    case Quantity::price:
      return "a price such as 0.34 USD/h";
    case Quantity::rate:
      return "a rate such as 0.065 /s";
    case Quantity::share:
      return "a percentage such as 95 %";
    case Quantity::factor:
      return "a factor such as 1.5x";
    case Quantity::events:
      return "a budget such as 2e8 events";
  }
  return {};
}

std::string quantity_units(Quantity quantity) {
  switch (quantity) {
    case Quantity::time:
      return "ns, us, ms, s, min, h";
    case Quantity::bytes:
      return "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB";
    case Quantity::bandwidth:
      return "bit/s, kbit/s, Mbit/s, Gbit/s, B/s, kB/s, MB/s, GB/s, GiB/s";
    case Quantity::price:
      return "USD/h";
    case Quantity::rate:
      return "/s, /min, /h";
    case Quantity::share:
      return "%";
    case Quantity::factor:
      return "x";
    case Quantity::events:
      return "events";
  }
  return {};
}

tl::expected<double, std::string> parse_quantity(std::string_view text, Quantity quantity) {
  double number = 0;
  if (!take_number(text, number)) return tl::unexpected(quantity_example(quantity));
  if (text.size() > 1 && text.front() == ' ') text.remove_prefix(1);
  if (text.empty()) return tl::unexpected(quantity_example(quantity) + ", with its unit");
  const UnitName* unit = find_unit(quantity, text);
  if (unit == nullptr)
    return tl::unexpected(
        fmt::format("{} (units: {})", quantity_example(quantity), quantity_units(quantity)));
  const double value = number * unit->times / unit->by;
  if (!std::isfinite(value)) return tl::unexpected(quantity_example(quantity));
  return value;
}

tl::expected<double, std::string> parse_number(std::string_view text) {
  double number = 0;
  if (!take_number(text, number) || !text.empty()) return tl::unexpected(std::string("a number"));
  return number;
}

std::string duration_text(Duration duration) {
  const std::int64_t ns = duration.ns;
  if (ns % 1'000'000'000 == 0) return fmt::format("{} s", ns / 1'000'000'000);
  if (ns % 1'000'000 == 0) return fmt::format("{} ms", ns / 1'000'000);
  if (ns % 1'000 == 0) return fmt::format("{} us", ns / 1'000);
  return fmt::format("{} ns", ns);
}

std::string bytes_text(double bytes) { return shortest(bytes, kDecimalBytes, ""); }

std::string bandwidth_text(double bytes_per_s) {
  return shortest(bytes_per_s, kDecimalBytes, "/s");
}

}  // namespace disagfusion
