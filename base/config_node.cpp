#include "base/config_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/check.hpp"

namespace disagfusion {

namespace {

const std::string kNoText;

/// Control characters would garble a terminal.
std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    out += control ? ' ' : c;
  }
  return out;
}

}  // namespace

Problem problem_at(const Place& place, std::string expected, std::string got, std::string nearest) {
  return {place.file,          place.line,     place.column,      place.path,
          std::move(expected), std::move(got), std::move(nearest)};
}

ConfigNode ConfigNode::empty_map(Place place) {
  auto value = std::make_shared<Value>();
  value->kind = Kind::map;
  value->place = std::move(place);
  return ConfigNode(std::move(value));
}

ConfigNode::Kind ConfigNode::kind() const { return value_ ? value_->kind : Kind::nothing; }

const std::string& ConfigNode::text() const { return value_ ? value_->text : kNoText; }

bool ConfigNode::quoted() const { return value_ && value_->quoted; }

std::size_t ConfigNode::size() const { return value_ ? value_->items.size() : 0; }

ConfigNode ConfigNode::at(std::size_t i) const {
  DF_CHECK_LT(i, size());
  return ConfigNode(value_->items[i]);
}

const std::string& ConfigNode::key(std::size_t i) const {
  DF_CHECK_LT(i, value_->keys.size());
  return value_->keys[i].text;
}

Place ConfigNode::key_place(std::size_t i) const {
  DF_CHECK_LT(i, value_->keys.size());
  const Value::Key& key = value_->keys[i];
  return {value_->place.file, path_of_key(value_->place.path, key.text), key.line, key.column};
}

ConfigNode ConfigNode::find(const std::string& key) const {
  if (!is_map()) return {};
  for (std::size_t i = 0; i < value_->keys.size(); ++i)
    if (value_->keys[i].text == key) return ConfigNode(value_->items[i]);
  return {};
}

ConfigNode ConfigNode::without(const std::string& key) const {
  if (!is_map()) return *this;
  auto copy = std::make_shared<Value>(*value_);
  for (std::size_t i = copy->keys.size(); i-- > 0;) {
    if (copy->keys[i].text != key) continue;
    copy->keys.erase(copy->keys.begin() + static_cast<std::ptrdiff_t>(i));
    copy->items.erase(copy->items.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return ConfigNode(std::move(copy));
}

Place ConfigNode::place() const { return value_ ? value_->place : Place{}; }

std::string ConfigNode::shown() const {
  switch (kind()) {
    case Kind::nothing:
      return "nothing";
    case Kind::list:
      return size() == 0 ? "an empty list" : "a list";
    case Kind::map:
      return size() == 0 ? "an empty map" : "a map";
    case Kind::text:
      break;
  }
  return quoted() ? fmt::format("\"{}\"", printable(text())) : printable(text());
}

std::string path_of_key(const std::string& path, const std::string& key) {
  return path.empty() ? printable(key) : path + "." + printable(key);
}

std::string yaml_text(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '/' || c == '.' ||
           c == '-' || c == '+' || c == ' ' || c == '%';
  };
  const bool safe =
      !text.empty() && std::all_of(text.begin(), text.end(), plain) &&
      (std::isalnum(static_cast<unsigned char>(text.front())) != 0 || text.front() == '/') &&
      text.back() != ' ' && text != "null" && text != "Null" && text != "NULL";
  if (safe) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string flow_yaml(const ConfigNode& node) {
  std::string out;
  switch (node.kind()) {
    case ConfigNode::Kind::nothing:
      return "null";
    case ConfigNode::Kind::text:
      if (!node.quoted()) return yaml_text(node.text());
      out = yaml_text(node.text());
      return out.front() == '"' ? out : fmt::format("\"{}\"", out);
    case ConfigNode::Kind::list:
      for (std::size_t i = 0; i < node.size(); ++i)
        out += (i == 0 ? "" : ", ") + flow_yaml(node.at(i));
      return "[" + out + "]";
    case ConfigNode::Kind::map:
      for (std::size_t i = 0; i < node.size(); ++i)
        out += (i == 0 ? "" : ", ") + yaml_text(node.key(i)) + ": " + flow_yaml(node.at(i));
      return "{" + out + "}";
  }
  return out;
}

}  // namespace disagfusion
