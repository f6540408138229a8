#include "tests/support/memory_store.h"

namespace casdisk {

Result<ChunkId> MemoryStore::put(ObjectKind kind, std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes.size() > kMaxObjectBytes ||
      (kind == ObjectKind::kChunk && bytes.size() != kChunkBytes)) {
    return Error{Fault::kInvalid, 0, "an object of that size cannot be"};
  }
  const ChunkId id = hash_of(bytes);
  std::lock_guard lock(mutex_);
  objects_.try_emplace(id, std::make_shared<const ObjectContent>(bytes.begin(), bytes.end()));
  return id;
}

Result<Object> MemoryStore::get(const ChunkId& id) {
  std::lock_guard lock(mutex_);
  auto found = objects_.find(id);
  if (found == objects_.end()) return Error{Fault::kNotFound, 0, "chunk " + to_hex(id)};
  return found->second;
}

Result<std::vector<Object>> MemoryStore::get_many(std::span<const ChunkId> ids) {
  std::vector<Object> objects;
  for (const ChunkId& id : ids) {
    TRY_ASSIGN(Object object, get(id));
    objects.push_back(std::move(object));
  }
  return objects;
}

Result<void> MemoryStore::sync() { return {}; }

size_t MemoryStore::object_count() const {
  std::lock_guard lock(mutex_);
  return objects_.size();
}

void MemoryStore::remove(const ChunkId& id) {
  std::lock_guard lock(mutex_);
  objects_.erase(id);
}

}  // namespace casdisk
