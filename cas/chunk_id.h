// ChunkId: the BLAKE3-256 hash (https://github.com/BLAKE3-team/BLAKE3-specs) of an object's bytes,
// which is its name in every store.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace casdisk {

inline constexpr uint32_t kChunkBytes = 64 * 1024;
inline constexpr uint32_t kBlockBytes = 4 * 1024;
inline constexpr uint32_t kBlocksPerChunk = kChunkBytes / kBlockBytes;

struct ChunkId {
  std::array<std::byte, 32> bytes{};
  auto operator<=>(const ChunkId&) const = default;
  // The defaulted one compares byte by byte.
  bool operator==(const ChunkId& other) const {
    return std::memcmp(bytes.data(), other.bytes.data(), sizeof(bytes)) == 0;
  }
};

ChunkId hash_of(std::span<const std::byte> bytes);

// 64 lower-case hexadecimal digits, and back.
std::string to_hex(const ChunkId& id);
std::optional<ChunkId> chunk_id_from_hex(std::string_view hex);

bool is_all_zero(std::span<const std::byte> bytes);

}  // namespace casdisk

template <>
struct std::hash<casdisk::ChunkId> {
  size_t operator()(const casdisk::ChunkId& id) const noexcept {
    size_t value;  // the id is a hash already: any eight bytes of it will do
    std::memcpy(&value, id.bytes.data(), sizeof(value));
    return value;
  }
};
