// What each pack of a store holds, and how much of that is alive.
#pragma once

#include <cstdint>
#include <map>

#include "cas/live_set.h"
#include "cas/local_store.h"

namespace casdisk {

struct PackUse {
  uint64_t file_bytes = 0;  // 0 where there is no file
  bool has_file = false;
  bool has_record = false;  // of the pack, in the location table
  bool is_condemned = false;
  uint64_t live_count = 0;  // objects that the table finds here
  uint64_t dead_count = 0;
  uint64_t live_bytes = 0;  // of their records
  uint64_t dead_bytes = 0;

  // What would come back: the dead, and records that the table does not find here.
  uint64_t garbage_bytes() const {
    const uint64_t kept = kPackHeaderBytes + live_bytes;
    if (live_count == 0) return file_bytes;
    return file_bytes > kept ? file_bytes - kept : 0;
  }
};

using PackUses = std::map<uint64_t, PackUse>;

// Of all packs. Slices of the table are read one after the other: what is put meanwhile counts for
// dead or is missing. kDamaged when there is a pack that the table cannot have given out: then it
// is not the store's.
Result<PackUses> use_of_packs(LocalStore& store, const LiveSet& live);

}  // namespace casdisk
