// Which ranges of two disks or checkpoints differ, in chunks.
#pragma once

#include <functional>

#include "index/names.h"
#include "index/store.h"

namespace casdisk {

struct DiffRange {
  uint64_t offset = 0;  // bytes
  uint64_t length = 0;
};

// Calls `visit` with the ascending ranges in which `before` and `after` differ, whole chunks except
// at the end, until it returns false. Cost: what differs, not what there is; only where the two
// stand on different fallbacks their bytes are compared. A head with unsealed writes is sealed
// first, which needs its lease.
Result<void> diff_volumes(Store& store, const VolumeName& before, const VolumeName& after,
                          const std::function<bool(const DiffRange&)>& visit);

}  // namespace casdisk
