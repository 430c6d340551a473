#include "traces/request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "traces/decimal.hpp"

namespace disagfusion::traces {

void Request::clear() {
  index = 0;
  arrival = {};
  model = ModelId::none();
  shape = {};
  guidance = 0;
  priority = 0;
  deadline.reset();
  timeout.reset();
  cancel_after.reset();
  input_bytes.reset();
  prompt_tokens.reset();
  // Most are empty most of the time: look before writing.
  const auto empty = [](std::string& text) {
    if (!text.empty()) text.clear();
  };
  empty(tenant);
  empty(variant);
  empty(loras);
  empty(prompt_hash);
  empty(prompt);
  empty(id);
  for (std::string& text : extra) empty(text);
}

std::string Request::id_text() const { return id.empty() ? std::to_string(index + 1) : id; }

std::optional<Column> column_of(std::string_view name) {
  const auto at = std::find(kColumnNames.begin(), kColumnNames.end(), name);
  if (at == kColumnNames.end()) return std::nullopt;
  return static_cast<Column>(at - kColumnNames.begin());
}

namespace {

template <class Number>
void append_whole(std::string& out, Number number) {
  fmt::format_to(std::back_inserter(out), "{}", number);
}

/// Zero stands for "the model has no shape".
void append_shape(std::string& out, std::uint32_t number) {
  if (number != 0) append_whole(out, number);
}

void append_duration(std::string& out, const std::optional<Duration>& duration) {
  if (duration) append_seconds(out, duration->ns);
}

}  // namespace

void append_cell(std::string& out, const Request& request, Column column,
                 const std::vector<std::string>& model_names) {
  switch (column) {
    case Column::arrival_s:
      return append_seconds(out, request.arrival.ns);
    case Column::model:
      if (request.model.index() < model_names.size()) out += model_names[request.model.index()];
      return;
    case Column::width:
      return append_shape(out, request.shape.width);
    case Column::height:
      return append_shape(out, request.shape.height);
    case Column::frames:
      return append_whole(out, request.shape.frames);
    case Column::steps:
      return append_whole(out, request.shape.steps);
    case Column::images:
      return append_whole(out, request.shape.images);
    case Column::guidance:
      if (request.guidance != 0) append_real(out, request.guidance);
      return;
    case Column::variant:
      out += request.variant;
      return;
    case Column::loras:
      out += request.loras;
      return;
    case Column::priority:
      return append_whole(out, request.priority);
    case Column::deadline_s:
      return append_duration(out, request.deadline);
    case Column::timeout_s:
      return append_duration(out, request.timeout);
    case Column::cancel_after_s:
      return append_duration(out, request.cancel_after);
    case Column::tenant:
      out += request.tenant;
      return;
    case Column::input_bytes:
      if (request.input_bytes) append_whole(out, *request.input_bytes);
      return;
    case Column::prompt_tokens:
      if (request.prompt_tokens) append_whole(out, *request.prompt_tokens);
      return;
    case Column::prompt_hash:
      out += request.prompt_hash;
      return;
    case Column::prompt:
      out += request.prompt;
      return;
    case Column::id:
      out += request.id_text();
      return;
  }
}

}  // namespace disagfusion::traces
