#include "cas/os/base64.h"

#include <array>
#include <cstdint>

namespace casdisk {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNone = 0xff;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  for (uint8_t& value : values) value = kNone;
  for (size_t i = 0; i < kDigits.size(); i++) values[uint8_t(kDigits[i])] = uint8_t(i);
  return values;
}();

}  // namespace

void append_base64(std::string& text, std::string_view bytes) {
  const auto byte = [&](size_t at) { return at < bytes.size() ? uint32_t(uint8_t(bytes[at])) : 0; };
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    text += kDigits[group >> 18];
    text += kDigits[group >> 12 & 63];
    text += i + 1 < bytes.size() ? kDigits[group >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? kDigits[group & 63] : '=';
  }
}

std::string encode_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  append_base64(text, bytes);
  return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') padding++;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  for (size_t i = 0; i < text.size(); i++) {
    const bool is_padding = i >= text.size() - padding;
    const uint8_t value = is_padding ? 0 : kValues[uint8_t(text[i])];
    if (value == kNone) return std::nullopt;
    group = group << 6 | value;
    if (i % 4 != 3) continue;
    bytes += char(group >> 16 & 255);
    bytes += char(group >> 8 & 255);
    bytes += char(group & 255);
  }
  // What padding stands for is zero, or another text means the same bytes.
  for (size_t i = 0; i < padding; i++) {
    if (bytes.back() != '\0') return std::nullopt;
    bytes.pop_back();
  }
  return bytes;
}

}  // namespace casdisk
