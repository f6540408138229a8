// ChunkStore: the set of objects we hold, addressed by content.
//
// An object is a chunk (exactly 64 KiB), an index page or a checkpoint record (both shorter).
// Implementations: LocalStore (cas/), MemoryStore (tests/support/). Every implementation passes
// tests/contract/chunk_store_contract.cc. Safe to call from any thread.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "cas/chunk_id.h"
#include "cas/os/bytes.h"
#include "cas/os/result.h"

namespace casdisk {

// Recorded beside each object, so that a store can be rebuilt from its packs alone.
enum class ObjectKind : uint8_t {
  kChunk = 1,       // exactly kChunkBytes
  kPage = 2,        // an index page
  kCheckpoint = 3,  // a checkpoint record
};

inline constexpr uint32_t kMaxObjectBytes = kChunkBytes;

// Memory that is about to be filled: a new element of a plain type is not zeroed first.
template <typename T>
struct UnfilledAllocator : std::allocator<T> {
  void construct(T* element) { ::new (static_cast<void*>(element)) T; }
};
using ObjectContent = std::vector<std::byte, UnfilledAllocator<std::byte>>;

// Verified bytes of one object, shared and immutable; they live as long as somebody holds them.
using Object = std::shared_ptr<const ObjectContent>;

// Whether an error of get() speaks of the object itself, which is missing, damaged or on a sector
// that cannot be read; otherwise of this process, which has run out of memory or descriptors, say.
inline bool means_damage(const Error& error) {
  return error.fault == Fault::kDamaged || error.fault == Fault::kNotFound || error.os_error == EIO;
}

// Bytes of a chunk that somebody wants. REQUIRES: inside the chunk.
struct ChunkPart {
  ChunkId id;
  uint32_t offset = 0;
  std::span<std::byte> into;
};

class ChunkStore {
 public:
  virtual ~ChunkStore() = default;

  // Stores the object if it is new and returns its id. Durable after the next sync() that begins
  // after this returns, also when the object was there already.
  virtual Result<ChunkId> put(ObjectKind kind, std::span<const std::byte> bytes) = 0;

  // The object's bytes, checked against `id`. kNotFound: no such object. kDamaged: the copy we hold
  // is not what was put; never served. The error names the object and where it lies.
  virtual Result<Object> get(const ChunkId& id) = 0;

  // The bytes of a chunk from `offset` on, for a reader who does not store them anew: checked
  // against the id or, where a store can, only the blocks that they lie in against their own
  // checksums. Errors as get(). kDamaged also where the object is none of kChunkBytes.
  virtual Result<void> read_chunk(const ChunkId& id, uint32_t offset, std::span<std::byte> into);

  // The same for many, as one batch. The first error wins, and leaves anything in what was wanted.
  virtual Result<void> read_parts(std::span<const ChunkPart> parts) { return read_whole(parts); }

  // As read_parts(), but each chunk is checked against its id: what is stored under a new hash has
  // to be right. Parts of one chunk that follow each other have it fetched once.
  Result<void> read_whole(std::span<const ChunkPart> parts);

  // The objects of `ids` in their order, read in one batch. The first error wins.
  virtual Result<std::vector<Object>> get_many(std::span<const ChunkId> ids) = 0;

  // Every object put before the call began survives a power cut after it returned.
  virtual Result<void> sync() = 0;
};

// What read_chunk() makes of a whole object.
Result<void> copy_of_chunk(const ChunkId& id, const ObjectContent& object, uint32_t offset,
                           std::span<std::byte> into);

}  // namespace casdisk
