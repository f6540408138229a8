#include "cas/kv/hyperv_record.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cas/os/result.h"

namespace casdisk {
namespace {

std::string_view text_in(std::span<const std::byte> field) {
  const std::string_view all(reinterpret_cast<const char*>(field.data()), field.size());
  return all.substr(0, std::min(all.find('\0'), all.size()));
}

void fill_field(std::string_view text, std::span<std::byte> field) {
  CHECK(text.size() <= field.size() && text.find('\0') == text.npos);
  const auto end = std::ranges::copy(std::as_bytes(std::span(text)), field.begin()).out;
  std::fill(end, field.end(), std::byte(0));
}

// How many bytes follow a first one, and the least code point that needs so many; -1: no first one.
struct Form {
  int more = -1;
  uint32_t bits = 0;
  uint32_t least = 0;
};
Form form_of(uint8_t first) {
  if (first < 0x80) return {0, first, 0};
  if (first >= 0xC0 && first < 0xE0) return {1, first & 0x1Fu, 0x80};
  if (first >= 0xE0 && first < 0xF0) return {2, first & 0x0Fu, 0x800};
  if (first >= 0xF0 && first < 0xF8) return {3, first & 0x07u, 0x10000};
  return {};
}

}  // namespace

HypervRecord decode_hyperv_record(std::span<const std::byte> bytes) {
  CHECK(bytes.size() == kHypervRecordBytes);
  return {text_in(bytes.first(kHypervKeyBytes)), text_in(bytes.subspan(kHypervKeyBytes))};
}

void encode_hyperv_record(const HypervRecord& record, std::span<std::byte> to) {
  CHECK(to.size() == kHypervRecordBytes);
  fill_field(record.key, to.first(kHypervKeyBytes));
  fill_field(record.value, to.subspan(kHypervKeyBytes));
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Form form = form_of(uint8_t(text[at++]));
    if (form.more < 0 || text.size() - at < size_t(form.more)) return false;
    uint32_t point = form.bits;
    for (int i = 0; i < form.more; i++) {
      const uint8_t next = uint8_t(text[at++]);
      if ((next & 0xC0) != 0x80) return false;
      point = (point << 6) | (next & 0x3Fu);
    }
    const bool is_surrogate = point >= 0xD800 && point < 0xE000;
    if (point < form.least || point > 0x10FFFF || is_surrogate) return false;
  }
  return true;
}

}  // namespace casdisk
