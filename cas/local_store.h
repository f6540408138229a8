// LocalStore: the ChunkStore of one store directory: packs, their location table, a chunk cache.
//
//   put:  hash ─ known? ─ compress ─ PackWriter::append ─ pending        (registered by sync)
//   get:  ChunkCache ─ pending or LocationTable ─ PackReader ─ verify ─ ChunkCache
//   read_chunk, read_parts:  ChunkCache ─ RawRecords ─ PackReader: blocks and their checksums,
//                            or get
//
// Many processes share a store: each appends to packs of its own, the table is shared. Open it
// after fork. Ordering: a location is registered only after its bytes are synced, so whatever
// another process finds in the table is durable. A copy that was found damaged, or whose pack is
// gone, is not trusted by put: it stores another one.
//
// Beside garbage collection (write_session.h): whoever puts what is to be kept does so in a
// session. When the first session of a new generation begins here, what older sessions of this
// process left unregistered is registered outside condemned packs, or forgotten if there are none.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cas/chunk_cache.h"
#include "cas/chunk_store.h"
#include "cas/codec.h"
#include "cas/location_table.h"
#include "cas/os/file.h"
#include "cas/pack_reader.h"
#include "cas/pack_writer.h"
#include "cas/pending_objects.h"
#include "cas/raw_records.h"
#include "cas/space_reserve.h"
#include "cas/write_session.h"

namespace casdisk {

struct LocalStoreOptions {
  Codec codec = Codec::kZstd;
  uint64_t cache_bytes = uint64_t(64) << 20;
  uint64_t map_bytes = uint64_t(64) << 30;  // address space of the location table
  uint64_t max_pack_bytes = kMaxPackBytes;  // no more than that
  SpaceReserve* reserve = nullptr;          // outlives the store; null: none
  Machine* machine = nullptr;               // outlives the store; null: the system's
  // A put outside a session is a bug, which ends the process.
  bool needs_sessions = false;
};

// What a store has done since it was opened; for `info`, the demo and tests.
struct LocalStoreCounters {
  uint64_t put_count = 0;
  uint64_t new_object_count = 0;
  uint64_t new_stored_bytes = 0;
};

class LocalStore : public ChunkStore {
 public:
  // `directory` holds (or gets) packs/ and locations/. The FileSystem outlives the store.
  static Result<std::unique_ptr<LocalStore>> open(FileSystem& file_system,
                                                  const std::string& directory,
                                                  const LocalStoreOptions& options);
  ~LocalStore() override;

  // Ends when the result is destroyed; the store outlives it. kNoSpace where an older session's
  // objects must be stored anew.
  Result<WriteSession> begin_session();

  Result<ChunkId> put(ObjectKind kind, std::span<const std::byte> bytes) override;
  Result<Object> get(const ChunkId& id) override;
  // Whole blocks of raw chunks that are not in the cache, and small parts of them, are read alone
  // and straight into where they are wanted (raw_records.h).
  Result<void> read_chunk(const ChunkId& id, uint32_t offset, std::span<std::byte> into) override;
  Result<void> read_parts(std::span<const ChunkPart> parts) override;
  Result<std::vector<Object>> get_many(std::span<const ChunkId> ids) override;
  // As get(), past the cache: what lies in the pack now.
  Result<Object> get_stored(const ChunkId& id) { return load(id); }
  // One sync of the packs that were appended to, then one commit of the table. When the first
  // fails, nothing it was to cover is trusted any more: it is stored anew, by whoever puts it again
  // or by the next sync, which cannot succeed before. When only the commit fails (a full table or
  // file system), the next sync commits it.
  Result<void> sync() override;

  LocalStoreCounters counters() const;
  // Chunks, pages and checkpoint records that the store holds, of all processes, up to their last
  // syncs.
  Result<uint64_t> object_count() { return locations_->object_count(); }
  ChunkCache& cache() { return cache_; }
  // For verify, repair and garbage collection.
  LocationTable& locations() { return *locations_; }
  Directory& packs() { return *packs_; }
  PackReader& reader() { return reader_; }
  SessionLocks& sessions() { return session_locks_; }

 private:
  struct Found {
    PackLocation location;
    bool pending = false;  // the table does not know it
    bool trusted = true;   // not found damaged, and no sync of it has failed
  };

  LocalStore(FileSystem& file_system, const LocalStoreOptions& options,
             std::unique_ptr<Directory> packs, std::unique_ptr<Directory> sessions,
             std::unique_ptr<LocationTable> locations, Machine& machine);

  Result<std::optional<Found>> locate(const ChunkId& id);
  Result<Object> load(const ChunkId& id);
  Result<Object> load_from(const ChunkId& id, const Found& found);
  // False, with anything in `into`, where the whole chunk is to be loaded, be it for an error's
  // sake.
  // `found`: where it lies, if that was looked up.
  bool read_blocks(const ChunkId& id, uint32_t first_block, std::span<std::byte> into,
                   std::optional<Found>& found);
  // What is to be read of the part's blocks alone; nothing where the whole chunk is to be loaded.
  std::optional<PackReader::BlockRead> plan_blocks(const ChunkPart& part);
  void distrust(const ChunkId& id, const Found& found, const Error& error);

  Result<PackLocation> append(ObjectKind kind, std::span<const std::byte> record);
  Result<void> store_claimed(ObjectKind kind, const ChunkId& id, std::span<const std::byte> bytes);
  Result<void> make_room();
  Result<void> sync_alone();
  Result<void> store_lost_anew();
  Result<void> turn_over();

  // Fixed after construction.
  const Codec codec_;
  const bool needs_sessions_;
  SpaceReserve* const reserve_;
  const std::unique_ptr<Directory> packs_;
  const std::unique_ptr<Directory> session_files_;
  const std::unique_ptr<LocationTable> locations_;
  PackReader reader_;
  PackWriter writer_;
  ChunkCache cache_;
  RawRecords raw_records_;
  PendingObjects pending_;
  SessionLocks session_locks_;

  std::mutex session_mutex_;  // one beginning at a time; taken before sync_mutex_
  uint64_t generation_ = 0;   // guarded by session_mutex_: of the newest session so far
  std::atomic<size_t> session_count_ = 0;  // incremented under session_mutex_

  std::mutex sync_mutex_;  // one sync at a time; whoever waits for it is covered by the next

  std::atomic<uint64_t> put_count_ = 0;
  std::atomic<uint64_t> new_object_count_ = 0;
  std::atomic<uint64_t> new_stored_bytes_ = 0;
};

}  // namespace casdisk
