// What `casdisk doctor` says of a store: its file system, its tables, its disks, and what others
// have left in it. Looks, and changes nothing.
#pragma once

#include "index/store.h"
#include "nbd/cli/finding.h"

namespace casdisk {

// Of the directory alone, which may be a store that cannot be opened.
Findings judge_directory(const std::string& path);

Findings judge_store(Store& store);

}  // namespace casdisk
