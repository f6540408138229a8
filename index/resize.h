// Resizing what is sealed: the tree, the last chunk, the limit of the fallback.
#pragma once

#include <cstdint>

#include "index/records.h"
#include "index/store.h"

namespace casdisk {

// kInvalid: no disk can have that size, or none on the store's file system.
Result<void> check_disk_size(Store& store, uint64_t size_bytes);

// Changes size, root and fallback limit of a head, as if it had no generations. Puts what it makes:
// the caller is in a write session, and syncs the store before it publishes the head.
Result<void> resize_head(Store& store, HeadRecord& head, uint64_t size_bytes);

}  // namespace casdisk
