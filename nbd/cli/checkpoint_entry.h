// CheckpointEntry: a checkpoint as the commands show it, sealed or not, read from the catalog
// alone: nothing is sealed for being looked at.
#pragma once

#include <optional>
#include <string>

#include "index/names.h"
#include "index/store.h"
#include "nbd/cli/console.h"

namespace casdisk {

struct CheckpointEntry {
  std::string name;           // disk@checkpoint
  std::string state;          // "kept", "pending", "removed", "aside"
  std::optional<ChunkId> id;  // not of a pending one
  CheckpointRecord record;    // of a pending one: what is known
};

CheckpointEntry kept_entry(const std::string& disk, const NamedCheckpoint& checkpoint,
                           CheckpointRecord record);
CheckpointEntry pending_entry(const std::string& disk, const PendingCheckpoint& pending);

// kNotFound says what to do.
Result<CheckpointEntry> look_up_checkpoint(Store& store, const VolumeName& name);

Json entry_json(const CheckpointEntry& entry);
// "web@monday 5f3a...\n"; "sealing" for the id of a pending one.
std::string checkpoint_line(const CheckpointEntry& entry);
// "owner=ops, group=friday"
std::string labels_text(const Labels& labels);

}  // namespace casdisk
