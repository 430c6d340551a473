// The one encoding of a log record, for every container. docs/models/event-log.md has its layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "scheduler/event.hpp"
#include "scheduler/log/varint.hpp"

namespace disagfusion::scheduler::log {

/// Changes whenever an old reader would misread. A reader takes its own version only.
inline constexpr std::uint32_t kLogVersion = 1;

/// A decoded event owns what its spans and pointers show. Valid until it is decoded into again or
/// destroyed; neither copied nor moved.
struct Record {
  Record() = default;
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

  TimePoint now;
  std::uint64_t actions_hash = 0;
  Event event;

  RequestBody body;
  Inventory inventory;
  std::vector<MemberOutcome> members;
  std::vector<WeightsId> stages, weights;
  std::vector<CommandKey> run_queue, transfers;
  std::vector<HandleKey> handles;
  std::string text;
};

/// What one record leaves for the next to be told as a difference. A controller_restarted record
/// starts afresh, so that a new process can go on with a log that it has not written.
struct DeltaState {
  std::int64_t now = 0;
  std::uint64_t command = 0, number = 0;
  std::uint32_t request = 0, handle = 0;
};

class Encoder {
 public:
  /// At least the bytes that append() needs for this event.
  [[nodiscard]] static std::size_t bound(const Event& event);
  /// Writes the record at `at`, which has room for bound(event), and returns its end. The first
  /// record of all must be controller_restarted (CHECK).
  char* append(TimePoint now, const Event& event, std::uint64_t actions_hash, char* at);

 private:
  char* write_command(CommandKey key, char* at);
  char* write_request(RequestKey key, char* at);
  char* write_handle(HandleKey key, char* at);
  char* write_members(const Event& event, char* at);
  char* write_rare(const Event& event, std::uint64_t present, char* at);
  char* write_inventory(const Inventory& inventory, char* at);

  DeltaState last_;
  bool started_ = false;
};

/// Strict: whatever is out of bounds, of an unknown kind or left over is refused. Never reads
/// outside the bytes given, and takes memory in proportion to them.
class Decoder {
 public:
  /// Decodes a record without its length. Null, or what is wrong with it; then the decoder is
  /// spent.
  const char* decode(std::string_view record, Record& out);

 private:
  void read_command(ByteReader& in, CommandKey& key);
  void read_request(ByteReader& in, RequestKey& key);
  void read_handle(ByteReader& in, HandleKey& key);
  void read_members(ByteReader& in, Record& out);
  void read_rare(ByteReader& in, std::uint64_t present, Record& out);
  void read_inventory(ByteReader& in, Record& out);

  DeltaState last_;
  bool started_ = false;
};

}  // namespace disagfusion::scheduler::log
