// Bytes that stages hand to each other: immutable, shared, tagged with the memory they lie in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace disagfusion::exec {

/// Where bytes lie. Only `host` and `pinned` may be read by whoever holds the buffer.
enum class MemoryKind : std::uint8_t { host, pinned, shared, device };

/// A cheap handle on immutable bytes. Copies share them; the last one frees them. Any thread may
/// read.
class Buffer {
 public:
  Buffer() = default;
  /// Takes the text's bytes over, in host memory.
  static Buffer of(std::string bytes) {
    auto kept = std::make_shared<const std::string>(std::move(bytes));
    const std::string_view view = *kept;
    return {MemoryKind::host, std::shared_ptr<const char>(std::move(kept), view.data()),
            view.size()};
  }
  /// Bytes that `owner` keeps alive (and frees in its own way: pool, pinned allocator).
  Buffer(MemoryKind kind, std::shared_ptr<const char> owner, std::size_t size)
      : kind_(kind), data_(std::move(owner)), size_(size) {}

  [[nodiscard]] MemoryKind kind() const { return kind_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::string_view bytes() const { return {data_.get(), size_}; }

 private:
  MemoryKind kind_ = MemoryKind::host;
  std::shared_ptr<const char> data_;
  std::size_t size_ = 0;
};

}  // namespace disagfusion::exec
