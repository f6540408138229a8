#include "nbd/cli/checkpoint_entry.h"

#include <fmt/format.h>

#include "index/checkpoint_view.h"
#include "index/head.h"
#include "nbd/cli/catalog.h"
#include "nbd/cli/format.h"

namespace casdisk {

CheckpointEntry kept_entry(const std::string& disk, const NamedCheckpoint& checkpoint,
                           CheckpointRecord record) {
  return {disk + "@" + checkpoint.name, "kept", checkpoint.id, std::move(record)};
}

CheckpointEntry pending_entry(const std::string& disk, const PendingCheckpoint& pending) {
  CheckpointEntry entry{disk + "@" + pending.name, "pending", std::nullopt, {}};
  entry.record.time_ns = pending.time_ns;
  entry.record.labels = pending.labels;
  entry.record.attachments = pending.attachments;
  return entry;
}

Result<CheckpointEntry> look_up_checkpoint(Store& store, const VolumeName& name) {
  std::optional<CheckpointEntry> entry;
  TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(HeadRecord head, reader.head(name.disk));
    TRY_ASSIGN(auto id, reader.find_checkpoint(head.uid, name.checkpoint));
    if (id) {
      TRY_ASSIGN(CheckpointRecord record, reader.checkpoint(*id));
      entry = kept_entry(name.disk, {name.checkpoint, *id}, std::move(record));
      return {};
    }
    const PendingCheckpoint* pending = find_pending(head, name.checkpoint);
    if (pending) entry = pending_entry(name.disk, *pending);
    return {};
  }));
  if (entry) return std::move(*entry);
  return no_checkpoint(name);
}

Json entry_json(const CheckpointEntry& entry) {
  Json json = checkpoint_json(entry.id.value_or(ChunkId{}), entry.record);
  if (!entry.id) json["id"] = json["root"] = json["size_bytes"] = json["parent_id"] = nullptr;
  json["name"] = entry.name;
  json["state"] = entry.state;
  return json;
}

std::string checkpoint_line(const CheckpointEntry& entry) {
  return fmt::format("{} {}\n", entry.name, entry.id ? to_hex(*entry.id) : "sealing");
}

std::string labels_text(const Labels& labels) {
  std::string text;
  for (const auto& [key, value] : labels) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", key, value);
  }
  return text;
}

}  // namespace casdisk
