// The body of POST /v1/images/generations, read strictly.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "exec/deployment.hpp"
#include "scheduler/event.hpp"

namespace disagfusion::exec {

/// What is wrong with a body, for the client.
struct BodyProblem {
  std::string message, param;
};

/// Fields: model, prompt, n, size ("WIDTHxHEIGHT" or "auto"), seed, steps, guidance, priority,
/// deadline_s and timeout_s (seconds from now), response_format ("b64_json"), output_format
/// ("png"), user (the tenant). Taken without effect, because OpenAI's client may send them:
/// quality, style, background, moderation, output_compression. `stream` may be false. null stands
/// for a field that is left out. Everything else is refused, as are fields given twice. Without a
/// seed `seed` is the noise's. The id is the caller's to set.
tl::expected<scheduler::RequestBody, BodyProblem> parse_generation(const std::string& text,
                                                                   const Deployment& deployment,
                                                                   std::uint64_t seed);

}  // namespace disagfusion::exec
