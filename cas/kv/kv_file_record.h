// What KvFiles (kv_files.h) stores of a file beside its blocks: pure functions, bytes and structs.
//
// A file's blocks are counted from its beginning. Each write puts its blocks under a random id of
// its own, which is never used again; the record says, in runs, which write each block is of.
// docs/FORMAT.md has the bytes.
#pragma once

#include <array>
#include <compare>
#include <vector>

#include "cas/os/bytes.h"
#include "cas/os/result.h"

namespace casdisk {

struct KvWriteId {
  std::array<char, 16> bytes = {};  // all zeros: a hole, blocks of zeros that are not stored
  bool is_hole() const { return *this == KvWriteId(); }
  std::string_view text() const { return {bytes.data(), bytes.size()}; }
  auto operator<=>(const KvWriteId&) const = default;
};

struct KvBlockRun {
  uint64_t block_count = 0;
  KvWriteId write;
  auto operator<=>(const KvBlockRun&) const = default;
};

// Blocks of one write; kAllKvBlocks of them: whatever there is.
struct KvBlockRange {
  KvWriteId write;
  uint64_t first = 0;
  uint64_t count = 0;
  auto operator<=>(const KvBlockRange&) const = default;
};
inline constexpr uint64_t kAllKvBlocks = ~uint64_t(0);

inline constexpr uint64_t kMaxKvFileBytes = uint64_t(1) << 50;
inline constexpr uint32_t kMaxKvBlockBytes = 65536;
inline constexpr size_t kKvFileHeadBytes = 25;
inline constexpr size_t kKvRunBytes = 24;
inline constexpr size_t kKvRangeBytes = 32;

struct KvFileRecord {
  uint64_t size_bytes = 0;
  uint32_t block_bytes = kMaxKvBlockBytes;
  uint64_t modified_ms = 0;      // since 1970
  std::vector<KvBlockRun> runs;  // of all blocks, in order; neighbours differ

  uint64_t block_count() const { return (size_bytes + block_bytes - 1) / block_bytes; }
  // The write that a block is of. REQUIRES: index < block_count().
  KvWriteId write_of(uint64_t index) const;
  // Every stored block.
  std::vector<KvBlockRange> ranges() const;
  // Makes [first, first + count) blocks of `write`, with a hole before them if the file was
  // shorter; gives what they were. `size_bytes` is the caller's to set.
  std::vector<KvBlockRange> replace(uint64_t first, uint64_t count, const KvWriteId& write);
};

Bytes encode_kv_file(const KvFileRecord& record);
Result<KvFileRecord> decode_kv_file(std::span<const std::byte> bytes);  // kDamaged

// What is to be removed: KvBlockRange after KvBlockRange.
Bytes encode_kv_ranges(const std::vector<KvBlockRange>& ranges);
Result<std::vector<KvBlockRange>> decode_kv_ranges(std::span<const std::byte> bytes);  // kDamaged

}  // namespace casdisk
