// How a run goes: `control`, `timeouts`, `retries`, `faults`, `slo`, `run`, `serve`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/config_reader.hpp"
#include "base/known_names.hpp"
#include "base/scenario.hpp"

namespace disagfusion {

ControlSpec read_control(MapReader& root);
std::optional<Duration> read_request_timeout(MapReader& root);
std::uint32_t read_max_retries(MapReader& root);
/// `instances`: how many the initial fleet has; 0: not known, names are not judged.
std::vector<FaultSpec> read_faults(MapReader& root, std::uint64_t instances);
std::vector<SloSpec> read_slo(MapReader& root, KnownNames& known);
RunSpec read_run(MapReader& root, std::optional<std::uint32_t> replications);
std::optional<ServeSpec> read_serve(MapReader& root);

/// ADDR:PORT of this machine alone (127.0.0.0/8, [::1], localhost); others are refused until tokens
/// and TLS exist. Port 0: any free one.
Reader<std::string> as_listen_address();

}  // namespace disagfusion
