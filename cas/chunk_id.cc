#include "cas/chunk_id.h"

#include <blake3.h>

#include <algorithm>
#include <cstring>

#include "cas/os/hex.h"

namespace casdisk {

ChunkId hash_of(std::span<const std::byte> bytes) {
  ChunkId id;
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  blake3_hasher_update(&hasher, bytes.data(), bytes.size());
  blake3_hasher_finalize(&hasher, reinterpret_cast<uint8_t*>(id.bytes.data()), id.bytes.size());
  return id;
}

std::string to_hex(const ChunkId& id) { return hex_of(id.bytes); }

std::optional<ChunkId> chunk_id_from_hex(std::string_view hex) {
  ChunkId id;
  if (hex.size() != 2 * id.bytes.size()) return std::nullopt;
  const auto bytes = bytes_of_hex(hex);
  if (!bytes) return std::nullopt;
  std::ranges::copy(*bytes, id.bytes.begin());
  return id;
}

// Bytes that equal themselves shifted by one are all alike. Most data differs within the first few.
bool is_all_zero(std::span<const std::byte> bytes) {
  if (bytes.empty()) return true;
  return bytes[0] == std::byte(0) &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace casdisk
