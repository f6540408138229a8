// Repair: brings damaged and missing objects back from wherever the same bytes are still to be had.
//
// An object is named by the hash of its bytes, so any copy will do: another record in a pack, a
// fallback's file, an image that the disk was once made of, the catalog (records of checkpoints).
// What was found is put into the store again; damaged records stay where they are, and nothing
// refers to them any more. Works beside processes that use the store: their next read finds the new
// copy. Interrupted, it can be called again. What cannot be mended stays an error to whoever reads
// it, and is written down in the store's file `losses`.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "index/image.h"
#include "index/verify.h"

namespace casdisk {

struct RepairOptions {
  unsigned threads = 1;
  bool dry_run = false;  // looks for copies, and stores none
  // Opens an image that may have what is missing, from its beginning; null: there is none.
  std::function<Result<std::unique_ptr<ImageSource>>()> open_image;
  // What is done just now ("verify", "scan packs"), and how far it is; false ends it (EINTR).
  std::function<bool(const char* phase, uint64_t done_bytes)> progress = [](const char*, uint64_t) {
    return true;
  };
};

struct RepairReport {
  uint64_t damaged_count = 0;  // at first; a page that comes back may show more
  uint64_t from_catalog = 0;
  uint64_t from_packs = 0;
  uint64_t from_fallbacks = 0;
  uint64_t from_image = 0;
  uint64_t dropped_count = 0;  // objects that nothing needs: the store does not claim them any more
  VerifyReport left;           // what is damaged still

  uint64_t mended_count() const { return from_catalog + from_packs + from_fallbacks + from_image; }
};

// Of the whole store, or of a disk or a checkpoint.
Result<RepairReport> repair(Store& store, const std::optional<VolumeName>& name,
                            const RepairOptions& options);

}  // namespace casdisk
