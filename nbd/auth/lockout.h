// Lock-out: how often a password may be wrong before nobody can try that name for a while.
//
// Attempts are counted before they are judged, by compare-and-set, so that many at once count as
// many; a right password clears them. Names that nobody has are counted alike. Any thread, any
// process.
#pragma once

#include <string>

#include "nbd/auth/access_store.h"

namespace casdisk {

inline constexpr uint32_t kMaxFailures = 5;
inline constexpr uint64_t kLockOutMs = 5 * 60'000;  // since the last of them

// kLimit, with how long, when the name is locked out.
Result<void> count_attempt(AccessStore& store, const std::string& name);
Result<void> clear_attempts(AccessStore& store, const std::string& name);
// For how much longer nobody can try; 0: one can.
Result<uint64_t> locked_out_for_ms(AccessStore& store, const std::string& name);

}  // namespace casdisk
