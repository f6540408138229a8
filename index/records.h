// The records of a store's catalog, as bytes and as structs: pure functions, no I/O.
//
// docs/FORMAT.md has the byte tables. Decoders bound everything and refuse unknown versions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cas/chunk_id.h"
#include "cas/os/bytes.h"
#include "cas/os/file.h"
#include "cas/os/result.h"
#include "index/page.h"

namespace casdisk {

inline constexpr size_t kMaxGenerations = 64;  // of one head; also bounds its pending checkpoints
inline constexpr size_t kMaxLabels = 32;
inline constexpr size_t kMaxLabelBytes = 512;
inline constexpr size_t kMaxAttachments = 16;

// The identity of a fallback file is what it is known by: the hash of this record's fixed part.
using FallbackId = ChunkId;

// A raw base image, and the table of the chunks of it that are in the store already.
struct FallbackRecord {
  std::string path;  // as found at creation, absolute
  FileIdentity identity;
  Entry table_root;  // over chunks_for(identity.size_bytes)
  FallbackId id() const;
};

// How far a disk's absent chunks are answered by a fallback.
struct FallbackUse {
  FallbackId file;
  uint64_t limit_bytes = 0;  // beyond it absent means zeros
  bool operator==(const FallbackUse&) const = default;
};

using Labels = std::vector<std::pair<std::string, std::string>>;
inline constexpr const char* kGroupLabel = "group";  // the name of a checkpoint of several disks

// A file that is kept with a checkpoint, such as a VM's memory image: opaque, in chunks like a
// disk.
struct Attachment {
  std::string name;
  uint64_t size_bytes = 0;
  Entry root;  // over chunks_for(size_bytes)
  bool operator==(const Attachment&) const = default;
};

// An immutable checkpoint; its id is the hash of the record's bytes.
struct CheckpointRecord {
  Entry root;
  uint64_t size_bytes = 0;
  std::optional<ChunkId> parent;
  std::optional<FallbackUse> fallback;
  int64_t time_ns = 0;  // since 1970, UTC
  std::string disk;     // the names it was made under
  std::string name;
  Labels labels;
  std::vector<Attachment> attachments;
};

// A generation of a head. Its size is the disk's when it was made.
struct HeadGeneration {
  uint64_t number = 0;
  uint64_t size_bytes = 0;
  bool operator==(const HeadGeneration&) const = default;
};

// A cut whose generation is not sealed yet. With a name it becomes a checkpoint: until then a name
// without an id. Without one it stands for the forks that were made of it.
struct PendingCheckpoint {
  std::string name;
  uint64_t generation = 0;  // its newest generation
  int64_t time_ns = 0;
  uint64_t cut = 0;     // random; what ForkOrigin refers to
  bool forked = false;  // heads in the catalog wait for it
  Labels labels;
  std::vector<Attachment> attachments;
};

// What a fork waits for that was made of a disk with unsealed writes: its root, size and parent are
// set by the transaction that publishes the cut.
struct ForkOrigin {
  uint64_t disk_uid = 0;
  uint64_t cut = 0;
  bool operator==(const ForkOrigin&) const = default;
};

// A checkpoint record that is in the chunk store and on its way into the catalog.
struct SealedCheckpoint {
  std::string name;
  ChunkId id;
  Bytes encoded;
};

// A disk's writable head.
struct HeadRecord {
  uint64_t uid = 0;      // names the disk's directory and lease; never used again
  uint64_t version = 0;  // counts changes of this record
  uint64_t size_bytes = 0;
  Entry root;
  std::optional<ChunkId> parent;  // the checkpoint that the head descends from
  std::optional<FallbackUse> fallback;
  int64_t created_ns = 0;
  uint64_t next_generation = 1;
  std::vector<HeadGeneration> generations;  // oldest first; the last takes writes if `active`
  bool active = false;
  std::vector<PendingCheckpoint> pending;  // oldest first
  bool poisoned = false;                   // a sync failed; see Disk::open
  std::optional<ForkOrigin> origin;        // not settled yet: `root` says nothing
};

Bytes encode(const FallbackRecord& record);
Bytes encode(const CheckpointRecord& record);
Bytes encode(const HeadRecord& record);
Result<FallbackRecord> decode_fallback(std::span<const std::byte> bytes);
Result<CheckpointRecord> decode_checkpoint(std::span<const std::byte> bytes);
Result<HeadRecord> decode_head(std::span<const std::byte> bytes);

}  // namespace casdisk
