// Records of a key-value store as lines of text: what `casdisk kv dump` writes and `load` reads.
//
//     KEY=VALUE
//     \expires:1795227723123 KEY=VALUE       which expires then, in ms since 1970
//
// The first '=' ends the key. \\ is a backslash and \xNN any byte, in hexadecimal; nothing else
// may follow a backslash, every other byte is itself. Written as \xNN are control characters, the
// '=' of a key and, in a text that is not UTF-8, all bytes that are not ASCII: so any record is one
// line, and is read again as it was but for its version, which a line does not have.
//
// Pure functions. kInvalid says what is wrong with a line, never what a value is.
#pragma once

#include <string>
#include <string_view>

#include "cas/kv/kv_types.h"

namespace casdisk {

// What a line may take for each byte of its record, and for the rest of it.
inline constexpr size_t kMaxEscapedBytes = 4;
inline constexpr size_t kMaxLineHeadBytes = 64;

// As a value stands in a line.
std::string escape_text(std::string_view bytes);
// As a key does.
std::string escape_key(std::string_view key);
// Of either.
Result<std::string> unescape_text(std::string_view text);

// With the newline.
std::string encode_record_line(const KvRecord& record);
// Without it.
Result<KvRecord> decode_record_line(std::string_view line);

}  // namespace casdisk
