// An event log as rows of a SQLite database: the journal of `serve`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "scheduler/log/codec.hpp"
#include "scheduler/log/log_reader.hpp"
#include "scheduler/session.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace disagfusion::scheduler::log {

/// Told apart from other databases by SQLite's application_id ("DFLG"); user_version is
/// kLogVersion.
inline constexpr std::int32_t kSqliteApplicationId = 0x44464c47;

/// Group commit: records are appended to one open transaction, commit() makes all of them durable
/// (WAL, synchronous=FULL: on disk when it returns). Others may read meanwhile: they see what is
/// committed. One thread at a time. A failure of the disk is ours to stop at (CHECK): a journal
/// that cannot be written must not be answered for.
class SqliteLog final : public EventSink {
 public:
  /// Fails where `path` exists.
  static Result<std::unique_ptr<SqliteLog>> create(const std::string& path,
                                                   const LogHeader& header);
  /// Goes on with an existing log; the next record must be controller_restarted.
  static Result<std::unique_ptr<SqliteLog>> append_to(const std::string& path);
  ~SqliteLog() override;  // without commit(), what was appended is lost
  SqliteLog(const SqliteLog&) = delete;
  SqliteLog& operator=(const SqliteLog&) = delete;

  void record(TimePoint now, const Event& event, std::uint64_t actions_hash) override;
  void commit();

  [[nodiscard]] const LogHeader& header() const { return header_; }
  /// In the log, uncommitted ones included.
  [[nodiscard]] std::uint64_t records() const { return records_; }
  [[nodiscard]] bool dirty() const { return in_transaction_; }

 private:
  struct CloseDatabase {
    void operator()(sqlite3* database) const;
  };
  struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const;
  };

  SqliteLog() = default;
  Result<void> open(const std::string& path, bool create);
  Result<void> write_header(const LogHeader& header);
  Result<void> prepare();
  void run(sqlite3_stmt* statement);

  std::string path_;
  LogHeader header_;
  std::unique_ptr<sqlite3, CloseDatabase> database_;
  std::unique_ptr<sqlite3_stmt, FinalizeStatement> begin_, insert_, commit_;
  Encoder encoder_;
  std::vector<char> buffer_;
  std::uint64_t records_ = 0;
  bool in_transaction_ = false;
};

/// Reads what is committed at this moment.
Result<std::unique_ptr<LogReader>> open_sqlite_log(const std::string& path);

}  // namespace disagfusion::scheduler::log
