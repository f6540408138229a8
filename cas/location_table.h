// LocationTable: where every object of a store lies, and which packs there are; shared by all
// processes that have it open.
//
// An LMDB environment of its own, so that the large sorted commits of a seal delay nobody else.
// Whatever is in it is durable. Safe to call from any thread. Keys begin with a type byte:
//
//   KEY              VALUE
//   "V"              format version u32, 1
//   "S"              store id, 16 random bytes, made with the table
//   "P"              the last pack id that was given out, u64
//   "L" id           pack u64, offset u64, record bytes u32, flags u8 (1: found damaged)
//   "A" pack         what PackRecord says; the pack big-endian
//   "G"              oldest generation u64, generation u64 (see below)
//
// Numbers are little-endian otherwise.
//
// Garbage collection (pack_collector.h) counts *generations*. It condemns packs and begins a new
// generation in one transaction. From then on nothing is entered in a condemned pack, and what lies
// in one is not found by whoever wants to keep it. location_table_packs.cc has this half.
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

  // As LmdbEnvironment::catch_up().
  Result<void> catch_up() { return environment_->catch_up(); }

  Result<std::optional<Entry>> lookup(const ChunkId& id);

  // For whoever wants to rely on the copy from now on: only one that is not known to be damaged, in
  // a pack that is not condemned.
  Result<std::optional<PackLocation>> lookup_to_keep(const ChunkId& id);

  // Enters all or nothing, in one transaction; an older location of the same id is replaced. Gives
  // the packs that take nothing any more (condemned, or gone already): then nothing was entered.
  // REQUIRES: the bytes are synced, and so is the directory that names their pack.
  Result<std::vector<uint64_t>> enter(std::span<const LocatedObject> objects);

  // Flags the entry if it still is `location`. When that cannot be written down, this table
  // remembers it for as long as it is open.
  void flag_damaged(const ChunkId& id, const PackLocation& location);

  // Calls `visit` with every entry, by id, in transactions of some ten thousand each: what others
  // enter or change meanwhile may be seen or not. Stops at an error of visit's.
  Result<void> for_each(const std::function<Result<void>(const ChunkId&, const Entry&)>& visit);

  // Of a table that is made anew from packs: takes over what they say of their store, and their
  // numbers as given out. Before anything is entered.
  Result<void> adopt(const StoreId& store_id, std::span<const uint64_t> packs);

  Result<LmdbInfo> info() { return environment_->info(); }

  // How many objects the table knows. Costs next to nothing.
  Result<uint64_t> object_count();

  // A number that no pack of this store ever had. From now on it takes records.
  Result<uint64_t> allocate_pack();

  struct PackRecord {
    uint64_t pack = 0;
    bool condemned = false;
  };
  // All packs that take records or are condemned, by number.
  Result<std::vector<PackRecord>> packs();
  Result<bool> takes_records(uint64_t pack);
  // 0: none was ever given out.
  Result<uint64_t> last_pack();
  // Registers packs that objects lie in and no record tells of, as allocate_pack() does: of a table
  // that was rebuilt, say. Their numbers count as given out.
  Result<void> adopt_packs(std::span<const uint64_t> packs);

  // Of a work session (write_session.h), and the oldest of which there may be one.
  struct Generations {
    uint64_t oldest = 0;
    uint64_t current = 0;
  };
  Result<Generations> generations();

  // One transaction: condemns the packs, as far as there are records of them, and begins the next
  // generation, which it gives.
  Result<Generations> condemn(std::span<const uint64_t> packs);
  // No session of a generation before this one is left.
  Result<void> sessions_ended(uint64_t before);
  // They take part again as if nothing had been.
  Result<void> pardon(std::span<const uint64_t> packs);

  struct Move {
    ChunkId id;
    PackLocation from, to;
  };
  // Each in so far as the object still lies at `from`. REQUIRES: as enter().
  Result<void> move(std::span<const Move> moves);
  // Forgets the objects that still lie there.
  Result<void> remove(std::span<const LocatedObject> objects);
  // Forgets condemned packs. REQUIRES: nothing lies in them.
  Result<void> remove_packs(std::span<const uint64_t> packs);

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
