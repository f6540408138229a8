// Records of a key-value store in JSON: what `casdisk kv` prints with --json and `load` reads.
//
//     {"key": "a", "value": "b", "version": 7, "expires_at_ms": null}
//
// Bytes that are not UTF-8, which JSON has no room for, are "key_base64" and "value_base64" in the
// place of those two. A version or an expiry that there is not is null. Pure functions.
#pragma once

#include <string_view>

#include "cas/kv/kv_types.h"
#include "nbd/control/json_fields.h"

namespace casdisk {

// What a line may take for each byte of its record (a control character is \u00XX), and for the
// rest of it.
inline constexpr size_t kMaxJsonBytes = 6;
inline constexpr size_t kMaxJsonHeadBytes = 1024;

enum class JsonOf { kRecord, kKey };  // kKey: without the value

// Puts NAME, or NAME_base64, into `json`.
void add_json_bytes(ControlJson& json, const std::string& name, std::string_view bytes);

ControlJson record_json(const KvRecord& record, JsonOf what = JsonOf::kRecord);

// One object, in one line. Fields of other names are ignored, and so is the version: whoever stores
// the record gives it a new one. kInvalid says which field is wrong, never what is in it.
Result<KvRecord> decode_record_json(std::string_view line);

}  // namespace casdisk
