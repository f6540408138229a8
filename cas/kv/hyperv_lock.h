// The locks of a pool file, as its other users take them: flock(2), which cloud-init and azure-init
// use, then an open-file-description lock on all of it, which is what excludes hv_kvp_daemon and
// its POSIX locks (those of our own would be lost with any descriptor of the file that is closed).
//
// Both belong to the open file and end with it, however the process ends. Two that are open in one
// process exclude each other too.
#pragma once

#include <chrono>

#include "cas/os/file.h"

namespace casdisk {

enum class HypervLock { kShared, kExclusive };

// Who holds a pool file does so for milliseconds; but whoever may read it can lock it for ever.
inline constexpr std::chrono::milliseconds kHypervPatience{10'000};

// Takes both, or, on an error, none. kBusy when somebody else keeps one of them for longer than
// `patience`. kExclusive wants a file that is open for writing.
Result<void> lock_hyperv_pool(const File& file, HypervLock kind,
                              std::chrono::milliseconds patience = kHypervPatience);

// Whether the open file is still the one that its path names.
bool is_current_file(const File& file);

}  // namespace casdisk
