// Checking what a disk has that is not sealed yet, by looking alone: overlays, maps and journals.
//
// Takes no lease, so it disturbs nobody; disks that somebody holds are left to their holder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "index/store.h"

namespace casdisk {

struct UnsealedCheck {
  std::optional<LockHolder> holder;  // has the disk open: nothing was looked at
  uint64_t generation_count = 0;
  uint64_t checked_bytes = 0;         // of overlays
  std::vector<std::string> problems;  // sentences that name the file
};

// kNotFound: the disk is gone.
Result<UnsealedCheck> check_unsealed(Store& store, const std::string& disk);

}  // namespace casdisk
