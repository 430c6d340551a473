// Little-endian base-128 integers and what is made of them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace disagfusion::scheduler::log {

inline constexpr std::size_t kVarintBytes = 10;  ///< the longest

inline char* write_varint(std::uint64_t value, char* at) {
  while (value >= 0x80U) {
    *at++ = static_cast<char>(value | 0x80U);
    value >>= 7U;
  }
  *at++ = static_cast<char>(value);
  return at;
}

/// Small magnitudes of either sign are small numbers.
inline std::uint64_t zigzag(std::uint64_t difference) {
  return difference << 1U ^ (std::uint64_t{0} - (difference >> 63U));
}
inline std::uint64_t unzigzag(std::uint64_t value) {
  return value >> 1U ^ (std::uint64_t{0} - (value & 1U));
}

inline char* write_fixed64(std::uint64_t value, char* at) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(at, &value, 8);
    return at + 8;
  }
  for (int byte = 0; byte < 8; ++byte) at[byte] = static_cast<char>(value >> (8 * byte));
  return at + 8;
}

inline char* write_double(double value, char* at) {
  return write_fixed64(std::bit_cast<std::uint64_t>(value), at);
}

/// Length, then the bytes.
inline char* write_text(std::string_view text, char* at) {
  at = write_varint(text.size(), at);
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

/// Reads what the above wrote. After a failure it stays failed, and every read gives zero.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  std::uint64_t varint() {
    if (at_ < end_ && static_cast<unsigned char>(*at_) < 0x80U) {
      return static_cast<unsigned char>(*at_++);
    }
    return long_varint();
  }
  /// Refuses a value above `most`.
  std::uint64_t varint_up_to(std::uint64_t most) {
    const std::uint64_t value = varint();
    if (value <= most) return value;
    fail("a number is too large");
    return 0;
  }
  std::uint32_t varint32() { return static_cast<std::uint32_t>(varint_up_to(0xffffffffU)); }
  std::uint64_t fixed64() {
    if (left() < 8) {
      fail(kTruncated);
      return 0;
    }
    std::uint64_t value = 0;
    for (int byte = 0; byte < 8; ++byte) {
      value |= std::uint64_t{static_cast<unsigned char>(at_[byte])} << (8 * byte);
    }
    at_ += 8;
    return value;
  }
  double real() { return std::bit_cast<double>(fixed64()); }
  std::string_view text() {
    const std::uint64_t size = varint();
    if (size > left()) {
      fail(kTruncated);
      return {};
    }
    const std::string_view found(at_, static_cast<std::size_t>(size));
    at_ += size;
    return found;
  }
  /// A count of things of at least `bytes_each` bytes that follow.
  std::size_t count(std::size_t bytes_each) {
    const std::uint64_t value = varint();
    if (value <= left() / bytes_each) return static_cast<std::size_t>(value);
    fail(kTruncated);
    return 0;
  }

  void fail(const char* why) {
    if (wrong_ == nullptr) wrong_ = why;
    at_ = end_;
  }
  [[nodiscard]] const char* wrong() const { return wrong_; }
  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  static constexpr const char* kTruncated = "it ends in the middle of a field";

 private:
  std::uint64_t long_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) {
        fail(kTruncated);
        return 0;
      }
      const std::uint64_t byte = static_cast<unsigned char>(*at_++);
      if (shift == 63 && byte > 1) break;
      value |= (byte & 0x7fU) << shift;
      if (byte < 0x80U) return value;
    }
    fail("a number has more than 64 bits");
    return 0;
  }

  const char* at_;
  const char* end_;
  const char* wrong_ = nullptr;
};

}  // namespace disagfusion::scheduler::log
