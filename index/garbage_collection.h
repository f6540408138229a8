// Garbage collection of a store: what nothing names any more becomes free space.
//
//   catalog  ─ mark ─ choose packs ─ condemn, wait for sessions ─ mark ─ move what lives, delete
//   packs
//
// Runs beside whatever else uses the store, in any process; may be interrupted anywhere.
#pragma once

#include <functional>
#include <string>

#include "cas/pack_collector.h"
#include "index/store.h"

namespace casdisk {

struct GcOptions {
  unsigned min_garbage_percent = 20;  // see CollectorOptions
  std::function<bool()> stop = [] { return false; };
  std::function<void(const std::string&)> note = [](const std::string&) {};
  std::function<void(uint64_t bytes)> progress = [](uint64_t) {};
};

struct GcReport {
  uint64_t object_count = 0;   // in the store, before
  uint64_t live_count = 0;     // of them
  uint64_t stored_bytes = 0;   // in pack files, before
  uint64_t garbage_bytes = 0;  // of them
  uint64_t pack_count = 0;
  uint64_t chosen_count = 0;          // packs worth collecting
  uint64_t collectable_bytes = 0;     // garbage in them
  uint64_t removed_record_count = 0;  // of the catalog
  CollectorOutcome done;
};

// kBusy: another collection is running. kDamaged: a page cannot be read, and nothing was collected.
// Packs that stay for what is wrong with them are in the report.
Result<GcReport> collect_garbage(Store& store, const GcOptions& options);

// What collect_garbage() would find now. Changes nothing that anybody reads: what processes that
// have died left in views/ goes.
Result<GcReport> look_for_garbage(Store& store, const GcOptions& options);

}  // namespace casdisk
