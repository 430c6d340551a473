// Writes traces in our format (design 7.3), CSV.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/result.hpp"
#include "traces/request.hpp"

namespace disagfusion::traces {

/// Rows of the given columns, in the order of design 7.3 and then the extra ones. Nothing is at
/// `path` until commit().
class TraceWriter {
 public:
  /// `model_names` is by ModelId. Fails where `path` cannot be written or is named as JSON.
  static Result<TraceWriter> create(const std::string& path, TraceColumns columns,
                                    std::vector<std::string> model_names);
  /// Rows come in order of arrival.
  void write(const Request& request);
  Result<void> commit() { return file_.commit(); }
  [[nodiscard]] std::uint64_t rows() const { return rows_; }

 private:
  TraceWriter(AtomicFile file, TraceColumns columns, std::vector<std::string> model_names);
  AtomicFile file_;
  TraceColumns columns_;
  std::vector<std::string> model_names_;
  std::vector<Column> known_;
  std::string line_, cell_;
  std::uint64_t rows_ = 0;
};

}  // namespace disagfusion::traces
