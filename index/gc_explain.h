// Why a store is as large as it is: what each disk and checkpoint keeps alone, and what it shares.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "index/gc_roots.h"

namespace casdisk {

struct ObjectBytes {
  uint64_t stored = 0;  // of records in packs, compressed
  uint64_t plain = 0;   // of the objects themselves
  ObjectBytes& operator+=(const ObjectBytes& other) {
    stored += other.stored;
    plain += other.plain;
    return *this;
  }
  ObjectBytes& operator-=(const ObjectBytes& other) {
    stored -= other.stored;
    plain -= other.plain;
    return *this;
  }
};

struct Pinned {
  RootKind kind = RootKind::kDisk;
  std::string name;
  ObjectBytes alone;   // would be garbage without it
  ObjectBytes shared;  // others need that too; what it has in several places may count for each
};

struct Explanation {
  std::vector<Pinned> pinned;  // in the order of the roots
  ObjectBytes shared;          // each object that several need, once
  ObjectBytes links;           // records of removed checkpoints that others descend from
};

// Reads each index page at most twice. About 60 bytes of memory an object: kInvalid when that is
// more than half of what is available. Otherwise fails as marking does.
Result<Explanation> explain_store(Store& store, const std::function<bool()>& stop);

}  // namespace casdisk
