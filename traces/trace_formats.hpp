// The formats behind open_trace(): each takes a file that is open at its first byte.
#pragma once

#include <memory>

#include "base/result.hpp"
#include "traces/text_file.hpp"
#include "traces/trace_reader.hpp"

namespace disagfusion::traces {

Result<std::unique_ptr<TraceReader>> open_csv_trace(TextFile file, TraceContext context);
/// `path` once more for the pass that collects the keys.
Result<std::unique_ptr<TraceReader>> open_jsonl_trace(TextFile file, TraceContext context);

/// The columns of a file must let its rows be read: arrival_s is there, and `model` where the
/// context has several. Problems are at `line` of `path`.
Problems problems_of_columns(const std::string& path, int line, const TraceColumns& columns,
                             const TraceContext& context);

/// "file:line: expected at least one request".
tl::unexpected<Problems> no_rows(const std::string& path, int line);

}  // namespace disagfusion::traces
