#include "traces/trace_writer.hpp"

#include <utility>

#include "traces/csv_scanner.hpp"

namespace disagfusion::traces {

Result<TraceWriter> TraceWriter::create(const std::string& path, TraceColumns columns,
                                        std::vector<std::string> model_names) {
  for (const char* const end : {".jsonl", ".ndjson", ".json"}) {
    if (path.ends_with(end)) {
      return fail(
          Problem{path, 0, 0, "", "a name for a CSV file", std::string("a name in ") + end, ""});
    }
  }
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return tl::unexpected(file.error());
  return TraceWriter(std::move(*file), std::move(columns), std::move(model_names));
}

TraceWriter::TraceWriter(AtomicFile file, TraceColumns columns,
                         std::vector<std::string> model_names)
    : file_(std::move(file)), columns_(std::move(columns)), model_names_(std::move(model_names)) {
  columns_.add(Column::arrival_s);
  for (std::size_t i = 0; i < kColumnCount; ++i) {
    const auto column = static_cast<Column>(i);
    if (!columns_.has(column)) continue;
    if (!known_.empty()) line_ += ',';
    line_ += column_name(column);
    known_.push_back(column);
  }
  for (const std::string& name : columns_.extra) {
    line_ += ',';
    append_csv(line_, name);
  }
  line_ += '\n';
  file_.write(line_);
}

void TraceWriter::write(const Request& request) {
  line_.clear();
  for (const Column column : known_) {
    if (column != known_.front()) line_ += ',';
    cell_.clear();
    append_cell(cell_, request, column, model_names_);
    append_csv(line_, cell_);
  }
  for (std::size_t i = 0; i < columns_.extra.size(); ++i) {
    line_ += ',';
    if (i < request.extra.size()) append_csv(line_, request.extra[i]);
  }
  line_ += '\n';
  file_.write(line_);
  ++rows_;
}

}  // namespace disagfusion::traces
