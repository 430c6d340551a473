// From the cells of one row, whatever the file's format, to a Request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "traces/request.hpp"
#include "traces/trace_reader.hpp"

namespace disagfusion::traces {

/// Whether the cells of a column are numbers (else text).
bool is_number(Column column);

/// A problem without its place, which the file's format knows.
struct RowProblem {
  std::optional<Column> column;  ///< whose cell, where it is one cell's problem
  std::string expected, got, nearest;
};

/// Checks and stores cells, then fills in what the row does not say. Not thread safe.
class RowBuilder {
 public:
  /// `columns` are those of the file.
  RowBuilder(TraceContext context, const TraceColumns& columns);

  void begin(Request& request);
  /// Stores a cell that is not empty; false where it is wrong (see problem_of).
  bool set(Request& request, Column column, std::string_view text);
  /// Why set() refused this text.
  [[nodiscard]] RowProblem problem_of(Column column, std::string_view text) const;
  /// Ends a row whose cells were all right: checks what must be there and the order, numbers the
  /// request, draws what is missing from the mix.
  std::optional<RowProblem> finish(Request& request);

  /// Columns that requests hold in the end: the file's and the mix's.
  [[nodiscard]] const TraceColumns& columns() const { return columns_; }
  [[nodiscard]] const std::vector<std::string>& model_names() const { return names_; }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  bool set_model(Request& request, std::string_view name);
  bool set_number(Request& request, Column column, std::string_view text);
  void fill_from_mix(Request& request) const;

  std::vector<std::string> names_;
  std::unordered_map<std::string, ModelId, TextHash, std::equal_to<>> ids_;
  bool any_model_;
  RequestMix mix_;
  TraceColumns file_columns_, columns_;
  std::uint32_t said_ = 0;  ///< columns whose cells this row filled
  std::uint64_t rows_ = 0;
  TimePoint last_arrival_;
};

/// Sentences on columns that are read but mean nothing here, or are nearly known ones.
std::vector<std::string> notes_on(const TraceColumns& file_columns);

}  // namespace disagfusion::traces
