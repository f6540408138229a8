// Catalog: the disks, checkpoints and fallbacks of a store, by name, in its meta environment.
//
//   'D' disk name                       -> HeadRecord
//   'K' checkpoint id                   -> CheckpointRecord
//   'N' disk uid (big-endian), name     -> checkpoint id
//   'F' fallback id                     -> FallbackRecord
//   'I' "uid"                           -> the next disk uid
//
// A checkpoint is alive while a name points at it; a record without a name is kept as a link in the
// lineage of what descends from it. Everything changes in transactions: all of one or nothing,
// durable when update() returns. Safe to call from any thread and from many processes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/kv/lmdb.h"
#include "index/records.h"

namespace casdisk {

struct NamedHead {
  std::string name;
  HeadRecord head;
};

struct NamedCheckpoint {
  std::string name;
  ChunkId id;
};

struct OwnedCheckpoint {
  uint64_t disk_uid = 0;
  NamedCheckpoint checkpoint;
};

struct CheckpointLink {
  ChunkId id;
  std::optional<ChunkId> parent;
  std::optional<FallbackId> fallback;
};

struct NamedFallback {
  FallbackId id;
  FallbackRecord record;
};

class CatalogReader {
 public:
  explicit CatalogReader(LmdbReader& reader) : reader_(reader) {}

  Result<std::optional<HeadRecord>> find_head(const std::string& disk);
  Result<HeadRecord> head(const std::string& disk);  // kNotFound with a message for the user
  Result<std::vector<NamedHead>> heads();            // by name

  Result<std::optional<ChunkId>> find_checkpoint(uint64_t disk_uid, const std::string& name);
  Result<std::vector<NamedCheckpoint>> checkpoints(uint64_t disk_uid);  // by name
  // kExists when the disk has a checkpoint of that name, or `head`, its record, one that waits to
  // be sealed.
  Result<void> check_checkpoint_is_new(const std::string& disk, const HeadRecord& head,
                                       const std::string& name);
  // Ids come from names, heads and other records: one without a record is kDamaged.
  Result<CheckpointRecord> checkpoint(const ChunkId& id);

  Result<std::optional<FallbackRecord>> find_fallback(const FallbackId& id);

  // Of all disks, in no particular order; with the uid of its disk.
  Result<std::vector<OwnedCheckpoint>> all_checkpoints();
  // All checkpoint records there are: their ids, and whom they descend from. Nothing is verified.
  Result<std::vector<CheckpointLink>> checkpoint_links();
  Result<std::vector<NamedFallback>> fallbacks();

 private:
  LmdbReader& reader_;
};

class CatalogWriter : public CatalogReader {
 public:
  explicit CatalogWriter(LmdbWriter& writer) : CatalogReader(writer), writer_(writer) {}

  Result<void> begin_uids(uint64_t first = 1);  // of a new catalog
  Result<uint64_t> new_disk_uid();
  // Counts up head.version.
  Result<void> put_head(const std::string& disk, HeadRecord head);
  Result<void> remove_head(const std::string& disk);

  // `encoded` is the record as put into the chunk store under `id`.
  Result<void> put_checkpoint(uint64_t disk_uid, const std::string& name, const ChunkId& id,
                              std::span<const std::byte> encoded);
  // The two halves of it. REQUIRES: the disk's head is put in the same transaction, by which a
  // sweep of the catalog knows that there is something new (catalog_sweep.h).
  Result<void> put_checkpoint_record(const ChunkId& id, std::span<const std::byte> encoded);
  Result<void> name_checkpoint(uint64_t disk_uid, const std::string& name, const ChunkId& id);
  Result<bool> remove_checkpoint_name(uint64_t disk_uid, const std::string& name);

  Result<void> put_fallback(const FallbackId& id, const FallbackRecord& record);

  // For garbage collection. REQUIRES: in this transaction nothing refers to it.
  Result<void> remove_checkpoint_record(const ChunkId& id);
  Result<void> remove_fallback(const FallbackId& id);

 private:
  LmdbWriter& writer_;
};

class Catalog {
 public:
  explicit Catalog(LmdbEnvironment& environment) : environment_(environment) {}

  Result<void> view(const std::function<Result<void>(CatalogReader&)>& body) const;
  Result<void> update(const std::function<Result<void>(CatalogWriter&)>& body) const;

  // As LmdbEnvironment::catch_up().
  Result<void> catch_up() const { return environment_.catch_up(); }
  Result<LmdbInfo> info() const { return environment_.info(); }

  // One-shot forms of the above.
  Result<HeadRecord> head(const std::string& disk) const;
  Result<CheckpointRecord> checkpoint(const ChunkId& id) const;

 private:
  LmdbEnvironment& environment_;
};

}  // namespace casdisk
