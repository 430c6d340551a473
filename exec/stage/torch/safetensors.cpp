#include "exec/stage/torch/safetensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>

#include "exec/stage/torch/file_problem.hpp"

namespace disagfusion::exec::torch_stage {

static_assert(std::endian::native == std::endian::little, "safetensors data are little-endian");

namespace {

using nlohmann::json;

constexpr std::uint64_t kLongestHeader = 100'000'000;  // the limit of the format's own reader
constexpr char kMetadata[] = "__metadata__";

/// Bits of one element, or nothing for a dtype that we do not know.
std::optional<std::uint64_t> bytes_of(const std::string& dtype) {
  static const std::map<std::string, std::uint64_t> kSizes{
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
      {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};
  const auto found = kSizes.find(dtype);
  if (found == kSizes.end()) return std::nullopt;
  return found->second;
}

/// The header as JSON; nothing (and `trouble`) where it is none or has a key twice.
std::optional<json> parse_header(std::string_view text, std::string& trouble) {
  std::set<std::pair<int, std::string>> seen;
  std::string twice;
  const auto note = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start)
      std::erase_if(seen, [&](const auto& entry) { return entry.first > depth; });
    if (event == json::parse_event_t::key && !seen.emplace(depth, parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return true;
  };
  try {
    json header = json::parse(text, note);
    if (!twice.empty())
      trouble = fmt::format("'{}' twice", twice);
    else if (!header.is_object())
      trouble = header.type_name();
    else
      return header;
  } catch (const json::exception& error) {
    trouble = error.what();
  }
  return std::nullopt;
}

/// A non-negative integer of at most 63 bits, or nothing.
std::optional<std::int64_t> natural(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (number > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

struct Entry {
  StoredTensor tensor;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// Checks one entry of the header against the `available` bytes of data.
Result<Entry> read_entry(const std::string& path, const std::string& name, const json& value,
                         std::uint64_t available) {
  const auto wrong = [&](std::string expected, std::string got) {
    return fail(file_problem(path, name, std::move(expected), std::move(got)));
  };
  if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string() ||
      !value.contains("shape") || !value["shape"].is_array() || !value.contains("data_offsets") ||
      !value["data_offsets"].is_array() || value["data_offsets"].size() != 2)
    return wrong("dtype, shape and data_offsets [begin, end]", value.dump());
  Entry entry;
  entry.tensor.dtype = value["dtype"].get<std::string>();
  const auto element = bytes_of(entry.tensor.dtype);
  if (!element) return wrong("a dtype such as F16 or F32", entry.tensor.dtype);
  std::uint64_t size = *element;
  for (const json& extent : value["shape"]) {
    const auto number = natural(extent);
    if (!number) return wrong("extents that are natural numbers", value["shape"].dump());
    if (__builtin_mul_overflow(size, static_cast<std::uint64_t>(*number), &size))
      return wrong("a shape of less than 2^64 bytes", value["shape"].dump());
    entry.tensor.shape.push_back(*number);
  }
  const auto begin = natural(value["data_offsets"][0]);
  const auto end = natural(value["data_offsets"][1]);
  if (!begin || !end || *begin > *end || static_cast<std::uint64_t>(*end) > available)
    return wrong(fmt::format("data_offsets within the {} bytes of data", available),
                 value["data_offsets"].dump());
  entry.begin = static_cast<std::uint64_t>(*begin);
  entry.end = static_cast<std::uint64_t>(*end);
  if (entry.end - entry.begin != size)
    return wrong(fmt::format("{} bytes for {}", size, entry.tensor.description()),
                 fmt::format("{} bytes", entry.end - entry.begin));
  return entry;
}

/// The data must be the tensors one after the other: no overlap, no hole, no rest.
std::optional<Problem> find_gap(const std::string& path,
                                std::vector<std::pair<std::string, const Entry*>> entries,
                                std::uint64_t available) {
  std::ranges::sort(entries, {},
                    [](const auto& e) { return std::pair(e.second->begin, e.second->end); });
  std::uint64_t at = 0;
  for (const auto& [name, entry] : entries) {
    if (entry->begin != at)
      return file_problem(
          path, name, fmt::format("data that begin at byte {}", at),
          fmt::format("byte {} ({})", entry->begin, entry->begin < at ? "overlap" : "hole"));
    at = entry->end;
  }
  if (at != available)
    return file_problem(path, {}, fmt::format("{} bytes of data", at),
                        fmt::format("{} bytes", available));
  return std::nullopt;
}

}  // namespace

std::string StoredTensor::description() const {
  return fmt::format("{}[{}]", dtype, fmt::join(shape, ", "));
}

Result<SafetensorsFile> SafetensorsFile::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file)
    return fail(file_problem(path, {}, "a readable safetensors file",
                             std::generic_category().message(errno)));
  const std::streamoff size = file.tellg();
  file.seekg(0);
  std::vector<std::byte> bytes(size > 0 ? static_cast<std::size_t>(size) : 0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (size < 0 || !file)
    return fail(file_problem(path, {}, "a readable safetensors file", "a read error"));
  return parse(std::move(bytes), path);
}

Result<SafetensorsFile> SafetensorsFile::parse(std::vector<std::byte> bytes, std::string name) {
  SafetensorsFile result;
  result.path_ = std::move(name);
  result.bytes_ = std::move(bytes);
  const std::string& path = result.path_;
  const std::span<const std::byte> all(result.bytes_);
  const auto wrong = [&](std::string expected, std::string got) {
    return fail(file_problem(path, {}, std::move(expected), std::move(got)));
  };

  std::uint64_t header_size = 0;
  if (all.size() < sizeof header_size)
    return wrong("a safetensors file of at least 8 bytes", fmt::format("{} bytes", all.size()));
  std::memcpy(&header_size, all.data(), sizeof header_size);
  if (header_size > kLongestHeader || header_size > all.size() - sizeof header_size)
    return wrong(fmt::format("a header within the {} bytes of the file", all.size()),
                 fmt::format("a header of {} bytes", header_size));
  const std::string_view text(reinterpret_cast<const char*>(all.data()) + sizeof header_size,
                              header_size);
  std::string trouble;
  const std::optional<json> header = parse_header(text, trouble);
  if (!header) return wrong("a header that is one JSON object", trouble);

  const auto data = all.subspan(sizeof header_size + header_size);
  std::map<std::string, Entry> entries;
  Problems problems;
  for (const auto& [key, value] : header->items()) {
    if (key == kMetadata) continue;
    auto entry = read_entry(path, key, value, data.size());
    if (entry)
      entries.emplace(key, std::move(*entry));
    else
      problems.insert(problems.end(), entry.error().begin(), entry.error().end());
  }
  const json metadata = header->value(kMetadata, json::object());
  for (const auto& [key, value] : metadata.items()) {
    if (value.is_string())
      result.metadata_.emplace(key, value.get<std::string>());
    else
      problems.push_back(
          file_problem(path, fmt::format("{}.{}", kMetadata, key), "a string", value.dump()));
  }
  if (!problems.empty()) return fail(std::move(problems));

  std::vector<std::pair<std::string, const Entry*>> order;
  for (const auto& [key, entry] : entries) order.emplace_back(key, &entry);
  if (auto gap = find_gap(path, std::move(order), data.size())) return fail(std::move(*gap));
  for (auto& [key, entry] : entries) {
    entry.tensor.data = data.subspan(entry.begin, entry.end - entry.begin);
    result.tensors_.emplace(key, std::move(entry.tensor));
  }
  return result;
}

Result<std::string> SafetensorsFile::metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found != metadata_.end()) return found->second;
  return fail(file_problem(path_, kMetadata, fmt::format("an entry '{}'", key),
                           fmt::format("{} others", metadata_.size())));
}

}  // namespace disagfusion::exec::torch_stage
