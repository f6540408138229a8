// LocationTable: where every object of a store lies; shared by all processes that have it open.
//
// An LMDB environment of its own, so that the large sorted commits of a seal delay nobody else.
// Whatever is in it is durable. Safe to call from any thread. Keys begin with a type byte:
//
//   KEY              VALUE
//   "V"              format version u32, 1
//   "S"              store id, 16 random bytes, made with the table
//   "P"              the last pack id that was given out, u64
//   "L" id           pack u64, offset u64, record bytes u32, flags u8 (1: found damaged)
//
// Numbers are little-endian.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "cas/kv/lmdb.h"
#include "cas/machine.h"
#include "cas/pack_format.h"

namespace casdisk {

class LocationTable {
 public:
  struct Entry {
    PackLocation location;
    // Somebody has found the copy unreadable: reading it may be tried, storing another one must be.
    bool damaged = false;
  };

  // `directory` must exist. A new table is initialized.
  static Result<std::unique_ptr<LocationTable>> open(Machine& machine, const std::string& directory,
                                                     const LmdbOptions& options);

  Result<std::optional<Entry>> lookup(const ChunkId& id);

  // Enters all or nothing, in one transaction; an older location of the same id is replaced.
  // REQUIRES: the bytes are synced, and so is the directory that names their pack.
  Result<void> enter(std::span<const LocatedObject> objects);

  // Flags the entry if it still is `location`. When that cannot be written down, this table
  // remembers it for as long as it is open.
  void flag_damaged(const ChunkId& id, const PackLocation& location);

  // Calls `visit` with every entry, by id, in transactions of some ten thousand each: what others
  // enter or change meanwhile may be seen or not. Stops at an error of visit's.
  Result<void> for_each(const std::function<Result<void>(const ChunkId&, const Entry&)>& visit);

  // How many objects the table knows. Costs nothing.
  Result<uint64_t> object_count();

  // A number that no pack of this store ever had.
  Result<uint64_t> allocate_pack();

  const StoreId& store_id() const { return store_id_; }

 private:
  explicit LocationTable(std::unique_ptr<LmdbEnvironment> environment)
      : environment_(std::move(environment)) {}
  Result<void> initialize(Machine& machine);
  bool remembered_damaged(const ChunkId& id, const PackLocation& location);

  // Fixed after open().
  const std::unique_ptr<LmdbEnvironment> environment_;
  StoreId store_id_{};

  std::mutex mutex_;
  // Guarded by mutex_. What could not be flagged.
  std::unordered_map<ChunkId, PackLocation> damaged_;
};

}  // namespace casdisk
