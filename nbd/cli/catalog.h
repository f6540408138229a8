// What `ls`, `info` and `log` tell of disks and checkpoints, read from the catalog without touching
// a lease: they answer at once, also for disks that are being served.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "index/names.h"
#include "index/store.h"
#include "nbd/cli/console.h"

namespace casdisk {

struct DiskSummary {
  std::string name;
  HeadRecord head;
  uint64_t dirty_bytes = 0;  // space of what is not sealed yet
  std::vector<NamedCheckpoint> checkpoints;
  std::optional<CheckpointRecord> parent;
  std::optional<FallbackRecord> fallback;
  std::optional<LockHolder> holder;  // the process that has the disk open
  bool is_hidden = false;            // files of it are another user's: who has it open is not known
};
Result<DiskSummary> summarize_disk(Store& store, const std::string& name);
Result<std::vector<DiskSummary>> summarize_disks(Store& store);

// "idle", "busy", "failed" (a sync failed, see `casdisk accept`) or "unknown" (is_hidden).
std::string state_word(const DiskSummary& disk);
Json disk_json(const DiskSummary& disk);

// Of the checkpoints that are not sealed yet.
std::vector<std::string> pending_names(const HeadRecord& head);

// "disk@checkpoint", the names it was made under.
std::string made_as(const CheckpointRecord& record);
// The hash of the index, or null: nothing but zeros, or nothing but the fallback.
Json root_json(const Entry& root);
Json checkpoint_json(const ChunkId& id, const CheckpointRecord& record);

}  // namespace casdisk
