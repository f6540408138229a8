#include "cas/chunk_store.h"

#include <cstring>

namespace casdisk {

namespace {

constexpr size_t kChunksPerFetch = 64;  // bounds the memory of a large read

}  // namespace

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

Result<void> ChunkStore::read_whole(std::span<const ChunkPart> parts) {
  std::vector<ChunkId> ids;
  while (!parts.empty()) {
    ids.clear();
    size_t count = 0;
    for (; count < parts.size(); count++) {
      const ChunkId& id = parts[count].id;
      if (!ids.empty() && id == ids.back()) continue;
      if (ids.size() == kChunksPerFetch) break;
      ids.push_back(id);
    }
    TRY_ASSIGN(const auto objects, get_many(ids));
    auto object = objects.begin();
    for (const ChunkPart& part : parts.first(count)) {
      if (part.id != ids[size_t(object - objects.begin())]) ++object;
      TRY(copy_of_chunk(part.id, **object, part.offset, part.into));
    }
    parts = parts.subspan(count);
  }
  return {};
}

}  // namespace casdisk
