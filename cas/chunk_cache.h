// ChunkCache: a bounded set of verified, decompressed objects, shared by all disks of a process.
//
// Keyed by id, so a hit needs no check: what is in the cache was verified when it entered and is
// immutable since. Sharded; a hit takes one lock and allocates nothing. Eviction is CLOCK (second
// chance). Equal loads that meet are done once; the others wait for the first. Safe to call from
// any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "cas/chunk_store.h"

namespace casdisk {

struct ChunkCacheCounters {
  uint64_t hit_count = 0;
  uint64_t miss_count = 0;
  uint64_t used_bytes = 0;
};

class ChunkCache {
 public:
  // Holds at most about `capacity_bytes`, counted as object bytes plus a fixed overhead each.
  // 0 keeps nothing, but still joins equal loads.
  explicit ChunkCache(uint64_t capacity_bytes);
  ~ChunkCache();

  // The object, or nullptr; never loads.
  Object find(const ChunkId& id);

  // The object, loaded by `load` (which must verify it) if it is not here. An error is returned to
  // everybody who waited for that load and is not remembered.
  template <typename LoadFunction>
  Result<Object> get(const ChunkId& id, const LoadFunction& load) {
    if (Object hit = find(id)) return hit;
    return load_missed(id, load);
  }

  // get() for whoever has just called find() in vain.
  Result<Object> load_missed(const ChunkId& id, const std::function<Result<Object>()>& load);

  void insert(const ChunkId& id, const Object& object);

  ChunkCacheCounters counters() const;

 private:
  struct Shard;
  Shard& shard_of(const ChunkId& id) const;

  // Fixed after construction.
  const size_t shard_count_;
  const uint64_t shard_capacity_bytes_;
  const std::unique_ptr<Shard[]> shards_;
};

}  // namespace casdisk
