// Removing from the catalog what nothing refers to any more: a part of garbage collection.
#pragma once

#include <cstdint>

#include "index/store.h"

namespace casdisk {

// Records of checkpoints without a name that nothing descends from, and fallbacks that no disk or
// checkpoint is over. Gives their number. Looks for them without a lock and removes them in slices:
// no other writer waits for more than one of those, which takes a look at each head and at the
// checkpoints of those disks that have changed meanwhile. About 100 bytes of memory for each record
// there is.
Result<uint64_t> sweep_catalog(Store& store);

}  // namespace casdisk
