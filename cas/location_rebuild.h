// Making the location table anew from the packs, which hold all it knows.
#pragma once

#include <functional>

#include "cas/location_table.h"
#include "cas/os/file.h"

namespace casdisk {

struct LocationRebuildOptions {
  unsigned threads = 1;
  std::function<bool(uint64_t done_bytes)> progress = [](uint64_t) { return true; };
  // Each whole checkpoint record that was met; any thread.
  std::function<void(const ChunkId& id, std::span<const std::byte> record)> checkpoint =
      [](const ChunkId&, std::span<const std::byte>) {};
};

struct LocationRebuild {
  uint64_t pack_count = 0;
  uint64_t record_count = 0;   // whole ones, duplicates among them
  uint64_t damaged_count = 0;  // records that are not what was written
};

// Reads every record of every pack. With a `table`, which is empty, each object is entered with a
// copy whose checksums and hash hold; one of which there are damaged copies alone with such a one,
// flagged. The table takes over the packs' store id and numbers. Without, only checkpoint records
// are told of. Memory: 5 MiB a thread, and 64 bytes for each damaged record up to a million.
Result<LocationRebuild> rebuild_locations(Directory& packs, LocationTable* table,
                                          const LocationRebuildOptions& options);

}  // namespace casdisk
