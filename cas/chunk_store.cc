#include "cas/chunk_store.h"

#include <cstring>

namespace casdisk {

Result<void> copy_of_chunk(const ChunkId& id, const ObjectContent& object, uint32_t offset,
                           std::span<std::byte> into) {
  CHECK(offset + into.size() <= kChunkBytes);
  if (object.size() != kChunkBytes) {
    return Error{Fault::kDamaged, 0, "object " + to_hex(id) + " stands for a chunk and is none"};
  }
  std::memcpy(into.data(), object.data() + offset, into.size());
  return {};
}

Result<void> ChunkStore::read_chunk(const ChunkId& id, uint32_t offset, std::span<std::byte> into) {
  TRY_ASSIGN(const Object object, get(id));
  return copy_of_chunk(id, *object, offset, into);
}

}  // namespace casdisk
