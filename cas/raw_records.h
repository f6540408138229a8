// RawRecords: raw chunks of which blocks were read lately, past the ChunkCache: where they lie, the
// checksums of their blocks, and how often they were asked for.
//
// Such a read costs its blocks alone, where loading the chunk costs 64 KiB, its hash and another
// copy. A chunk that is asked for often, or in small steps from its beginning on, is better loaded
// into the cache: touch() says when. The window of "often" is so long that a working set as large
// as the cache gets into it; one that is much larger does not drive itself out again and again, and
// what reads everything once loads nothing.
//
// A bounded table of sets of four; what was touched least gives way. What it says may be out of
// date: a record may have moved. Safe to call from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "cas/chunk_id.h"
#include "cas/pack_format.h"

namespace casdisk {

class RawRecords {
 public:
  // For a ChunkCache of that size.
  explicit RawRecords(uint64_t cache_bytes);
  ~RawRecords();

  struct Touched {
    std::optional<RawRecord> record;  // what keep() was given
    bool often = false;               // load it; its count begins anew
  };
  // Counts a read of `block_count` blocks, 1 to 16, from `first_block` on, if keep() was called for
  // the chunk.
  Touched touch(const ChunkId& id, uint32_t first_block, uint32_t block_count);

  // After the first read, of those blocks.
  void keep(const ChunkId& id, const RawRecord& record, uint32_t first_block, uint32_t block_count);

  // The record is not there any more.
  void forget(const ChunkId& id);

 private:
  struct Set;
  Set* set_of(const ChunkId& id) const;

  // Fixed after construction.
  const uint64_t window_blocks_;
  const size_t set_count_;

  // Made by the first keep(): few who open a store ever read so.
  std::once_flag made_;
  std::unique_ptr<Set[]> made_sets_;
  std::atomic<Set*> sets_ = nullptr;

  std::atomic<uint64_t> touched_blocks_ = 0;
};

}  // namespace casdisk
