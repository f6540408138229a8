#include "index/resize.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/layers.h"
#include "index/tree.h"

namespace casdisk {

Result<void> check_disk_size(Store& store, uint64_t size_bytes) {
  if (size_bytes >= 1 && size_bytes <= kMaxDiskBytes) return store.check_overlay_size(size_bytes);
  return Error{Fault::kInvalid, 0,
               fmt::format("a disk of {} bytes: sizes go from 1 byte to {} TiB", size_bytes,
                           kMaxDiskBytes >> 40)};
}

Result<void> resize_head(Store& store, HeadRecord& head, uint64_t size_bytes) {
  TRY(check_disk_size(store, size_bytes));
  TRY_ASSIGN(Layers layers, store.sealed_layers(head.root, head.size_bytes, head.fallback));
  Tree tree = layers.tree;
  if (size_bytes < head.size_bytes && size_bytes % kChunkBytes != 0) {
    // The rest of the last chunk reads as zeros if the disk grows again.
    uint64_t last = size_bytes / kChunkBytes;
    TRY_ASSIGN(Entry entry, lookup(store.chunks(), tree, last));
    if (entry.state == EntryState::kId) {
      Bytes bytes(kChunkBytes);
      TRY(read_chunk(layers, last, bytes));
      std::fill(bytes.begin() + ptrdiff_t(size_bytes % kChunkBytes), bytes.end(), std::byte(0));
      TRY_ASSIGN(ChunkId id, store.chunks().put(ObjectKind::kChunk, bytes));
      bool over_fallback = last * kChunkBytes < layers.fallback_limit_bytes;
      Entry zero = over_fallback ? Entry::zero() : Entry::absent();
      Change change{last, is_all_zero(bytes) ? zero : Entry::of(id)};
      TRY_ASSIGN(tree, edit(store.chunks(), tree, std::span(&change, 1)));
    }
  }
  TRY_ASSIGN(tree, resize(store.chunks(), tree, chunks_for(size_bytes)));
  head.root = tree.root;
  head.size_bytes = size_bytes;
  if (head.fallback) {
    head.fallback->limit_bytes = std::min(head.fallback->limit_bytes, size_bytes);
    if (head.fallback->limit_bytes == 0) head.fallback.reset();
  }
  return {};
}

}  // namespace casdisk
