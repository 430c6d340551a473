#include "scheduler/log/file_container.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "scheduler/decision_hash.hpp"

namespace disagfusion::scheduler::log {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 16U;
constexpr std::size_t kBufferBytes = std::size_t{1} << 20U;
// A length of zero ends the records; then three fixed numbers: records, decision hash, checksum of
// every byte before it.
constexpr std::size_t kTrailerBytes = 1 + 3 * 8;
// No record is longer: a body's texts are bounded where they come in.
constexpr std::uint64_t kLongestRecord = std::uint64_t{1} << 30U;

__extension__ using Wide = unsigned __int128;

}  // namespace

// ---- checksum ----------------------------------------------------------------------------------

void Checksum::take(std::uint64_t word) {
  const Wide product = static_cast<Wide>(state_ ^ word ^ 0x452821e638d01377U) * 0xbe5466cf34e90c6dU;
  state_ = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

void Checksum::add(std::string_view bytes) {
  length_ += bytes.size();
  if (!tail_.empty()) {
    const std::size_t missing = std::min(8 - tail_.size(), bytes.size());
    tail_.append(bytes.substr(0, missing));
    bytes.remove_prefix(missing);
    if (tail_.size() < 8) return;
    take(ByteReader(tail_).fixed64());
    tail_.clear();
  }
  ByteReader in(bytes);
  while (in.left() >= 8) take(in.fixed64());
  tail_.assign(bytes.substr(bytes.size() - in.left()));
}

std::uint64_t Checksum::value() const {
  Checksum last = *this;
  std::string padded = tail_;
  padded.resize(8);
  last.take(ByteReader(padded).fixed64());
  last.take(length_);
  return last.state_;
}

// ---- writing -----------------------------------------------------------------------------------

FileLog::FileLog(AtomicFile file) : file_(std::move(file)), buffer_(kBufferBytes) {}

Result<std::unique_ptr<FileLog>> FileLog::create(const std::string& path, const LogHeader& header) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return fail(std::move(file.error()));
  std::unique_ptr<FileLog> log(new FileLog(std::move(*file)));
  const std::string encoded = header.encoded();
  char size[2 * kVarintBytes];
  char* end = write_varint(encoded.size(), write_varint(kLogVersion, size));
  log->put(kFileMagic);
  log->put({size, static_cast<std::size_t>(end - size)});
  log->put(encoded);
  return log;
}

char* FileLog::room(std::size_t bytes) {
  if (buffer_.size() - used_ < bytes) {
    flush();
    if (buffer_.size() < bytes) buffer_.resize(bytes);
  }
  return buffer_.data() + used_;
}

void FileLog::put(std::string_view bytes) {
  std::copy(bytes.begin(), bytes.end(), room(bytes.size()));
  used_ += bytes.size();
}

void FileLog::flush() {
  const std::string_view bytes(buffer_.data(), used_);
  checksum_.add(bytes);
  file_.write(bytes);
  used_ = 0;
}

void FileLog::record(TimePoint now, const Event& event, std::uint64_t actions_hash) {
  char* const length = room(Encoder::bound(event) + kVarintBytes);
  char* const body = length + 1;  // nearly every record is shorter than 128 bytes
  const auto size =
      static_cast<std::size_t>(encoder_.append(now, event, actions_hash, body) - body);
  if (size < 0x80) {
    *length = static_cast<char>(size);
    used_ += 1 + size;
  } else {
    char prefix[kVarintBytes];
    const auto prefix_size = static_cast<std::size_t>(write_varint(size, prefix) - prefix);
    std::memmove(length + prefix_size, body, size);
    std::memcpy(length, prefix, prefix_size);
    used_ += prefix_size + size;
  }
  ++records_;
  decision_hash_ = fold_decisions(decision_hash_, now, records_, actions_hash);
}

Result<void> FileLog::close() {
  char* at = room(kTrailerBytes);
  *at = 0;
  write_fixed64(decision_hash_, write_fixed64(records_, at + 1));
  used_ += kTrailerBytes - 8;
  flush();
  char checksum[8];
  write_fixed64(checksum_.value(), checksum);
  file_.write({checksum, 8});
  return file_.commit();
}

// ---- reading -----------------------------------------------------------------------------------

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

class FileLogReader final : public LogReader {
 public:
  static Result<std::unique_ptr<LogReader>> open(const std::string& path) {
    std::unique_ptr<FileLogReader> reader(new FileLogReader(path));
    if (reader->file_ == nullptr) return reader->wrong("an event log", std::strerror(errno));
    if (reader->take(kFileMagic.size()) != kFileMagic) {
      return reader->wrong("an event log", "a file of another kind");
    }
    const std::uint64_t version = reader->take_varint();
    if (version != kLogVersion) {
      return reader->wrong(fmt::format("a log of version {}", kLogVersion),
                           fmt::format("version {}", version));
    }
    const std::uint64_t size = reader->take_varint();
    if (size > kLongestRecord) return reader->wrong("a header", "a longer one than can be");
    Result<LogHeader> header =
        LogHeader::decode(reader->take(static_cast<std::size_t>(size)), path);
    if (!header) return fail(std::move(header.error()));
    reader->header_ = std::move(*header);
    return reader;
  }

  [[nodiscard]] const LogHeader& header() const override { return header_; }
  [[nodiscard]] std::optional<LogTrailer> trailer() const override { return trailer_; }

  Result<bool> next(Record& record) override {
    if (trailer_) return false;
    const std::uint64_t start = offset();
    const std::uint64_t size = take_varint();
    if (size == 0 && !ended_early_) return read_trailer();
    if (size > kLongestRecord) return wrong_at(start, "a record", "a longer one than can be");
    const std::string_view bytes = take(static_cast<std::size_t>(size));
    if (ended_early_) {
      return wrong_at(start, "a record, or the end that close() writes", "a truncated file");
    }
    const char* why = decoder_.decode(bytes, record);
    if (why != nullptr) return wrong_at(start, "a record", why);
    ++records_;
    decision_hash_ = fold_decisions(decision_hash_, record.now, records_, record.actions_hash);
    return true;
  }

 private:
  explicit FileLogReader(const std::string& path)
      : path_(path), file_(std::fopen(path.c_str(), "rb")), buffer_(kReadBytes) {}

  tl::unexpected<Problems> wrong(std::string expected, std::string got) const {
    return fail(Problem{path_, 0, 0, "", std::move(expected), std::move(got), ""});
  }
  tl::unexpected<Problems> wrong_at(std::uint64_t byte, std::string expected,
                                    const std::string& got) const {
    return wrong(std::move(expected), fmt::format("{} at byte {}", got, byte));
  }

  [[nodiscard]] std::uint64_t offset() const { return before_ + at_; }

  // The next `size` bytes, valid until the next call; fewer at the end of the file. The buffer
  // grows with what the file really holds, whatever a length claims.
  std::string_view take(std::size_t size) {
    if (end_ - at_ < size) size = std::min(size, fill(size));
    const std::string_view bytes(buffer_.data() + at_, size);
    at_ += size;
    return bytes;
  }

  // Reads on until `size` bytes are there; how many there are.
  std::size_t fill(std::size_t size) {
    drop_taken();
    while (end_ < size) {
      if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
      const std::size_t got =
          std::fread(buffer_.data() + end_, 1, buffer_.size() - end_, file_.get());
      end_ += got;
      if (got == 0) {
        ended_early_ = true;
        break;
      }
    }
    return end_;
  }

  void drop_taken() {
    checksum_.add({buffer_.data(), at_});
    std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
    before_ += at_;
    end_ -= at_;
    at_ = 0;
  }

  std::uint64_t take_varint() {
    char bytes[kVarintBytes];
    std::size_t size = 0;
    while (size < kVarintBytes) {
      const std::string_view byte = take(1);
      if (byte.empty()) return 0;
      bytes[size++] = byte[0];
      if ((static_cast<unsigned char>(byte[0]) & 0x80U) == 0) break;
    }
    ByteReader in({bytes, size});
    const std::uint64_t value = in.varint();
    return in.wrong() == nullptr ? value : kLongestRecord + 1;
  }

  Result<bool> read_trailer() {
    const std::uint64_t start = offset() - 1;
    LogTrailer found;
    const std::string_view numbers = take(16);
    if (numbers.size() < 16) return wrong_at(start, "the end of the log", "a truncated file");
    ByteReader in(numbers);
    found.records = in.fixed64();
    found.decision_hash = in.fixed64();
    drop_taken();
    const std::uint64_t checksum = checksum_.value();
    const std::string_view last = take(9);  // one more: there must be none
    if (last.size() != 8) return wrong_at(start, "the end of the log", "one of another length");
    if (ByteReader(last).fixed64() != checksum) {
      return wrong("the bytes that were written", "others: the checksum differs");
    }
    if (found.records != records_ || found.decision_hash != decision_hash_) {
      return wrong_at(start, fmt::format("{} records", found.records),
                      fmt::format("{}, or other hashes", records_));
    }
    trailer_ = found;
    return false;
  }

  std::string path_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  LogHeader header_;
  Decoder decoder_;
  Checksum checksum_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, end_ = 0;  ///< what is not taken yet, in buffer_
  std::uint64_t before_ = 0;      ///< bytes of the file before buffer_
  std::uint64_t records_ = 0, decision_hash_ = 0;
  bool ended_early_ = false;
  std::optional<LogTrailer> trailer_;
};

}  // namespace

Result<std::unique_ptr<LogReader>> open_file_log(const std::string& path) {
  return FileLogReader::open(path);
}

}  // namespace disagfusion::scheduler::log
