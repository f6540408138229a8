// Rebuild: makes a store's LMDB environments anew when they are lost or cannot be read.
//
// The location table is made of the packs, the catalog of what is left (catalog_rebuild.h). Each is
// built beside the old one, synced, and then takes its place by two renames; the old directory is
// kept as locations.lost-N or meta.lost-N and never deleted. Between the two a store without a
// table or a catalog is refused by whoever opens it, and the next rebuild begins again. Directories
// of disks that nothing names any more are kept as disks/lost-<uid>.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cas/os/file.h"
#include "cas/os/result.h"

namespace casdisk {

struct RebuildOptions {
  unsigned threads = 1;
  bool dry_run = false;  // says what is lost, and changes nothing
  std::function<bool(uint64_t done_bytes)> progress = [](uint64_t) { return true; };
};

struct RebuildReport {
  bool locations_lost = false, catalog_lost = false;
  uint64_t pack_count = 0, object_count = 0, damaged_count = 0;
  uint64_t disk_count = 0, checkpoint_count = 0;
  std::vector<std::string> kept_aside;  // paths
  std::vector<std::string> said;        // what is not as it was, a sentence each
};

// kBusy while any other process has the store open. Does nothing where both can be read. REQUIRES:
// this process has one thread, and the store is not open in it.
Result<RebuildReport> rebuild_store(FileSystem& file_system, const std::string& path,
                                    const RebuildOptions& options);

// Takes a fallback's file again that the catalog has lost: kInvalid when no disk and no checkpoint
// needs a file with just this identity. Gives the names of those that do.
class Store;
Result<std::vector<std::string>> take_fallback_again(Store& store, const std::string& path);

}  // namespace casdisk
