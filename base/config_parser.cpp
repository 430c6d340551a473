#include "base/config_parser.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "base/check.hpp"

namespace disagfusion {

namespace {

using Value = ConfigNode::Value;
using Kind = ConfigNode::Kind;

/// Maps and lists inside one another; beyond this a file is refused rather than recursed into.
constexpr std::size_t kDeepest = 40;

/// Ends the parse: what follows could not be understood.
struct ParseStopped {};

/// Builds the tree from yaml-cpp's events.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string file, Problems& problems) : file_(std::move(file)), problems_(problems) {}

  [[nodiscard]] std::shared_ptr<Value> root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) stop(mark, "one YAML document", "a second document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_decoration(mark, "?", anchor);
    if (expects_key()) stop(mark, "a key", "nothing");
    auto value = make_value(mark, Kind::nothing);
    // An absent value has no place of its own: it is reported where its key stands.
    if (!open_.empty() && open_.back().node->kind == Kind::map) {
      value->place.line = open_.back().node->keys.back().line;
      value->place.column = open_.back().node->keys.back().column;
    }
    attach(std::move(value));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    stop(mark, "the value itself (aliases are not supported)", "an alias");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_decoration(mark, tag, anchor);
    if (expects_key()) {
      add_key(mark, text);
      return;
    }
    auto value = make_value(mark, Kind::text);
    value->text = text;
    value->quoted = tag == "!";
    attach(std::move(value));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    refuse_decoration(mark, tag, anchor);
    open(mark, Kind::list);
  }
  void OnSequenceEnd() override { open_.pop_back(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    refuse_decoration(mark, tag, anchor);
    open(mark, Kind::map);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Open {
    std::shared_ptr<Value> node;
  };

  [[nodiscard]] bool expects_key() const {
    if (open_.empty()) return false;
    const Value& top = *open_.back().node;
    return top.kind == Kind::map && top.keys.size() == top.items.size();
  }

  [[nodiscard]] std::string path_here() const {
    if (open_.empty()) return {};
    const Value& top = *open_.back().node;
    if (top.kind == Kind::list) return fmt::format("{}[{}]", top.place.path, top.items.size());
    if (top.keys.size() == top.items.size()) return top.place.path;
    return path_of_key(top.place.path, top.keys.back().text);
  }

  [[nodiscard]] Place place_at(const YAML::Mark& mark) const {
    return {file_, path_here(), mark.line + 1, mark.column + 1};
  }

  [[noreturn]] void stop(const YAML::Mark& mark, std::string expected, std::string got) {
    problems_.push_back(problem_at(place_at(mark), std::move(expected), std::move(got)));
    throw ParseStopped{};
  }

  void refuse_decoration(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor)
      stop(mark, "a value without anchor (anchors are not supported)", "an anchor");
    if (!tag.empty() && tag != "?" && tag != "!")
      stop(mark, "a value without tag (tags are not supported)", "tag " + tag);
  }

  std::shared_ptr<Value> make_value(const YAML::Mark& mark, Kind kind) {
    auto value = std::make_shared<Value>();
    value->kind = kind;
    value->place = place_at(mark);
    return value;
  }

  void attach(std::shared_ptr<Value> value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else {
      open_.back().node->items.push_back(std::move(value));
    }
  }

  void open(const YAML::Mark& mark, Kind kind) {
    if (expects_key()) stop(mark, "a key that is text", kind == Kind::map ? "a map" : "a list");
    if (open_.size() >= kDeepest)
      stop(mark, fmt::format("at most {} maps and lists inside one another", kDeepest), "more");
    auto value = make_value(mark, kind);
    attach(value);
    open_.push_back({std::move(value)});
  }

  void add_key(const YAML::Mark& mark, const std::string& text) {
    Value& map = *open_.back().node;
    for (const Value::Key& key : map.keys) {
      if (key.text != text) continue;
      Place place = place_at(mark);
      place.path = path_of_key(map.place.path, text);
      problems_.push_back(problem_at(place, "each key once",
                                     fmt::format("'{}' again, first at line {}", text, key.line)));
      break;
    }
    map.keys.push_back({text, mark.line + 1, mark.column + 1});
  }

  std::string file_;
  Problems& problems_;
  std::shared_ptr<Value> root_;
  std::vector<Open> open_;
  int documents_ = 0;
};

/// Bytes of the UTF-8 sequence at `i`, or 0 where it is broken.
std::size_t utf8_length(const std::string& text, std::size_t i) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(i);
  std::size_t length = 1;
  if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
  } else if (first >= 0xe0 && first < 0xf0) {
    length = 3;
  } else if (first >= 0xc2 && first < 0xe0) {
    length = 2;
  } else if (first >= 0x80) {
    return 0;
  }
  if (i + length > text.size()) return 0;
  for (std::size_t k = 1; k < length; ++k)
    if ((byte(i + k) & 0xc0U) != 0x80U) return 0;
  return length;
}

/// The first byte that no text file holds, as a Problem.
std::optional<Problem> find_binary(const std::string& file, const std::string& text) {
  int line = 1;
  int column = 1;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = utf8_length(text, i);
    const bool control =
        byte == 0x7f || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r');
    if (length == 0 || control)
      return problem_at({file, {}, line, column}, "UTF-8 text", fmt::format("byte 0x{:02x}", byte));
    i += length;
    column += static_cast<int>(length);
    if (byte == '\n') {
      ++line;
      column = 1;
    }
  }
  return std::nullopt;
}

/// False where the text is no tree that could be read on.
bool run_parser(const std::string& file, const std::string& text, TreeBuilder& builder,
                Problems& problems) {
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return true;
  } catch (const ParseStopped&) {
    DF_CHECK(!problems.empty());
  } catch (const YAML::Exception& error) {
    Place place{file, {}, 0, 0};
    if (!error.mark.is_null()) {
      place.line = error.mark.line + 1;
      place.column = error.mark.column + 1;
    }
    problems.push_back(problem_at(place, "valid YAML", error.msg));
  } catch (const std::exception& error) {
    problems.push_back(problem_at({file, {}, 0, 0}, "valid YAML", error.what()));
  }
  return false;
}

}  // namespace

ConfigNode parse_config(const std::string& file, const std::string& text, Problems& problems) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  const bool marked = text.compare(0, kByteOrderMark.size(), kByteOrderMark) == 0;
  const std::string body = marked ? text.substr(kByteOrderMark.size()) : text;
  if (auto binary = find_binary(file, body)) {
    problems.push_back(std::move(*binary));
    return {};
  }
  TreeBuilder builder(file, problems);
  if (!run_parser(file, body, builder, problems)) return {};
  ConfigNode root(builder.root());
  if (!root.valid() || root.kind() == ConfigNode::Kind::nothing) {
    problems.push_back(problem_at({file, {}, 1, 1}, "a map of keys", "an empty file"));
    return {};
  }
  if (root.is_map()) return root;
  problems.push_back(problem_at(root.place(), "a map of keys", root.shown()));
  return {};
}

Result<ConfigNode> parse_config(const std::string& file, const std::string& text) {
  Problems problems;
  ConfigNode root = parse_config(file, text, problems);
  if (!problems.empty()) return fail(std::move(problems));
  return root;
}

}  // namespace disagfusion
