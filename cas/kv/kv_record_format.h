// A record's value as embedded engines store it: version u64, expiry u64 (ms since 1970, 0: never),
// both little-endian, then the value's bytes; and the numbers that they keep beside records
// (docs/FORMAT.md).
#pragma once

#include "cas/kv/kv_types.h"
#include "cas/os/bytes.h"

namespace casdisk {

inline constexpr size_t kKvHeaderBytes = 16;

struct KvHeader {
  uint64_t version = 0;
  uint64_t expires_at_ms = 0;
};

// Writes the header to `to`, which has kKvHeaderBytes.
void encode_kv_header(const KvHeader& header, std::byte* to);
Bytes encode_kv_value(const KvHeader& header, std::string_view value);

// kDamaged when there is no whole header.
Result<KvHeader> decode_kv_header(std::span<const std::byte> stored);
// With the bytes behind the header, or none of them.
Result<KvValue> decode_kv_value(std::span<const std::byte> stored, bool with_bytes = true);

// A number of the store itself: "cdkv", form u32, the number u64.
Bytes encode_kv_note(uint64_t number);
// kDamaged when it is not one, kUnsupported when it is of another form than this program's.
Result<uint64_t> decode_kv_note(std::span<const std::byte> stored);

}  // namespace casdisk
