#include "cas/os/utf8.h"

#include <cstddef>
#include <cstdint>

namespace casdisk {
namespace {

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
