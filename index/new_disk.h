// Entering new disks into the catalog.
#pragma once

#include <optional>
#include <string>

#include "index/catalog.h"
#include "index/records.h"
#include "index/store.h"

namespace casdisk {

// A disk that has no name yet, with its first checkpoint and its fallback if it has them. All that
// `head` reaches has been put and synced; uid and time of creation are filled in.
struct NewDisk {
  HeadRecord head;
  std::optional<FallbackRecord> fallback;
  std::optional<SealedCheckpoint> checkpoint;  // becomes the head's parent
};

// Under a name that must be free (kExists), as part of the caller's transaction.
Result<void> enter_disk(CatalogWriter& writer, Store& store, const std::string& name, NewDisk disk);
// The same as a transaction of its own.
Result<void> add_disk(Store& store, const std::string& name, NewDisk disk);

}  // namespace casdisk
