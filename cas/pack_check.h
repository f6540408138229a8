// Checking all packs of a store against its location table: every record, reachable or not, is read
// in the order in which it lies, and its checksums and its hash are recomputed.
//
// Works beside processes that write and collect garbage. What is wrong at first sight is a suspect:
// the object may have moved meanwhile, so whoever judges looks it up once more
// (LocalStore::get_stored, which also flags the damaged copy).
#pragma once

#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "cas/local_store.h"

namespace casdisk {

struct PackCheckOptions {
  unsigned threads = 1;
  // Called with bytes of packs checked and of all, from any thread; false ends the check (EINTR).
  std::function<bool(uint64_t done_bytes, uint64_t total_bytes)> progress = [](uint64_t, uint64_t) {
    return true;
  };
  // Entries of the table held at a time, 64 bytes each: 128 MiB. A larger table is read once for
  // each so many.
  size_t entries_per_batch = size_t(2) << 20;
};

// Bytes of a pack that are not what was written, and that no entry names: they cost nobody a byte.
struct UnnamedDamage {
  PackLocation location;
  std::string what;
};

struct PackCheck {
  std::vector<LocatedObject> suspects;  // no more than kMaxSuspects
  uint64_t suspect_count = 0;           // entries whose record is not whole where it should be
  std::unordered_set<uint64_t> packs;   // those that were checked
  uint64_t record_count = 0;
  uint64_t unnamed_record_count = 0;  // duplicates, and what garbage collection will find
  uint64_t checked_bytes = 0;
  std::vector<UnnamedDamage> unnamed;  // no more than kMaxUnnamed
  uint64_t unnamed_count = 0;
};

inline constexpr size_t kMaxSuspects = size_t(1) << 20;
inline constexpr size_t kMaxUnnamed = 1000;

Result<PackCheck> check_packs(LocalStore& store, const PackCheckOptions& options);

}  // namespace casdisk
