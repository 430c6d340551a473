// What a weights file of the built-in model says beside its tensors: sizes and vocabulary.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "exec/stage/torch/builtin_model.hpp"
#include "exec/stage/torch/file_problem.hpp"

namespace disagfusion::exec::torch_stage {

namespace {

using nlohmann::json;

constexpr char kFormat[] = "disagfusion.builtin/1";
constexpr std::int64_t kLargest = 1 << 16;  // of any size: keeps products far from overflow

/// A metadata entry that holds one JSON object.
Result<json> read_object(const SafetensorsFile& file, const std::string& key) {
  auto text = file.metadata(key);
  if (!text) return fail(std::move(text.error()));
  json value = json::parse(*text, nullptr, false);
  if (value.is_object()) return value;
  return fail(file_problem(file.path(), "__metadata__." + key, "a JSON object", *text));
}

struct Field {
  const char* name;
  std::int64_t BuiltinSizes::*member;
};
constexpr std::array kFields{
    Field{"image_size", &BuiltinSizes::image_size},
    Field{"latent_channels", &BuiltinSizes::latent_channels},
    Field{"latent_size", &BuiltinSizes::latent_size},
    Field{"patch", &BuiltinSizes::patch},
    Field{"text_tokens", &BuiltinSizes::text_tokens},
    Field{"text_width", &BuiltinSizes::text_width},
    Field{"text_layers", &BuiltinSizes::text_layers},
    Field{"text_heads", &BuiltinSizes::text_heads},
    Field{"dit_width", &BuiltinSizes::dit_width},
    Field{"dit_blocks", &BuiltinSizes::dit_blocks},
    Field{"dit_heads", &BuiltinSizes::dit_heads},
    Field{"time_features", &BuiltinSizes::time_features},
    Field{"norm_groups", &BuiltinSizes::norm_groups},
    Field{"steps", &BuiltinSizes::steps},
};

bool is_size(const json& value) {
  return value.is_number_integer() && value.get<std::int64_t>() >= 1 &&
         value.get<std::int64_t>() <= kLargest;
}

/// The first rule that the sizes break, or empty.
std::string broken_rule(const BuiltinSizes& s) {
  if (s.decoder_channels.size() != 3) return "three decoder_channels";
  if (s.image_size != 4 * s.latent_size) return "an image_size of four times latent_size";
  if (s.latent_size % s.patch != 0) return "a latent_size that is a multiple of patch";
  if (s.text_width % s.text_heads != 0) return "a text_width that is a multiple of text_heads";
  if (s.dit_width % s.dit_heads != 0) return "a dit_width that is a multiple of dit_heads";
  if (s.time_features % 2 != 0) return "an even number of time_features";
  for (const std::int64_t channels : s.decoder_channels)
    if (channels % s.norm_groups != 0) return "decoder_channels that are multiples of norm_groups";
  return {};
}

}  // namespace

Result<BuiltinSizes> BuiltinSizes::read(const SafetensorsFile& file) {
  const auto format = file.metadata("format");
  if (!format) return fail(format.error());
  if (*format != kFormat)
    return fail(file_problem(file.path(), "__metadata__.format", kFormat, *format));
  const auto object = read_object(file, "architecture");
  if (!object) return fail(object.error());

  BuiltinSizes sizes;
  Problems problems;
  const auto wrong = [&](const std::string& name, std::string expected) {
    const auto found = object->find(name);
    problems.push_back(file_problem(file.path(), "__metadata__.architecture." + name,
                                    std::move(expected),
                                    found == object->end() ? "nothing" : found->dump()));
  };
  for (const auto& [name, member] : kFields) {
    const auto found = object->find(name);
    if (found != object->end() && is_size(*found))
      sizes.*member = found->get<std::int64_t>();
    else
      wrong(name, fmt::format("a whole number from 1 to {}", kLargest));
  }
  const json channels = object->value("decoder_channels", json());
  if (channels.is_array() && std::ranges::all_of(channels, is_size))
    sizes.decoder_channels = channels.get<std::vector<std::int64_t>>();
  else
    wrong("decoder_channels", "a list of whole numbers");
  const json guidance = object->value("guidance", json());
  if (guidance.is_number() && guidance.get<double>() >= 0)
    sizes.guidance = guidance.get<double>();
  else
    wrong("guidance", "a number from 0");
  if (!problems.empty()) return fail(std::move(problems));

  const std::string rule = broken_rule(sizes);
  if (!rule.empty())
    return fail(file_problem(file.path(), "__metadata__.architecture", rule, object->dump()));
  return sizes;
}

Result<Tokenizer> Tokenizer::read(const SafetensorsFile& file, std::int64_t length) {
  const auto object = read_object(file, "vocabulary");
  if (!object) return fail(object.error());
  Tokenizer tokenizer;
  tokenizer.length_ = static_cast<std::size_t>(length);
  const auto wrong = [&](std::string expected, std::string got) {
    return fail(
        file_problem(file.path(), "__metadata__.vocabulary", std::move(expected), std::move(got)));
  };
  for (const auto& [word, id] : object->items()) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() >= kLargest)
      return wrong("words with ids from 0", fmt::format("'{}': {}", word, id.dump()));
    tokenizer.ids_.emplace(word, id.get<std::int64_t>());
    tokenizer.size_ = std::max(tokenizer.size_, id.get<std::int64_t>() + 1);
  }
  for (const auto& [word, id] :
       {std::pair{"[pad]", &tokenizer.pad_}, std::pair{"[unk]", &tokenizer.unknown_}}) {
    const auto found = tokenizer.ids_.find(word);
    if (found == tokenizer.ids_.end()) return wrong(fmt::format("the word {}", word), "none");
    *id = found->second;
  }
  return tokenizer;
}

std::vector<std::int64_t> Tokenizer::tokenize(std::string_view prompt) const {
  std::vector<std::int64_t> ids;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    const auto found = ids_.find(word);
    ids.push_back(found == ids_.end() ? unknown_ : found->second);
    word.clear();
  };
  for (const char c : prompt) {
    if (c == '-' || c == '\'') continue;
    if (c >= 'A' && c <= 'Z')
      word += static_cast<char>(c - 'A' + 'a');
    else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
      word += c;
    else
      end_word();
  }
  end_word();
  if (ids.size() > length_) std::erase(ids, unknown_);
  ids.resize(length_, pad_);
  return ids;
}

}  // namespace disagfusion::exec::torch_stage
