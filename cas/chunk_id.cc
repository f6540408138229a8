#include "cas/chunk_id.h"

#include <blake3.h>

#include <cstring>

namespace casdisk {

ChunkId hash_of(std::span<const std::byte> bytes) {
  ChunkId id;
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  blake3_hasher_update(&hasher, bytes.data(), bytes.size());
  blake3_hasher_finalize(&hasher, reinterpret_cast<uint8_t*>(id.bytes.data()), id.bytes.size());
  return id;
}

std::string to_hex(const ChunkId& id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * id.bytes.size());
  for (std::byte byte : id.bytes) {
    hex.push_back(kDigits[uint8_t(byte) >> 4]);
    hex.push_back(kDigits[uint8_t(byte) & 15]);
  }
  return hex;
}

std::optional<ChunkId> chunk_id_from_hex(std::string_view hex) {
  ChunkId id;
  if (hex.size() != 2 * id.bytes.size()) return std::nullopt;
  for (size_t i = 0; i < hex.size(); i++) {
    uint8_t digit = 0;
    if (hex[i] >= '0' && hex[i] <= '9') {
      digit = uint8_t(hex[i] - '0');
    } else if (hex[i] >= 'a' && hex[i] <= 'f') {
      digit = uint8_t(hex[i] - 'a' + 10);
    } else {
      return std::nullopt;
    }
    id.bytes[i / 2] |= std::byte(uint8_t(i % 2 == 0 ? digit << 4 : digit));
  }
  return id;
}

// Bytes that equal themselves shifted by one are all alike. Most data differs within the first few.
bool is_all_zero(std::span<const std::byte> bytes) {
  if (bytes.empty()) return true;
  return bytes[0] == std::byte(0) &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace casdisk
