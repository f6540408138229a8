#include "cas/kv/key_codec.h"

namespace casdisk {
namespace {

constexpr char kEscape = 0;
constexpr char kEscapedNul = char(0xff);
constexpr char kNameEnd = 1;  // less than what an escaped NUL goes on with

}  // namespace

KvKeyWriter& KvKeyWriter::number(uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) key_ += char(uint8_t(value >> shift));
  return *this;
}

KvKeyWriter& KvKeyWriter::name_prefix(std::string_view prefix) {
  for (const char c : prefix) {
    key_ += c;
    if (c == kEscape) key_ += kEscapedNul;
  }
  return *this;
}

KvKeyWriter& KvKeyWriter::name(std::string_view name) {
  name_prefix(name);
  key_ += kEscape;
  key_ += kNameEnd;
  return *this;
}

KvKeyWriter& KvKeyWriter::raw(std::string_view bytes) {
  key_ += bytes;
  return *this;
}

KvKeyReader::KvKeyReader(std::string_view key) : rest_(key) {
  const std::string_view first = raw(1);
  if (!failed_) scope_ = uint8_t(first[0]);
}

std::string_view KvKeyReader::raw(size_t bytes) {
  if (failed_ || bytes > rest_.size()) {
    failed_ = true;
    rest_ = {};
    return {};
  }
  const std::string_view taken = rest_.substr(0, bytes);
  rest_ = rest_.substr(bytes);
  return taken;
}

uint64_t KvKeyReader::number() {
  uint64_t value = 0;
  for (const char c : raw(8)) value = value << 8 | uint8_t(c);
  return value;
}

std::string KvKeyReader::name() {
  std::string name;
  while (!failed_) {
    const std::string_view one = raw(1);
    if (failed_) break;
    if (one[0] != kEscape) {
      name += one[0];
      continue;
    }
    const std::string_view second = raw(1);
    if (failed_) break;
    if (second[0] == kNameEnd) return name;
    if (second[0] != kEscapedNul) break;
    name += kEscape;
  }
  failed_ = true;
  rest_ = {};
  return {};
}

std::optional<std::string> kv_prefix_end(std::string_view prefix) {
  const size_t last = prefix.find_last_not_of(char(0xff));
  if (last == prefix.npos) return std::nullopt;
  std::string end(prefix.substr(0, last + 1));
  end[last] = char(uint8_t(end[last]) + 1);
  return end;
}

}  // namespace casdisk
