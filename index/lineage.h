// Lineage: making, forking, rolling back, resizing and removing disks and checkpoints.
//
// Each is one transaction of the catalog: it happened whole or not at all, durable on return. Those
// that change a disk's head need its lease: kBusy while another process has the disk open.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "index/disk.h"
#include "index/names.h"
#include "index/store.h"

namespace casdisk {

struct CreateOptions {
  std::optional<uint64_t> size_bytes;   // default: the fallback's size
  std::optional<std::string> fallback;  // path of a raw image or block device
};

// An empty disk, or one over a fallback. kExists.
Result<void> create_disk(Store& store, const std::string& name, const CreateOptions& options);

// A new disk with the content of `source`: one record, at once. Of unsealed content it names its
// origin, and opening it waits for the seal; of another size than the source's it waits here.
// kBusy: another process has written to the source and holds it (see Disk::fork).
Result<void> fork_disk(Store& store, const VolumeName& source, const std::string& name,
                       std::optional<uint64_t> size_bytes);

// Checkpoints the head under request.checkpoint, sealed on return, and gives its id.
Result<ChunkId> checkpoint_disk(Store& store, const std::string& disk, const CutRequest& request,
                                unsigned threads, const SealProgress& progress);

// The head becomes the checkpoint's content; what was written since is dropped.
Result<void> rollback_disk(Store& store, const VolumeName& checkpoint);

Result<void> resize_disk(Store& store, const std::string& disk, uint64_t size_bytes,
                         unsigned threads, const SealProgress& progress);

// After a failed sync: takes what can be read as the disk's content, stores it anew and lifts the
// ban.
Result<void> accept_disk(Store& store, const std::string& disk, unsigned threads,
                         const SealProgress& progress);

// Completes the ingestion of a disk's fallback; afterwards the file is not needed for it.
Result<void> ingest_disk(Store& store, const std::string& disk, unsigned threads,
                         const SealProgress& progress);

// Forks keep what they have: content is shared, not borrowed.
Result<void> remove_disk(Store& store, const std::string& disk);
Result<void> remove_checkpoint(Store& store, const VolumeName& checkpoint);

// The checkpoints that `name` descends from, newest first, itself included if it is one. A removed
// checkpoint is still a link of the chain: `alive` is false.
struct LineageLink {
  ChunkId id;
  CheckpointRecord record;
  bool alive = false;
};
Result<std::vector<LineageLink>> lineage_of(Store& store, const VolumeName& name);

}  // namespace casdisk
