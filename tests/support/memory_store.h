// MemoryStore: a ChunkStore in a map, for tests of what lies above one.
#pragma once

#include <mutex>
#include <unordered_map>

#include "cas/chunk_store.h"

namespace casdisk {

class MemoryStore : public ChunkStore {
 public:
  Result<ChunkId> put(ObjectKind kind, std::span<const std::byte> bytes) override;
  Result<Object> get(const ChunkId& id) override;
  Result<std::vector<Object>> get_many(std::span<const ChunkId> ids) override;
  Result<void> sync() override;

  size_t object_count() const;
  // Forgets an object, as a damaged store might.
  void remove(const ChunkId& id);

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::unordered_map<ChunkId, Object> objects_;
};

}  // namespace casdisk
