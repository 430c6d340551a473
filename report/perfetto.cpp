#include "report/perfetto.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace disagfusion::report {

namespace {

constexpr std::uint32_t kCompute = 1, kReceive = 1000, kSend = 2000;
constexpr std::uint32_t kMostLanes = 999;

/// Inside quotation marks of JSON.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

double microseconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-3; }

}  // namespace

Result<PerfettoTrace> PerfettoTrace::create(const std::string& path,
                                            const scheduler::Setup& setup) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return fail(std::move(file.error()));
  PerfettoTrace trace(std::move(*file));
  trace.file_.write("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n");
  trace.line(R"({"ph":"M","pid":0,"name":"process_name","args":{"name":"controller"}})");
  for (std::size_t i = 0; i < setup.instances.size(); ++i) {
    const auto id = static_cast<std::uint32_t>(i + 1);
    trace.name(id, setup.roles[setup.instances[i].role.index()].name);
    trace.name_track(id, kCompute, "compute");
  }
  return trace;
}

void PerfettoTrace::line(const std::string& text) {
  if (!first_) file_.write(",\n");
  first_ = false;
  file_.write(text);
}

void PerfettoTrace::name(std::uint32_t instance, const std::string& role) {
  line(fmt::format(
      R"({{"ph":"M","pid":{0},"name":"process_name","args":{{"name":"instance {0}: {1}"}}}})",
      instance, quoted(role)));
  line(fmt::format(
      R"({{"ph":"M","pid":{0},"name":"process_sort_index","args":{{"sort_index":{0}}}}})",
      instance));
}

void PerfettoTrace::name_track(std::uint32_t process, std::uint32_t track,
                               const std::string& text) {
  line(fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"thread_name","args":{{"name":"{}"}}}})",
                   process, track, text));
  line(fmt::format(
      R"({{"ph":"M","pid":{0},"tid":{1},"name":"thread_sort_index","args":{{"sort_index":{1}}}}})",
      process, track));
}

void PerfettoTrace::slice(std::uint32_t process, std::uint32_t track, const std::string& what,
                          std::uint64_t request, std::size_t batch, std::int64_t start_ns,
                          std::int64_t end_ns) {
  line(fmt::format(
      R"({{"ph":"X","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},"name":"{} r{}","cat":"{}","args":{{"request":{},"batch":{}}}}})",
      process, track, microseconds(start_ns), microseconds(end_ns - start_ns), quoted(what),
      request, track == kCompute ? "compute" : "transfer", request, batch));
}

void PerfettoTrace::compute(std::uint32_t instance, const std::string& what, std::uint64_t request,
                            std::size_t batch, std::int64_t start_ns, std::int64_t end_ns) {
  if (slices_++ < kMostSlices) slice(instance, kCompute, what, request, batch, start_ns, end_ns);
}

std::uint32_t PerfettoTrace::take(std::vector<std::vector<bool>>& lanes, std::uint32_t process,
                                  std::uint32_t base, const char* text) {
  if (process >= lanes.size()) lanes.resize(process + 1UL);
  auto& taken = lanes[process];
  const auto free = std::find(taken.begin(), taken.end(), false);
  const auto lane = static_cast<std::uint32_t>(free - taken.begin());
  if (free != taken.end()) {
    *free = true;
    return lane;
  }
  if (lane >= kMostLanes) return kMostLanes - 1;
  taken.push_back(true);
  if (slices_ < kMostSlices) {
    name_track(process, base + lane,
               lane == 0 ? std::string(text) : fmt::format("{} {}", text, lane + 1));
  }
  return lane;
}

std::uint32_t PerfettoTrace::take_lanes(std::uint32_t from, std::uint32_t to) {
  return take(send_, from, kSend, "send") << 16U | take(receive_, to, kReceive, "receive");
}

void PerfettoTrace::transfer(std::uint32_t from, std::uint32_t to, std::uint32_t lanes,
                             const std::string& what, std::uint64_t request, std::int64_t start_ns,
                             std::int64_t end_ns) {
  const std::uint32_t send = lanes >> 16U, receive = lanes & 0xffffU;
  send_[from][send] = false;
  receive_[to][receive] = false;
  if (slices_++ >= kMostSlices) return;
  slice(from, kSend + send, what, request, 1, start_ns, end_ns);
  slice(to, kReceive + receive, what, request, 1, start_ns, end_ns);
  const std::uint64_t arrow = ++arrows_;
  line(fmt::format(
      R"({{"ph":"s","pid":{},"tid":{},"ts":{:.3f},"id":{},"name":"transfer","cat":"transfer"}})",
      from, kSend + send, microseconds(start_ns), arrow));
  line(fmt::format(
      R"({{"ph":"f","bp":"e","pid":{},"tid":{},"ts":{:.3f},"id":{},"name":"transfer","cat":"transfer"}})",
      to, kReceive + receive, microseconds(end_ns), arrow));
}

Result<void> PerfettoTrace::commit() {
  file_.write("\n]");
  if (slices_ > kMostSlices) {
    file_.write(fmt::format(", \"otherData\": {{\"note\": \"only the first {} of {} slices\"}}",
                            kMostSlices, slices_));
  }
  file_.write("}\n");
  return file_.commit();
}

}  // namespace disagfusion::report
