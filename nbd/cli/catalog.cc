#include "nbd/cli/catalog.h"

#include <fmt/format.h>

#include <cerrno>

#include "nbd/cli/format.h"

namespace casdisk {
namespace {

Result<uint64_t> unsealed_bytes(Store& store, uint64_t uid) {
  TRY_ASSIGN(auto directory, store.disk_directory(uid, false));
  if (!directory) return uint64_t(0);
  TRY_ASSIGN(auto names, directory->list());
  uint64_t bytes = 0;
  for (const std::string& name : names) {
    if (!name.ends_with(".overlay")) continue;
    auto file = directory->open(name, OpenMode::kRead);
    if (!file.ok() && file.error().fault == Fault::kNotFound) continue;  // sealed just now
    if (!file.ok()) return std::move(file.error());
    TRY_ASSIGN(uint64_t file_bytes, file.value()->allocated_bytes());
    bytes += file_bytes;
  }
  return bytes;
}

Result<DiskSummary> read_summary(CatalogReader& reader, NamedHead named) {
  DiskSummary disk;
  disk.name = std::move(named.name);
  disk.head = std::move(named.head);
  TRY_ASSIGN(disk.checkpoints, reader.checkpoints(disk.head.uid));
  if (disk.head.parent) {
    TRY_ASSIGN(disk.parent, reader.checkpoint(*disk.head.parent));
  }
  if (disk.head.fallback) {
    TRY_ASSIGN(disk.fallback, reader.find_fallback(disk.head.fallback->file));
  }
  return disk;
}

Result<void> read_outside(Store& store, DiskSummary& disk) {
  if (!disk.head.generations.empty()) {
    TRY_ASSIGN(disk.dirty_bytes, unsealed_bytes(store, disk.head.uid));
  }
  TRY_ASSIGN(disk.holder, store.lease_holder(disk.head.uid));
  return {};
}

// What the catalog does not know. Outside of its transaction: it reads files. Those that another
// user has made of one disk do not keep the others from being shown.
Result<void> add_outside(Store& store, DiskSummary& disk) {
  auto read = read_outside(store, disk);
  disk.is_hidden = !read.ok() && read.error().os_error == EACCES;
  return disk.is_hidden ? Result<void>() : read;
}

}  // namespace

Result<DiskSummary> summarize_disk(Store& store, const std::string& name) {
  DiskSummary disk;
  TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(HeadRecord head, reader.head(name));
    TRY_ASSIGN(disk, read_summary(reader, {name, std::move(head)}));
    return {};
  }));
  TRY(add_outside(store, disk));
  return disk;
}

Result<std::vector<DiskSummary>> summarize_disks(Store& store) {
  std::vector<DiskSummary> disks;
  TRY(store.catalog().view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(auto heads, reader.heads());
    for (NamedHead& head : heads) {
      TRY_ASSIGN(DiskSummary disk, read_summary(reader, std::move(head)));
      disks.push_back(std::move(disk));
    }
    return {};
  }));
  for (DiskSummary& disk : disks) TRY(add_outside(store, disk));
  return disks;
}

std::string state_word(const DiskSummary& disk) {
  if (disk.is_hidden) return "unknown";
  if (disk.holder) return "busy";
  return disk.head.poisoned ? "failed" : "idle";
}

std::vector<std::string> pending_names(const HeadRecord& head) {
  std::vector<std::string> names;
  for (const PendingCheckpoint& pending : head.pending) {
    if (!pending.name.empty()) names.push_back(pending.name);
  }
  return names;
}

std::string made_as(const CheckpointRecord& record) { return record.disk + "@" + record.name; }

Json root_json(const Entry& root) {
  if (root.state == EntryState::kId) return to_hex(root.id);
  return nullptr;
}

Json checkpoint_json(const ChunkId& id, const CheckpointRecord& record) {
  Json labels = Json::object(), attachments = Json::array();
  for (const auto& [key, value] : record.labels) labels[key] = value;
  for (const Attachment& attachment : record.attachments) {
    attachments.push_back({{"name", attachment.name},
                           {"size_bytes", attachment.size_bytes},
                           {"root", root_json(attachment.root)}});
  }
  return {{"name", made_as(record)},
          {"id", to_hex(id)},
          {"root", root_json(record.root)},
          {"size_bytes", record.size_bytes},
          {"time", utc_text(record.time_ns)},
          {"parent_id", record.parent ? Json(to_hex(*record.parent)) : Json(nullptr)},
          {"labels", std::move(labels)},
          {"attachments", std::move(attachments)}};
}

Json disk_json(const DiskSummary& disk) {
  const HeadRecord& head = disk.head;
  Json json = {{"name", disk.name},
               {"size_bytes", head.size_bytes},
               {"dirty_bytes", disk.dirty_bytes},
               {"checkpoint_count", disk.checkpoints.size()},
               {"pending_checkpoint_count", pending_names(head).size()},
               {"parent", disk.parent ? Json(made_as(*disk.parent)) : Json(nullptr)},
               {"parent_id", head.parent ? Json(to_hex(*head.parent)) : Json(nullptr)},
               {"root", root_json(head.root)},
               {"created", utc_text(head.created_ns)},
               {"state", state_word(disk)},
               {"pid", disk.holder ? Json(disk.holder->pid) : Json(nullptr)}};
  json["fallback"] = nullptr;
  if (disk.fallback) {
    json["fallback"] = {{"path", disk.fallback->path}, {"limit_bytes", head.fallback->limit_bytes}};
  }
  return json;
}

}  // namespace casdisk
