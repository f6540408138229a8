// Roots, and walking all that they reach: what verify, repair and garbage collection begin with.
//
// A root is a tree that the catalog names: of a head, a checkpoint, an attachment, a fallback's
// table. Trees share most of their pages; a walk visits each page once. What has no tree yet is not
// here: generations (FORMAT.md), and what a running process has put and not published.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "index/catalog.h"
#include "index/names.h"
#include "index/tree.h"

namespace casdisk {

struct CatalogRoot {
  std::string name;  // "web", "web@monday", "web@monday:memory" or "fallback /images/base.raw"
  Tree tree;
  uint64_t size_bytes = 0;
  std::optional<FallbackUse> fallback;    // what answers for the chunks that are absent
  std::optional<FallbackId> is_table_of;  // of a fallback's table
  std::optional<ChunkId> record;          // the checkpoint's; not of its attachments
};

struct CatalogRoots {
  std::vector<CatalogRoot> roots;
  // Checkpoint records that a name, a head or another record names. Those without a name are links
  // of a lineage: their trees are not roots.
  std::vector<ChunkId> records;
  // Records that the catalog names and lacks, or has with other bytes.
  std::vector<std::pair<ChunkId, Error>> bad_records;
};

// All of them; about 300 bytes of memory each. Reads disk by disk, so that no transaction is long:
// what others make or remove meanwhile may be in it or not. Attachments of pending checkpoints are
// in it under the name "disk@checkpoint:attachment". Of a fork that waits for its source's seal
// there is nothing to say.
Result<CatalogRoots> roots_of(const Catalog& catalog);

// Those of a disk and all its checkpoints, or of one checkpoint, with the fallback's table that
// they use. kNotFound. Of a checkpoint that is not sealed yet: its attachments, and the head.
Result<CatalogRoots> roots_of(const Catalog& catalog, const VolumeName& name);

struct PageBatch {
  std::span<const ChunkId> pages;   // read and whole
  std::span<const ChunkId> chunks;  // what the leaves among them name; may repeat
};

struct PageVisitor {
  // Reads a page. Any thread.
  std::function<Result<Object>(const ChunkId&)> read;
  // Called by the caller's thread, after each of a few thousand pages.
  std::function<Result<void>(const PageBatch&)> visit;
  // A page that cannot be read or is none; what is below it is not visited. An error ends the walk.
  std::function<Result<void>(const ChunkId& id, uint32_t level, const Error&)> bad_page;
};

// Visits every page below `roots` once, on `threads` threads, from the roots down. Memory: about
// 100 bytes a page, each of which stands for up to 16 MiB of data, and 8 MiB a batch.
Result<void> walk_pages(std::span<const CatalogRoot> roots, const PageVisitor& visitor,
                        unsigned threads);

}  // namespace casdisk
