// Layers: what a disk or a checkpoint resolves its bytes through, newest first. Immutable.
//
//   1 generations   dirty blocks, newest generation first       (generation.h)
//   2 tree          sealed chunks, of this and all ancestors    (tree.h)
//   3 fallback      a raw base image, below a limit             (fallback.h)
//   4 zeros
//
// A request takes one snapshot and resolves all of itself through it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "cas/chunk_store.h"
#include "cas/os/file.h"
#include "index/fallback.h"
#include "index/generation.h"
#include "index/tree.h"
#include "index/views.h"
#include "index/volume.h"

namespace casdisk {

struct Layers {
  FileSystem* file_system = nullptr;
  ChunkStore* chunks = nullptr;
  uint64_t size_bytes = 0;
  std::vector<std::shared_ptr<Generation>> generations;  // newest first
  bool active = false;  // the newest generation takes writes; otherwise all are frozen
  Tree tree;
  std::shared_ptr<TreePin> pin;        // of `tree`; null where nothing is ever collected
  std::shared_ptr<Fallback> fallback;  // null: none
  uint64_t fallback_limit_bytes = 0;   // 0 without a fallback

  // Nothing below the generations but zeros.
  bool nothing_sealed() const {
    return tree.root.state == EntryState::kAbsent && fallback_limit_bytes == 0;
  }
};

// Fills `into` with the bytes from `offset` on. REQUIRES: inside size_bytes.
// Pieces of generations and of the fallback file are read as one batch, chunks as another, checked
// as ChunkStore::read_parts() does.
Result<void> read_layers(const Layers& layers, uint64_t offset, std::span<std::byte> into);

// Calls `visit` with ascending extents that cover [offset, offset + length) and nothing beyond,
// equal neighbours joined, until it returns false. REQUIRES: inside size_bytes.
Result<void> extents_of_layers(const Layers& layers, uint64_t offset, uint64_t length,
                               const std::function<bool(const Extent&)>& visit);

// Brings the sealed chunks of the range into the chunk cache, as many as one call may
// (kMaxPrefetchBytes).
inline constexpr uint64_t kMaxPrefetchBytes = uint64_t(32) << 20;
Result<void> prefetch_layers(const Layers& layers, uint64_t offset, uint64_t length);

// The bytes of a whole chunk, padded with zeros beyond the size, for whoever puts them into the
// store again: chunks are checked against their ids.
Result<void> read_chunk(const Layers& layers, uint64_t chunk, std::span<std::byte> into);

}  // namespace casdisk
