// `load URL --trace F`: requests at the instants of a trace, whatever is outstanding (open loop).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.hpp"

namespace disagfusion::exec {

struct LoadOptions {
  std::string url;
  std::string trace;       ///< --trace: a request trace (design 7.3)
  std::string map;         ///< --map: YAML, see LoadMap; or empty
  std::string out;         ///< --out: folder for requests.csv; empty: the present one
  std::uint64_t seed = 0;  ///< of the requests' noise
  double speed = 1;        ///< --speed: trace seconds in a second
  bool json = false;       ///< the summary as JSON
  std::function<void(const std::string&)> show_progress;  ///< as simulate's
};

struct LoadSummary {
  std::string text;       ///< for standard output
  bool answered = false;  ///< some request had an HTTP answer, whatever it said
};

/// Sends every request of the trace at its own instant and waits for all answers. A latency counts
/// from the instant at which the trace wanted the request to be sent, so a late sender hides
/// nothing (no coordinated omission). requests.csv appears whole, at the end, with the server's own
/// account of the stages moved to this clock: there a request arrives when it is sent. A request
/// without an answer is `failed`. The --map file may hold: `models: {name in the trace: name on the
/// server}`, `prompt` (for rows without one), and `width`, `height`, `steps`, `images` (instead of
/// the trace's).
Result<LoadSummary> run_load(const LoadOptions& options);

}  // namespace disagfusion::exec
