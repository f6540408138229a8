// What a store is seen to hold by a process that has just begun, and whether a model allows it.
#pragma once

#include <map>
#include <string>

#include "tests/crash/model.h"

namespace casdisk {

struct Observed {
  struct DiskContent {
    Bytes bytes;
    std::map<std::string, Bytes> checkpoints;
    bool was_poisoned = false;
  };
  std::map<std::string, DiskContent> disks;
};

// Opens every disk, reads all of it and of its checkpoints, walks its lineage. A poisoned disk is
// accepted first. Whatever is not readable is an error.
Result<Observed> observe(Worker& worker);

// Why the model does not allow what was seen; empty: it does.
std::string mismatch(const Model& model, const Observed& observed, bool after_power_cut);

}  // namespace casdisk
