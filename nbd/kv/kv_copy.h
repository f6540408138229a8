// Copying one key-value store into another, of whatever kinds: `casdisk kv copy`.
//
// It reads pages and writes batches, as large as both sides allow, so that memory is bounded
// whatever is copied. It is no transaction: what others write to the source meanwhile is copied or
// not, and a copy that stops leaves what it has copied; with `merge` it can be repeated.
//
// What a record keeps: key, value, and the time that it has left. Versions are the target's own.
// What has less than kMinKvTtlMs left is given that; what has expired is not copied. Of several
// records of a key all are copied, in their order, where the target is empty and can have them;
// else the one that a get finds.
#pragma once

#include <functional>

#include "cas/kv/kv_store.h"

namespace casdisk {

struct KvCopyOptions {
  bool merge = false;  // the target may hold records; those under the same keys are replaced
  std::function<bool()> stop = [] { return false; };  // looked at between records
  std::function<void(uint64_t copied_bytes)> progress = [](uint64_t) {};
  KvClock clock = system_kv_clock;  // that the time which is left is reckoned by
};

struct KvCopyReport {
  uint64_t copied_count = 0;
  uint64_t copied_bytes = 0;      // keys and values
  uint64_t lengthened_count = 0;  // had less than kMinKvTtlMs left
  uint64_t expired_count = 0;     // expired on the way, and were left out
  uint64_t shadowed_count = 0;    // older records of a key, which the target has no room for
};

// kExists: the target holds records, and `merge` is not given. Where the source can hold what the
// target cannot, all is looked at first, and what does not fit is an error that names the key
// before anything is copied. Of every other error `report` says how far it came; EINTR: `stop`.
Result<void> copy_kv(KvStore& from, KvStore& to, const KvCopyOptions& options,
                     KvCopyReport& report);

}  // namespace casdisk
