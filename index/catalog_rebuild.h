// Making a catalog anew from what is left of the old one, the checkpoint records in packs, and the
// notes of heads beside their generations.
//
// What the old catalog still says is taken as it is, if it can be believed: a head's root must be
// in the store, a checkpoint's record must hash to its id. Where a part of the old catalog could
// not be read, the rest is made of the records: each disk that they name gets its checkpoints back,
// and a head at the newest of them. Checkpoints and disks that were removed may then come back too:
// the records do not know. Nothing here does I/O but through what it is given.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "index/catalog.h"
#include "index/head_note.h"
#include "index/tree.h"

namespace casdisk {

// What there is to make it of.
struct CatalogRemains {
  // From the old catalog.
  std::map<std::string, HeadRecord> heads;
  std::map<std::pair<uint64_t, std::string>, ChunkId> names;  // of checkpoints, by disk uid
  std::map<FallbackId, FallbackRecord> fallbacks;
  bool heads_are_complete = false, names_are_complete = false;
  uint64_t next_uid = 1;

  std::map<ChunkId, Bytes> records;    // of checkpoints: their bytes, which hash to the ids
  std::map<uint64_t, HeadNote> notes;  // by disk uid: of directories that no head above names
  std::set<uint64_t> directories;      // uids of all directories of disks

  // Whether a root can be read as a page of that tree. Others are as good as lost.
  std::function<bool(const Tree& tree)> is_readable = [](const Tree&) { return true; };
  int64_t now_ns = 0;
};

struct RebuiltCatalog {
  std::map<std::string, HeadRecord> heads;
  std::map<std::pair<uint64_t, std::string>, ChunkId> names;
  std::map<ChunkId, Bytes> records;
  std::map<FallbackId, FallbackRecord> fallbacks;
  uint64_t next_uid = 1;
  // Directories that no head names: to be kept aside.
  std::vector<uint64_t> orphans;
  // What is not as it was, a sentence each.
  std::vector<std::string> said;
};

// Pure.
RebuiltCatalog rebuild_catalog(CatalogRemains remains);

// Writes it into an empty catalog, in transactions of some thousand records.
Result<void> fill_catalog(const Catalog& catalog, const RebuiltCatalog& rebuilt);

}  // namespace casdisk
