// trace.perfetto.json: Chrome's trace event format, which ui.perfetto.dev and chrome://tracing
// open. One process an instance; its tracks are the lanes compute, receive and send, so that one
// sees whether transfers hide behind compute. Arrows lead from a send to its receive.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "scheduler/setup.hpp"

namespace disagfusion::report {

class PerfettoTrace {
 public:
  /// Slices beyond this many are left out, and the file says so.
  static constexpr std::uint64_t kMostSlices = 200'000;

  static Result<PerfettoTrace> create(const std::string& path, const scheduler::Setup& setup);

  /// A batch computed. `what`: the stage.
  void compute(std::uint32_t instance, const std::string& what, std::uint64_t request,
               std::size_t batch, std::int64_t start_ns, std::int64_t end_ns);
  /// Takes free tracks for a transfer; to be given back by transfer(). 0 stands for the controller.
  std::uint32_t take_lanes(std::uint32_t from, std::uint32_t to);
  void transfer(std::uint32_t from, std::uint32_t to, std::uint32_t lanes, const std::string& what,
                std::uint64_t request, std::int64_t start_ns, std::int64_t end_ns);
  /// An instance appeared or took another role.
  void name(std::uint32_t instance, const std::string& role);
  Result<void> commit();

 private:
  PerfettoTrace(AtomicFile file) : file_(std::move(file)) {}
  void slice(std::uint32_t process, std::uint32_t track, const std::string& what,
             std::uint64_t request, std::size_t batch, std::int64_t start_ns, std::int64_t end_ns);
  void line(const std::string& text);
  void name_track(std::uint32_t process, std::uint32_t track, const std::string& text);
  std::uint32_t take(std::vector<std::vector<bool>>& lanes, std::uint32_t process,
                     std::uint32_t base, const char* text);

  AtomicFile file_;
  std::uint64_t slices_ = 0, arrows_ = 0;
  bool first_ = true;
  std::vector<std::vector<bool>> receive_, send_;  ///< by instance: which tracks are taken
};

}  // namespace disagfusion::report
