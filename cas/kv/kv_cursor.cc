#include "cas/kv/kv_cursor.h"

#include "cas/os/bytes.h"
#include "cas/os/hex.h"

namespace casdisk {
namespace {

// check u32 (FNV-1a of the rest, folded), form u8, prefix length u32, the key.
constexpr uint8_t kForm = 1;
constexpr size_t kHeadBytes = 4 + 1 + 4;

uint32_t check_of(std::span<const std::byte> bytes) {
  uint64_t hash = 14695981039346656037u;
  for (const std::byte byte : bytes) hash = (hash ^ uint8_t(byte)) * 1099511628211u;
  return uint32_t(hash ^ (hash >> 32));
}

Error malformed() {
  return Error{Fault::kInvalid, 0,
               "list: the cursor is not one that a list gave; begin without a cursor"};
}

}  // namespace

std::string encode_kv_cursor(std::string_view prefix, std::string_view after) {
  CHECK(after.starts_with(prefix));
  const Bytes rest = ByteWriter(kHeadBytes + after.size())
                         .number(kForm)
                         .number(uint32_t(prefix.size()))
                         .raw(as_bytes(after))
                         .take();
  return hex_of(ByteWriter().number(check_of(rest)).raw(rest).take());
}

Result<std::string> decode_kv_cursor(std::string_view prefix, std::string_view cursor) {
  const auto bytes = bytes_of_hex(cursor);
  if (!bytes || bytes->size() < kHeadBytes) return malformed();
  ByteReader reader(*bytes);
  const auto check = reader.number<uint32_t>();
  if (check != check_of(std::span(*bytes).subspan(4))) return malformed();
  if (reader.number<uint8_t>() != kForm) return malformed();
  const auto prefix_bytes = reader.number<uint32_t>();
  const auto key = reader.raw(reader.left());
  const std::string after(reinterpret_cast<const char*>(key.data()), key.size());
  if (after.empty() || prefix_bytes > after.size()) return malformed();
  if (after.substr(0, prefix_bytes) != prefix) {
    return Error{Fault::kInvalid, 0, "list: the cursor is of a list with another prefix"};
  }
  return after;
}

}  // namespace casdisk
