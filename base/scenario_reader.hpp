// From files to Scenario and Question (design 7.2 and 7.5): every key read, every problem reported
// with its place, nothing ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_source.hpp"
#include "base/result.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

/// What the command line puts in the place of what a file says.
struct Overrides {
  std::optional<std::string> trace;  ///< replaces trace, arrivals and closed_loop; a path as typed
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> replications;
  std::optional<std::string> listen;  ///< ADDR:PORT, checked like serve.listen
  [[nodiscard]] bool empty() const { return !trace && !seed && !replications && !listen; }
};

/// Reads the scenario at `path` and all files it names but the trace. All problems at once, in the
/// order of the files. Every text read is kept in Scenario::sources (the scenario first).
Result<Scenario> load_scenario(const std::string& path, FileSource& files,
                               const Overrides& overrides = {});
/// From the disk and the shipped configs.
Result<Scenario> load_scenario(const std::string& path, const Overrides& overrides = {});
/// From Scenario::sources of an earlier load (an event log's header): the same scenario, overrides
/// included, without any file.
Result<Scenario> load_scenario(const std::vector<SourceText>& sources);

/// Reads a question for `plan`; `base.fleet.pools` stays empty. Uses overrides.trace and seed.
Result<Question> load_question(const std::string& path, FileSource& files,
                               const Overrides& overrides = {});
Result<Question> load_question(const std::string& path, const Overrides& overrides = {});

/// The model of configs/models/NAME.yaml; an unknown name is a Problem with the nearest one.
Result<ModelSpec> load_shipped_model(const std::string& name, FileSource& files);
/// The GPU type of configs/hardware/NAME.yaml.
Result<GpuSpec> load_shipped_gpu(const std::string& name, FileSource& files);
/// The same for a name; what names a file (a slash, .yaml or .yml) is read from there.
Result<ModelSpec> load_model(const std::string& name_or_path, FileSource& files);
Result<GpuSpec> load_gpu(const std::string& name_or_path, FileSource& files);
/// Whether the text names a file and not a shipped thing.
bool names_a_file(const std::string& text);

/// Input slots of each hosted stage of the pool: as written, else 2, or 0 where `network: none`.
std::uint32_t input_slots_of(const PoolSpec& pool, const Scenario& scenario);

}  // namespace disagfusion
