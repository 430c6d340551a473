// Rows in the columns of measured_latencies.csv as questions.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "predictor/csv_rows.hpp"
#include "predictor/question.hpp"

namespace disagfusion::predictor {

/// The columns that are read, by name.
class Columns {
 public:
  /// Problems: a column that nobody knows (with the nearest known one), one twice, one of id,
  /// model, stage and gpu missing.
  Columns(const CsvRow& header, const std::string& file, Problems& problems);
  /// The field, or none where the column is missing or the field is empty.
  [[nodiscard]] const CsvField* field(const CsvRow& row, const char* name) const;
  [[nodiscard]] std::string text(const CsvRow& row, const char* name) const;

 private:
  std::map<std::string, std::size_t> at_;
};

/// Numbers of one row; what is none becomes a Problem with its place.
class RowReader {
 public:
  RowReader(const Columns& columns, const CsvRow& row, const std::string& file, Problems& problems)
      : columns_(columns), row_(row), file_(file), problems_(problems) {}

  /// The number; nothing where the field is missing, empty or (with a Problem) no number.
  [[nodiscard]] std::optional<double> number(const char* name) const;
  [[nodiscard]] std::optional<double> not_negative(const char* name) const;
  [[nodiscard]] std::optional<std::uint32_t> count(const char* name, double least) const;

 private:
  const Columns& columns_;
  const CsvRow& row_;
  const std::string& file_;
  Problems& problems_;
};

/// The column that sets a member of PredictOptions.
std::string column_of(const std::string& member);

/// The question of a row; problems go to `problems`. As in the published table, stage `encoder` is
/// the text encoder alone, and models may be written with capitals. Weights are streamed where
/// `split` is reference_offload or a column `offload` says yes. A prompt's tokens are those of a
/// column `prompt_tokens`, or of a note "16 prompt tokens"; a column `vae_tile` gives the
/// decoder's.
PredictOptions options_of(const Columns& columns, const CsvRow& row, const std::string& file,
                          Problems& problems);

}  // namespace disagfusion::predictor
