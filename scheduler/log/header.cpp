#include "scheduler/log/header.hpp"

#include "scheduler/log/varint.hpp"

namespace disagfusion::scheduler::log {
namespace {

void add_varint(std::string& out, std::uint64_t value) {
  char bytes[kVarintBytes];
  out.append(bytes, static_cast<std::size_t>(write_varint(value, bytes) - bytes));
}

void add_text(std::string& out, std::string_view text) {
  add_varint(out, text.size());
  out += text;
}

}  // namespace

std::string LogHeader::encoded() const {
  std::string out;
  add_text(out, program_version);
  add_varint(out, seed);
  add_varint(out, live ? 1 : 0);
  add_text(out, belief);
  add_varint(out, sources.size());
  for (const SourceText& source : sources) {
    add_text(out, source.path);
    add_text(out, source.text);
  }
  return out;
}

Result<LogHeader> LogHeader::decode(std::string_view bytes, const std::string& file) {
  ByteReader in(bytes);
  LogHeader header;
  header.program_version = in.text();
  header.seed = in.varint();
  header.live = in.varint_up_to(1) != 0;
  header.belief = in.text();
  header.sources.resize(in.count(2));
  for (SourceText& source : header.sources) {
    source.path = in.text();
    source.text = in.text();
  }
  if (in.wrong() == nullptr && in.left() != 0) in.fail("bytes are left over");
  if (in.wrong() == nullptr) return header;
  return fail(Problem{file, 0, 0, "", "the header of an event log", in.wrong(), ""});
}

}  // namespace disagfusion::scheduler::log
