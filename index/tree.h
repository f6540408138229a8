// Tree: the index of one checkpoint or sealed head: chunk number -> entry.
//
// A radix tree over chunk numbers, 256 entries a page, its pages in the chunk store under the hash
// of their bytes. The height follows the number of chunks. Everything here is a pure function of a
// tree and a store; a Tree is a value of a few words, opening one reads nothing. Safe from any
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cas/chunk_store.h"
#include "index/page.h"

namespace casdisk {

// Disks may be at most this large: the tree's six levels and a signed file offset both allow it.
inline constexpr uint64_t kMaxDiskBytes = uint64_t(1) << 53;

constexpr uint64_t chunks_for(uint64_t size_bytes) {
  return (size_bytes + kChunkBytes - 1) / kChunkBytes;
}

// Levels of a tree over `chunk_count` chunks: the least h >= 1 with 256^h >= chunk_count.
uint32_t levels_for(uint64_t chunk_count);

struct Tree {
  Entry root;
  uint64_t chunk_count = 0;
  bool operator==(const Tree&) const = default;
};

// `count` chunks from `first` on that all have `entry`; an id is never repeated (count is 1).
struct EntryRun {
  uint64_t first = 0;
  uint64_t count = 0;
  Entry entry;
};

// Calls `visit` with runs that cover [first, first + count) in ascending order, until it returns
// false. Chunks beyond the tree are absent. Reads at most one page per level at a time.
// An error names the page: kDamaged for a missing one and for a wrong one.
Result<void> walk(ChunkStore& store, const Tree& tree, uint64_t first, uint64_t count,
                  const std::function<bool(const EntryRun&)>& visit);

// The entry of one chunk: as walk() finds it, with its errors, but of each page only what the
// answer rests on is checked (entry_of_page).
Result<Entry> lookup(ChunkStore& store, const Tree& tree, uint64_t chunk);

struct Change {
  uint64_t chunk = 0;
  Entry entry;
};

// The tree after `changes` (ascending, no chunk twice, all below chunk_count). Puts the pages on
// the changed paths into the store; the caller syncs it before publishing the root.
Result<Tree> edit(ChunkStore& store, const Tree& tree, std::span<const Change> changes);

// The tree over `chunk_count` chunks: entries beyond are dropped, new ones absent.
Result<Tree> resize(ChunkStore& store, const Tree& tree, uint64_t chunk_count);

struct Difference {
  uint64_t chunk = 0;
  Entry before, after;
};

// Every chunk whose entries differ, ascending, until `visit` returns false. Cost: what differs.
Result<void> diff(ChunkStore& store, const Tree& before, const Tree& after,
                  const std::function<bool(const Difference&)>& visit);

// What a tree names and the store does not have is damage, not an answer.
Error missing_is_damage(Error error);

// The page that an entry above `level` stands for: loaded and checked, or uniform. For edit and
// diff.
Result<Page> page_under(ChunkStore& store, const Entry& entry, uint32_t level);

}  // namespace casdisk
