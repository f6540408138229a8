// What embedded engines make of a scan over their records in key order, each a value behind a
// header (kv_record_format.h).
#pragma once

#include "cas/kv/kv_backend.h"

namespace casdisk {

// What one list or sweep looks at, a few milliseconds of it, and how many records a dump takes out
// at once.
inline constexpr size_t kKvLookedAtCount = 25'600;
inline constexpr size_t kKvDumpCount = 256;

using KvStored = std::span<const std::byte>;

// Calls `take` for what begins with `prefix` behind the key `after`, as of one moment, until it
// says no. What it is given is valid for the call.
using KvTake = std::function<Result<bool>(std::string_view key, KvStored stored)>;
using KvScan = std::function<Result<void>(std::string_view prefix, std::string_view after,
                                          const KvTake& take)>;

// KvBackend::list in one scan that looks at some thousand records.
Result<KvSlice> kv_list_by_scan(const KvScan& scan, const KvListRequest& request, uint64_t now_ms);

// KvBackend::dump in scans that are over before `visit` is called.
Result<void> kv_dump_by_scan(const KvScan& scan, const KvBackend::Visit& visit);

// For a sweep: some keys behind `after` that have expired. `after` moves on, and is empty at the
// end.
Result<std::vector<std::string>> kv_expired_by_scan(const KvScan& scan, uint64_t now_ms,
                                                    std::string& after);

}  // namespace casdisk
