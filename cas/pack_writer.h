// PackWriter: appends records to packs of its own, one after the other.
//
// A pack's file is made at the first append. A pack is closed when it is full, when
// an append to it failed and when a sync failed; what was appended to it before a failed append
// stays valid. What no sync was to cover goes with the writer: nobody can have been told of it, and
// its space would be lost. Safe to call from any thread, but for sync(): one at a time, beside any
// appends.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "cas/location_table.h"
#include "cas/os/file.h"
#include "cas/pack_format.h"

namespace casdisk {

class PackWriter {
 public:
  // Both outlive the writer. A pack holds at least one record, however small it may be.
  PackWriter(Directory& packs, LocationTable& locations, uint64_t max_pack_bytes)
      : packs_(packs),
        locations_(locations),
        max_pack_bytes_(std::min(max_pack_bytes, kMaxPackBytes)) {}
  ~PackWriter();
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  // Appends a whole record (encode_record). Readable at its location when this returns, also by
  // other processes and when this one dies; durable after the next sync().
  Result<PackLocation> append(std::span<const std::byte> record);

  // All records appended before it began, and the names of their files, are on the device. On an
  // error none of those not covered by an earlier success may be relied on.
  Result<void> sync();

  // The pack that the next record goes to, if it fits; 0: none is open.
  uint64_t current_pack() const;
  // The next record goes to another pack than these.
  void close(std::span<const uint64_t> packs);

 private:
  struct Pack {
    uint64_t id = 0;
    std::unique_ptr<File> file;
    // Guarded by mutex_.
    uint64_t end = 0;
    uint64_t write_out_end = 0;
    uint64_t sync_end = 0;  // as of the last sync, whatever came of that; 0: there was none
    bool unsynced = false;
    bool lost = false;  // a sync failed: no later one could be believed
  };

  struct Appended {
    PackLocation location;
    std::shared_ptr<Pack> due;  // to be written out; null: none
  };

  Result<Appended> append_alone(std::span<const std::byte> record);
  Result<std::shared_ptr<Pack>> begin_pack();
  void abandon_current();
  Result<void> sync_packs(std::span<const std::shared_ptr<Pack>> packs, bool names_unsynced);

  // Fixed after construction.
  Directory& packs_;
  LocationTable& locations_;
  const uint64_t max_pack_bytes_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<Pack> current_;
  std::vector<std::shared_ptr<Pack>> unsynced_;
  bool names_unsynced_ = false;
};

}  // namespace casdisk
