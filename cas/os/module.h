// Modules: parts of casdisk that few commands need, each a shared object of its own that is loaded
// when somebody first asks for it. The libraries behind them (RocksDB, curl, libnbd) would cost
// every start more than what most commands do: docs/decisions/0020-modules.md.
//
// A module has one door: a structure of functions, which both sides know from a header. It is
// looked for where casdisk was linked to look (RUNPATH) and never unloaded. Safe from any thread.
#pragma once

#include "cas/os/result.h"

namespace casdisk {

// What a module exports, as `casdisk_module`.
struct Module {
  const char* version;  // of casdisk: both sides know the same structures
  const void* door;
};

// kUnsupported when it is not there, or of another version of casdisk. `name`: "casdisk-rocksdb".
Result<const void*> load_module(const char* name);

// REQUIRES: the module's door is one.
template <typename Door>
Result<const Door*> door_of(const char* name) {
  TRY_ASSIGN(const void* const door, load_module(name));
  return static_cast<const Door*>(door);
}

}  // namespace casdisk
