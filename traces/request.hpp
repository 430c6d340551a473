// One request as it arrives: what a row of a trace (design 7.3), a generator or an HTTP body says.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/scenario.hpp"
#include "base/time.hpp"

namespace disagfusion::traces {

/// An arrival. Kept and refilled by its reader: clear() keeps the strings' memory, so a stream of
/// requests without new strings allocates nothing.
struct Request {
  std::uint64_t index = 0;  ///< 0, 1, ... by arrival; its random streams' id
  TimePoint arrival;        ///< since the start of the run
  ModelId model;
  Shape shape;
  double guidance = 0;                   ///< 0: not said
  std::int32_t priority = 0;             ///< higher is more urgent
  std::optional<Duration> deadline;      ///< relative to arrival
  std::optional<Duration> timeout;       ///< relative to arrival; absent: the scenario's
  std::optional<Duration> cancel_after;  ///< relative to arrival: the client gives up then
  std::optional<std::uint64_t> input_bytes;
  std::optional<std::uint32_t> prompt_tokens;
  std::string tenant, variant, loras, prompt_hash, prompt;
  std::string id;                  ///< the trace's own; empty: id_text() numbers it
  std::vector<std::string> extra;  ///< values of TraceColumns::extra, in its order

  /// Back to the state of a new request, keeping memory. `extra` keeps its size.
  void clear();
  /// `id`, or the request's number counted from 1 where the trace names none.
  [[nodiscard]] std::string id_text() const;
};

/// The columns of design 7.3, in its order.
enum class Column : std::uint8_t {
  arrival_s,
  model,
  width,
  height,
  frames,
  steps,
  images,
  guidance,
  variant,
  loras,
  priority,
  deadline_s,
  timeout_s,
  cancel_after_s,
  tenant,
  input_bytes,
  prompt_tokens,
  prompt_hash,
  prompt,
  id,
};
inline constexpr std::size_t kColumnCount = 20;
inline constexpr std::array<std::string_view, kColumnCount> kColumnNames{
    "arrival_s",   "model",         "width",       "height",         "frames",
    "steps",       "images",        "guidance",    "variant",        "loras",
    "priority",    "deadline_s",    "timeout_s",   "cancel_after_s", "tenant",
    "input_bytes", "prompt_tokens", "prompt_hash", "prompt",         "id"};

constexpr std::string_view column_name(Column column) {
  return kColumnNames[static_cast<std::size_t>(column)];
}
/// The column of that exact name.
std::optional<Column> column_of(std::string_view name);

/// Which columns a source of requests fills: a set of the known ones, and the others by name.
struct TraceColumns {
  std::uint32_t known = 0;         ///< bit i: column i of `Column`
  std::vector<std::string> extra;  ///< in the order of the file

  [[nodiscard]] bool has(Column column) const {
    return (known >> static_cast<unsigned>(column) & 1U) != 0;
  }
  void add(Column column) { known |= 1U << static_cast<unsigned>(column); }
};

/// Appends the cell of `column` as text, without quoting; nothing where the request does not say.
/// `model_names` is by ModelId.
void append_cell(std::string& out, const Request& request, Column column,
                 const std::vector<std::string>& model_names);

}  // namespace disagfusion::traces
