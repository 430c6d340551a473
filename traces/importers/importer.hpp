// Public traces of other formats, taken to ours: one file and one line in registry.cpp each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace disagfusion::traces {

struct ImportJob {
  std::string input;    ///< the file as published
  std::string output;   ///< written whole or not at all
  std::string mapping;  ///< YAML that takes its fields to ours; empty: the one shipped, if any
};

/// What became of the rows: read = written + the counts told in `notes`.
struct ImportSummary {
  std::uint64_t rows_read = 0;
  std::uint64_t rows_written = 0;
  std::vector<std::string> notes;  ///< rows left out or completed, with their numbers; assumptions
};

class Importer {
 public:
  virtual ~Importer() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// One line for --help: which file, from where.
  [[nodiscard]] virtual std::string_view summary() const = 0;
  [[nodiscard]] virtual bool takes_mapping() const { return false; }
  /// Streams the input to the output. Fails, leaving no output, on the first row that is wrong.
  [[nodiscard]] virtual Result<ImportSummary> import(const ImportJob& job) const = 0;
};

/// All importers, by name.
const std::vector<const Importer*>& importers();

/// The importer of that name; a Problem with the names there are.
Result<const Importer*> find_importer(const std::string& name);

}  // namespace disagfusion::traces
