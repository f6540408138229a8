// What garbage collection begins with: the trees that somebody may still read, and the records of
// checkpoints that are kept.
//
// Unlike roots_of() of other commands this is one moment: a tree that the catalog or a view names
// throughout the call is in it, however names move meanwhile.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "index/store.h"
#include "index/tree.h"

namespace casdisk {

enum class RootKind { kDisk, kCheckpoint, kFallback, kView };

struct GcRoot {
  RootKind kind = RootKind::kDisk;
  std::string name;  // who needs it: "web", "web@monday", "the fallback /images/base.raw"
  std::vector<Tree> trees;
  // Of the checkpoint, an object too.
  std::optional<ChunkId> record;
};

struct GcRoots {
  std::vector<GcRoot> roots;
  std::vector<ChunkId> links;  // records of removed checkpoints that others descend from
};

// About 300 bytes of memory for each disk and checkpoint. kDamaged when a record cannot be read: it
// says which.
Result<GcRoots> gc_roots(Store& store);

// For who looks without the lock of garbage collection: one beside it may delete what was named
// when the roots were gathered. Calls `look`, which gathers them, again when it finds damage, and
// believes what it finds the same way twice: who needs it was named after it was found missing.
Result<void> look_beside_collection(const std::function<Result<void>()>& look);

}  // namespace casdisk
