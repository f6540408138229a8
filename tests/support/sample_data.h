// Bytes for tests, the same for the same seed.
#pragma once

#include <algorithm>
#include <random>

#include "cas/chunk_store.h"
#include "cas/os/bytes.h"

namespace casdisk {

// For EXPECT_EQ of an object and what it was made of.
inline bool operator==(const ObjectContent& object, const Bytes& bytes) {
  return std::ranges::equal(object, bytes);
}

// Bytes that no codec makes smaller.
inline Bytes random_bytes(uint64_t seed, size_t size = kChunkBytes) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = std::byte(uint8_t(random()));
  return bytes;
}

// Bytes that every codec makes much smaller.
inline Bytes compressible_bytes(uint64_t seed, size_t size = kChunkBytes) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (size_t i = 0; i < size; i++) {
    bytes[i] = std::byte(uint8_t(i % 64 == 0 ? random() : uint64_t(i % 16)));
  }
  return bytes;
}

// An id that no content has.
inline ChunkId made_up_id(uint8_t value) {
  ChunkId id;
  id.bytes.fill(std::byte(value));
  return id;
}

}  // namespace casdisk
