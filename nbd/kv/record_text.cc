#include "nbd/kv/record_text.h"

#include <fmt/format.h>

#include <charconv>

#include "cas/os/hex.h"
#include "cas/os/utf8.h"

namespace casdisk {
namespace {

constexpr std::string_view kExpires = "\\expires:";

Error invalid(std::string text) { return Error{Fault::kInvalid, 0, std::move(text)}; }

// U+0080 to U+009F control terminals, as those below a space do.
bool is_control(std::string_view text, size_t at) {
  const uint8_t byte = uint8_t(text[at]);
  if (byte < 0x20 || byte == 0x7f) return true;
  if (byte == 0xc2 && at + 1 < text.size()) return uint8_t(text[at + 1]) < 0xa0;
  return byte >= 0x80 && byte < 0xa0 && at > 0 && uint8_t(text[at - 1]) == 0xc2;
}

enum class Part { kKey, kValue };

void append_escaped(std::string& line, std::string_view text, Part part) {
  const bool is_text = is_utf8(text);
  for (size_t at = 0; at < text.size(); at++) {
    const char byte = text[at];
    if (byte == '\\') {
      line += "\\\\";
    } else if (is_control(text, at) || (part == Part::kKey && byte == '=') ||
               (!is_text && uint8_t(byte) >= 0x80)) {
      line += fmt::format("\\x{:02x}", uint8_t(byte));
    } else {
      line += byte;
    }
  }
}

// 0 to 15, or -1.
int digit_of(char c) { return hex_digit(c >= 'A' && c <= 'F' ? char(c - 'A' + 'a') : c); }

// Takes "\expires:MS " off the line; 0 where it is not there.
Result<uint64_t> take_expiry(std::string_view& line) {
  if (!line.starts_with(kExpires)) return uint64_t(0);
  const char* const begin = line.data() + kExpires.size();
  const char* const end = line.data() + line.size();
  uint64_t expires_at_ms = 0;
  const auto parsed = std::from_chars(begin, end, expires_at_ms);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == ' ';
  if (!is_number || expires_at_ms == 0) {
    return invalid("behind \\expires: belong milliseconds since 1970, a space and KEY=VALUE");
  }
  line.remove_prefix(size_t(parsed.ptr + 1 - line.data()));
  return expires_at_ms;
}

}  // namespace

std::string escape_text(std::string_view bytes) {
  std::string text;
  append_escaped(text, bytes, Part::kValue);
  return text;
}

std::string escape_key(std::string_view key) {
  std::string text;
  append_escaped(text, key, Part::kKey);
  return text;
}

Result<std::string> unescape_text(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] != '\\') {
      bytes += text[at];
      continue;
    }
    const std::string_view escape = text.substr(at, 4);
    if (escape.starts_with("\\\\")) {
      bytes += '\\';
      at++;
      continue;
    }
    const bool is_byte = escape.size() == 4 && escape[1] == 'x' && digit_of(escape[2]) >= 0 &&
                         digit_of(escape[3]) >= 0;
    if (!is_byte) {
      return invalid(
          fmt::format("what follows the backslash at byte {} is no escape: \\\\ is a backslash, "
                      "\\xNN a byte",
                      at + 1));
    }
    bytes += char(digit_of(escape[2]) * 16 + digit_of(escape[3]));
    at += 3;
  }
  return bytes;
}

std::string encode_record_line(const KvRecord& record) {
  std::string line;
  line.reserve(record.key.size() + record.value.bytes.size() + kMaxLineHeadBytes);
  if (record.value.expires_at_ms != 0) {
    line += fmt::format("{}{} ", kExpires, record.value.expires_at_ms);
  }
  append_escaped(line, record.key, Part::kKey);
  line += '=';
  append_escaped(line, record.value.bytes, Part::kValue);
  line += '\n';
  return line;
}

Result<KvRecord> decode_record_line(std::string_view line) {
  KvRecord record;
  TRY_ASSIGN(record.value.expires_at_ms, take_expiry(line));
  const size_t equals = line.find('=');
  if (equals == line.npos) return invalid("no '=': a record is KEY=VALUE");
  auto key = unescape_text(line.substr(0, equals));
  if (!key.ok()) return invalid("the key: " + key.error().context);
  auto value = unescape_text(line.substr(equals + 1));
  if (!value.ok()) return invalid("the value: " + value.error().context);
  record.key = std::move(key).value();
  record.value.bytes = std::move(value).value();
  return record;
}

}  // namespace casdisk
