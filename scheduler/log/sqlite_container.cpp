#include "scheduler/log/sqlite_container.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <filesystem>
#include <utility>

#include "base/check.hpp"

namespace disagfusion::scheduler::log {
namespace {

constexpr const char* kSchema =
    "CREATE TABLE header (bytes BLOB NOT NULL);"
    "CREATE TABLE record (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL);";

tl::unexpected<Problems> wrong(const std::string& path, std::string expected, std::string got) {
  return fail(Problem{path, 0, 0, "", std::move(expected), std::move(got), ""});
}

tl::unexpected<Problems> wrong(const std::string& path, sqlite3* database) {
  return wrong(path, "an event log", database != nullptr ? sqlite3_errmsg(database) : "no memory");
}

std::string_view blob(sqlite3_stmt* statement, int column) {
  const void* bytes = sqlite3_column_blob(statement, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

bool run_sql(sqlite3* database, const std::string& sql) {
  return sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

// The first column of the first row, or nothing where there is none.
std::optional<std::int64_t> number_of(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) != SQLITE_OK) return std::nullopt;
  std::optional<std::int64_t> found;
  if (sqlite3_step(statement) == SQLITE_ROW) found = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return found;
}

Result<LogHeader> read_header(sqlite3* database, const std::string& path) {
  if (number_of(database, "PRAGMA application_id") != std::int64_t{kSqliteApplicationId}) {
    return wrong(path, "an event log", "another SQLite database");
  }
  const auto version = number_of(database, "PRAGMA user_version");
  if (version != std::int64_t{kLogVersion}) {
    return wrong(path, fmt::format("a log of version {}", kLogVersion),
                 fmt::format("version {}", version.value_or(0)));
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, "SELECT bytes FROM header", -1, &statement, nullptr) !=
      SQLITE_OK) {
    return wrong(path, database);
  }
  const std::string bytes(sqlite3_step(statement) == SQLITE_ROW ? blob(statement, 0)
                                                                : std::string_view{});
  sqlite3_finalize(statement);
  return LogHeader::decode(bytes, path);
}

}  // namespace

// ---- writing -----------------------------------------------------------------------------------

void SqliteLog::CloseDatabase::operator()(sqlite3* database) const { sqlite3_close_v2(database); }
void SqliteLog::FinalizeStatement::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteLog::~SqliteLog() {
  if (in_transaction_) run_sql(database_.get(), "ROLLBACK");
}

Result<std::unique_ptr<SqliteLog>> SqliteLog::create(const std::string& path,
                                                     const LogHeader& header) {
  if (std::filesystem::exists(path)) return wrong(path, "a new file", "one that is there already");
  std::unique_ptr<SqliteLog> log(new SqliteLog);
  Result<void> done = log->open(path, true);
  if (done) done = log->write_header(header);
  if (done) done = log->prepare();
  if (!done) return fail(std::move(done.error()));
  log->header_ = header;
  return log;
}

Result<std::unique_ptr<SqliteLog>> SqliteLog::append_to(const std::string& path) {
  std::unique_ptr<SqliteLog> log(new SqliteLog);
  Result<void> done = log->open(path, false);
  if (!done) return fail(std::move(done.error()));
  Result<LogHeader> header = read_header(log->database_.get(), path);
  if (!header) return fail(std::move(header.error()));
  log->header_ = std::move(*header);
  const auto last = number_of(log->database_.get(), "SELECT max(number) FROM record");
  log->records_ = static_cast<std::uint64_t>(last.value_or(0));
  done = log->prepare();
  if (!done) return fail(std::move(done.error()));
  return log;
}

Result<void> SqliteLog::open(const std::string& path, bool create) {
  path_ = path;
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
  const int result = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  database_.reset(database);
  if (result != SQLITE_OK) return wrong(path, database);
  sqlite3_busy_timeout(database, 10'000);  // ms; a reader never holds a writer up longer
  if (!run_sql(database, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")) {
    return wrong(path, database);
  }
  return {};
}

Result<void> SqliteLog::write_header(const LogHeader& header) {
  sqlite3* database = database_.get();
  const std::string marks =
      fmt::format("BEGIN; PRAGMA application_id={}; PRAGMA user_version={};{}",
                  kSqliteApplicationId, kLogVersion, kSchema);
  if (!run_sql(database, marks)) return wrong(path_, database);
  sqlite3_stmt* raw = nullptr;
  sqlite3_prepare_v2(database, "INSERT INTO header VALUES (?)", -1, &raw, nullptr);
  const std::unique_ptr<sqlite3_stmt, FinalizeStatement> insert(raw);
  const std::string bytes = header.encoded();
  if (insert == nullptr ||
      sqlite3_bind_blob64(raw, 1, bytes.data(), bytes.size(), SQLITE_STATIC) != SQLITE_OK ||
      sqlite3_step(raw) != SQLITE_DONE || !run_sql(database, "COMMIT")) {
    return wrong(path_, database);
  }
  return {};
}

Result<void> SqliteLog::prepare() {
  const auto compile = [&](const char* sql, auto& into) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    into.reset(statement);
    return statement != nullptr;
  };
  if (compile("BEGIN IMMEDIATE", begin_) && compile("COMMIT", commit_) &&
      compile("INSERT INTO record VALUES (?, ?)", insert_)) {
    return {};
  }
  return wrong(path_, database_.get());
}

void SqliteLog::run(sqlite3_stmt* statement) {
  const int result = sqlite3_step(statement);
  DF_CHECK(result == SQLITE_DONE, "{}: the journal cannot be written: {}", path_,
           sqlite3_errmsg(database_.get()));
  sqlite3_reset(statement);
}

void SqliteLog::record(TimePoint now, const Event& event, std::uint64_t actions_hash) {
  if (!in_transaction_) run(begin_.get());
  in_transaction_ = true;
  const std::size_t room = Encoder::bound(event);
  if (buffer_.size() < room) buffer_.resize(room);
  const char* end = encoder_.append(now, event, actions_hash, buffer_.data());
  ++records_;
  sqlite3_bind_int64(insert_.get(), 1, static_cast<std::int64_t>(records_));
  sqlite3_bind_blob64(insert_.get(), 2, buffer_.data(),
                      static_cast<std::uint64_t>(end - buffer_.data()), SQLITE_STATIC);
  run(insert_.get());
}

void SqliteLog::commit() {
  if (!in_transaction_) return;
  run(commit_.get());
  in_transaction_ = false;
}

// ---- reading -----------------------------------------------------------------------------------

namespace {

class SqliteLogReader final : public LogReader {
 public:
  static Result<std::unique_ptr<LogReader>> open(const std::string& path) {
    std::unique_ptr<SqliteLogReader> reader(new SqliteLogReader);
    reader->path_ = path;
    // Reading a log whose writer was killed recovers its WAL, which writes; a folder that cannot be
    // written to is read as it is.
    int result = sqlite3_open_v2(path.c_str(), &reader->database_, SQLITE_OPEN_READWRITE, nullptr);
    if (result != SQLITE_OK) {
      sqlite3_close_v2(reader->database_);
      result = sqlite3_open_v2(path.c_str(), &reader->database_, SQLITE_OPEN_READONLY, nullptr);
    }
    if (result != SQLITE_OK) return wrong(path, reader->database_);
    sqlite3_busy_timeout(reader->database_, 10'000);
    // One snapshot for all that is read.
    if (!run_sql(reader->database_, "PRAGMA query_only=1; BEGIN")) {
      return wrong(path, reader->database_);
    }
    Result<LogHeader> header = read_header(reader->database_, path);
    if (!header) return fail(std::move(header.error()));
    reader->header_ = std::move(*header);
    if (sqlite3_prepare_v2(reader->database_, "SELECT number, bytes FROM record ORDER BY number",
                           -1, &reader->rows_, nullptr) != SQLITE_OK) {
      return wrong(path, reader->database_);
    }
    return reader;
  }
  ~SqliteLogReader() override {
    sqlite3_finalize(rows_);
    sqlite3_close_v2(database_);
  }
  SqliteLogReader(const SqliteLogReader&) = delete;
  SqliteLogReader& operator=(const SqliteLogReader&) = delete;

  [[nodiscard]] const LogHeader& header() const override { return header_; }
  [[nodiscard]] std::optional<LogTrailer> trailer() const override { return std::nullopt; }

  Result<bool> next(Record& record) override {
    const int result = sqlite3_step(rows_);
    if (result == SQLITE_DONE) return false;
    if (result != SQLITE_ROW) return wrong(path_, database_);
    ++number_;
    const auto number = static_cast<std::uint64_t>(sqlite3_column_int64(rows_, 0));
    if (number != number_) {
      return wrong(path_, fmt::format("record {}", number_), fmt::format("record {}", number));
    }
    const char* why = decoder_.decode(blob(rows_, 1), record);
    if (why != nullptr) return wrong(path_, "a record", fmt::format("{} in row {}", why, number));
    return true;
  }

 private:
  SqliteLogReader() = default;

  std::string path_;
  LogHeader header_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* rows_ = nullptr;
  Decoder decoder_;
  std::uint64_t number_ = 0;
};

}  // namespace

Result<std::unique_ptr<LogReader>> open_sqlite_log(const std::string& path) {
  return SqliteLogReader::open(path);
}

}  // namespace disagfusion::scheduler::log
