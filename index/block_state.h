// The states of a chunk's sixteen blocks in one 32-bit word, two bits a block.
//
// Block i has bits 2i (data) and 2i+1 (zero); neither is clean, both never occurs. A mask selects
// blocks: bit i of 16.
#pragma once

#include <cstdint>

#include "cas/chunk_id.h"

namespace casdisk {

enum class BlockState : uint8_t { kClean = 0, kData = 1, kZero = 2 };

using ChunkWord = uint32_t;
using BlockMask = uint16_t;

inline constexpr ChunkWord kAllClean = 0;
inline constexpr ChunkWord kAllData = 0x55555555;
inline constexpr ChunkWord kAllZero = 0xAAAAAAAA;
inline constexpr BlockMask kAllBlocks = 0xFFFF;

static_assert(kBlocksPerChunk == 16);

// Blocks [first, first + count) of a chunk.
constexpr BlockMask blocks_mask(uint32_t first, uint32_t count) {
  return BlockMask(((uint32_t(1) << count) - 1) << first);
}

// Bit i of `mask` to bit 2i: the data bits of those blocks.
constexpr ChunkWord spread(BlockMask mask) {
  uint32_t x = mask;
  x = (x | (x << 8)) & 0x00FF00FF;
  x = (x | (x << 4)) & 0x0F0F0F0F;
  x = (x | (x << 2)) & 0x33333333;
  x = (x | (x << 1)) & 0x55555555;
  return x;
}

// The reverse: bits 2i of `word` to bits i.
constexpr BlockMask gather(ChunkWord word) {
  uint32_t x = word & 0x55555555;
  x = (x | (x >> 1)) & 0x33333333;
  x = (x | (x >> 2)) & 0x0F0F0F0F;
  x = (x | (x >> 4)) & 0x00FF00FF;
  x = (x | (x >> 8)) & 0x0000FFFF;
  return BlockMask(x);
}

constexpr BlockMask data_blocks(ChunkWord word) { return gather(word); }
constexpr BlockMask zero_blocks(ChunkWord word) { return gather(word >> 1); }
constexpr BlockMask clean_blocks(ChunkWord word) {
  return BlockMask(~(gather(word) | gather(word >> 1)));
}
constexpr bool is_valid(ChunkWord word) { return (gather(word) & gather(word >> 1)) == 0; }

constexpr ChunkWord with_state(ChunkWord word, BlockMask mask, BlockState state) {
  ChunkWord bits = spread(mask);
  word &= ~(bits | (bits << 1));
  if (state == BlockState::kData) word |= bits;
  if (state == BlockState::kZero) word |= bits << 1;
  return word;
}

}  // namespace casdisk
