#include "exec/http/generation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/result.hpp"

namespace disagfusion::exec {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestPrompt = 32768;
constexpr std::int64_t kMostImages = 10, kMostSteps = 1000;
constexpr std::uint32_t kLargestSide = 4096;
constexpr double kLargestGuidance = 100;
constexpr std::array kRead{
    "model",           "prompt",        "n",        "size",       "seed",
    "steps",           "guidance",      "priority", "deadline_s", "timeout_s",
    "response_format", "output_format", "user",     "stream"};
constexpr std::array kWithoutEffect{"quality", "style", "background", "moderation",
                                    "output_compression"};

std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

/// One object; remembers the first thing that is wrong.
class BodyReader {
 public:
  explicit BodyReader(const json& body) : body_(body) {}

  [[nodiscard]] const std::optional<BodyProblem>& problem() const { return problem_; }
  void complain(const std::string& param, const std::string& message) {
    if (!problem_) problem_ = BodyProblem{message, param};
  }
  /// Null where the field is left out or null.
  [[nodiscard]] const json* find(const char* name) const {
    const auto found = body_.find(name);
    return found == body_.end() || found->is_null() ? nullptr : &*found;
  }
  std::optional<std::string> text(const char* name) {
    const json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_string()) return value->get<std::string>();
    complain(name, fmt::format("{}: expected a text, got {}", name, shown(*value)));
    return std::nullopt;
  }
  std::optional<std::int64_t> integer(const char* name, std::int64_t least, std::int64_t most) {
    const json* value = find(name);
    if (value == nullptr) return std::nullopt;
    const bool fits = value->is_number_integer() &&
                      !(value->is_number_unsigned() &&
                        value->get<std::uint64_t>() > static_cast<std::uint64_t>(most));
    if (fits && value->get<std::int64_t>() >= least && value->get<std::int64_t>() <= most) {
      return value->get<std::int64_t>();
    }
    complain(name, fmt::format("{}: expected a whole number from {} to {}, got {}", name, least,
                               most, shown(*value)));
    return std::nullopt;
  }
  std::optional<double> number(const char* name, double least, double most) {
    const json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_number() && std::isfinite(value->get<double>()) &&
        value->get<double>() >= least && value->get<double>() <= most) {
      return value->get<double>();
    }
    complain(name, fmt::format("{}: expected a number from {} to {}, got {}", name, least, most,
                               shown(*value)));
    return std::nullopt;
  }
  /// The field may only hold that one text.
  void only(const char* name, const char* allowed) {
    const auto value = text(name);
    if (value && *value != allowed) {
      complain(name, fmt::format("{}: expected \"{}\", got {}", name, allowed, shown(*find(name))));
    }
  }
  void check_names() {
    for (const auto& [name, value] : body_.items()) {
      const auto is = [&](const char* known) { return name == known; };
      if (std::any_of(kRead.begin(), kRead.end(), is) ||
          std::any_of(kWithoutEffect.begin(), kWithoutEffect.end(), is)) {
        continue;
      }
      const std::string nearest =
          nearest_name(name, std::vector<std::string>(kRead.begin(), kRead.end()));
      complain(name.substr(0, 60),
               fmt::format("{}: unknown field{}", shown(name),
                           nearest.empty() ? "" : " (did you mean " + nearest + "?)"));
    }
  }

 private:
  const json& body_;
  std::optional<BodyProblem> problem_;
};

bool parse_size(const std::string& text, Shape& shape) {
  const auto cross = text.find('x');
  if (cross == std::string::npos) return false;
  const auto side = [](std::string_view digits, std::uint32_t& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() && value >= 1 &&
           value <= kLargestSide;
  };
  return side(std::string_view(text).substr(0, cross), shape.width) &&
         side(std::string_view(text).substr(cross + 1), shape.height);
}

/// What the scenario's mix says of this model, else the model's own defaults.
Shape default_shape(const Scenario& scenario, ModelId model, double& guidance) {
  for (const MixEntry& entry : scenario.workload.mix) {
    if (entry.model != model) continue;
    guidance = entry.guidance;
    return entry.shape;
  }
  Shape shape;
  if (const auto& architecture = scenario.models[model.index()].architecture) {
    shape.width = static_cast<std::uint32_t>(architecture->default_width);
    shape.height = static_cast<std::uint32_t>(architecture->default_height);
    shape.frames = static_cast<std::uint32_t>(architecture->default_frames);
    shape.steps = static_cast<std::uint32_t>(std::max(1, architecture->default_steps));
  }
  return shape;
}

void read_model(BodyReader& reader, const Deployment& deployment, scheduler::RequestBody& body) {
  const std::vector<std::string>& names = deployment.setup.graph.model_names;
  const auto name = reader.text("model");
  if (!name) {
    body.model = ModelId{0};
    if (names.size() > 1) reader.complain("model", "model: it is missing, and there are several");
    return;
  }
  const auto found = std::find(names.begin(), names.end(), *name);
  if (found == names.end()) {
    const std::string nearest = nearest_name(*name, names);
    reader.complain("model",
                    fmt::format("model: there is no model {}{}", shown(*name),
                                nearest.empty() ? "" : " (did you mean " + nearest + "?)"));
    body.model = ModelId{0};
    return;
  }
  body.model = ModelId{static_cast<std::uint16_t>(found - names.begin())};
}

void read_shape(BodyReader& reader, const Deployment& deployment, scheduler::RequestBody& body) {
  body.shape = default_shape(deployment.scenario, body.model, body.guidance);
  if (const auto size = reader.text("size");
      size && *size != "auto" && !parse_size(*size, body.shape)) {
    reader.complain("size", fmt::format("size: expected WIDTHxHEIGHT, each from 1 to {}, got {}",
                                        kLargestSide, shown(*size)));
  }
  if (const auto n = reader.integer("n", 1, kMostImages))
    body.shape.images = static_cast<std::uint32_t>(*n);
  if (const auto steps = reader.integer("steps", 1, kMostSteps)) {
    body.shape.steps = static_cast<std::uint32_t>(*steps);
  }
}

/// No stage may be asked for a shape of which nobody knows what it costs.
void check_shape(BodyReader& reader, const Deployment& deployment,
                 const scheduler::RequestBody& body) {
  const scheduler::Setup& setup = deployment.setup;
  for (std::size_t i = 0; i < setup.graph.nodes.size(); ++i) {
    if (setup.graph.nodes[i].model != body.model) continue;
    predictor::Query query;
    query.node = NodeId{static_cast<std::uint16_t>(i)};
    query.shape = body.shape;
    for (const scheduler::Role& role : setup.roles) {
      if (std::find(role.stages.begin(), role.stages.end(), setup.graph.nodes[i].weights) ==
          role.stages.end()) {
        continue;
      }
      query.gpu = role.gpu;
      query.degree = static_cast<std::uint16_t>(role.degree);
      query.batch = std::max(1U, body.shape.images);
      query.offload = role.offload;
      query.dtype = role.dtype;
      if (!deployment.belief->covers(query)) {
        reader.complain("size", fmt::format("size: the model is not served in {}x{} with {} steps",
                                            body.shape.width, body.shape.height, body.shape.steps));
      }
    }
  }
}

/// The document, or what is wrong with it as such.
tl::expected<json, BodyProblem> parse_object(const std::string& text) {
  constexpr int kDeepest = 4;  // no field is nested; deep values cost stack wherever they are shown
  bool twice = false, deep = false;
  std::string which;
  std::set<std::string> seen;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1 &&
        !seen.insert(parsed.get<std::string>()).second) {
      twice = true;
      which = parsed.get<std::string>();
    }
    deep = deep || depth > kDeepest;
    return depth <= kDeepest;
  };
  json body = json::parse(text, watch, false);
  if (deep) return tl::unexpected(BodyProblem{"the body is nested too deep", "body"});
  if (body.is_discarded()) return tl::unexpected(BodyProblem{"the body is no valid JSON", "body"});
  if (!body.is_object()) return tl::unexpected(BodyProblem{"the body is no JSON object", "body"});
  if (twice) return tl::unexpected(BodyProblem{shown(which) + " is given twice", which});
  return body;
}

}  // namespace

tl::expected<scheduler::RequestBody, BodyProblem> parse_generation(const std::string& text,
                                                                   const Deployment& deployment,
                                                                   std::uint64_t seed) {
  const auto parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  BodyReader reader(*parsed);
  scheduler::RequestBody body;
  reader.check_names();
  const auto prompt = reader.text("prompt");
  if (!reader.problem() && (!prompt || prompt->empty() || prompt->size() > kLongestPrompt)) {
    reader.complain("prompt",
                    fmt::format("prompt: expected a text of 1 to {} bytes", kLongestPrompt));
  }
  body.prompt = prompt.value_or("");
  read_model(reader, deployment, body);
  read_shape(reader, deployment, body);
  constexpr auto kLargestSeed = std::numeric_limits<std::int64_t>::max();
  body.noise_seed = static_cast<std::uint64_t>(
      reader.integer("seed", 0, kLargestSeed).value_or(static_cast<std::int64_t>(seed >> 1U)));
  body.guidance = reader.number("guidance", 0, kLargestGuidance).value_or(body.guidance);
  constexpr std::int64_t kPriorities = 1000000;
  body.priority =
      static_cast<std::int32_t>(reader.integer("priority", -kPriorities, kPriorities).value_or(0));
  if (const auto deadline = reader.number("deadline_s", 1e-3, kLongestSeconds)) {
    body.deadline = from_seconds(*deadline);
  }
  if (const auto timeout = reader.number("timeout_s", 1e-3, kLongestSeconds)) {
    body.timeout = from_seconds(*timeout);
  }
  reader.only("response_format", "b64_json");
  reader.only("output_format", "png");
  if (const json* stream = reader.find("stream"); stream != nullptr && *stream != false) {
    reader.complain("stream", "stream: not yet supported, only false");
  }
  body.tenant = reader.text("user").value_or("").substr(0, 256);
  if (!reader.problem()) check_shape(reader, deployment, body);
  if (reader.problem()) return tl::unexpected(*reader.problem());
  return body;
}

}  // namespace disagfusion::exec
