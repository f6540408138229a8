// casdisk info
#include <fmt/format.h>

#include <algorithm>

#include "nbd/cli/catalog.h"
#include "nbd/cli/checkpoint_entry.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"

namespace casdisk {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

std::string lines_text(const Lines& lines) {
  std::string text;
  for (const auto& [key, value] : lines) text += fmt::format("{:<13}{}\n", key, value);
  return text;
}

std::string both(uint64_t bytes) { return fmt::format("{} ({} bytes)", human_bytes(bytes), bytes); }

std::string root_text(const Entry& root) {
  return root.state == EntryState::kId ? to_hex(root.id) : "none: all zeros or all fallback";
}

Result<int> info_of_store(Session& session, Store& store) {
  TRY_ASSIGN(auto disks, summarize_disks(store));
  TRY_ASSIGN(auto root, store.file_system().open_directory(store.path()));
  TRY_ASSIGN(auto packs, root->open_directory("packs"));
  TRY_ASSIGN(auto names, packs->list());
  uint64_t stored_bytes = 0, dirty_bytes = 0, checkpoint_count = 0, disk_bytes = 0;
  for (const std::string& name : names) {
    auto pack = packs->open(name, OpenMode::kRead);
    if (!pack.ok() && pack.error().fault == Fault::kNotFound) continue;  // collected meanwhile
    if (!pack.ok()) return std::move(pack.error());
    TRY_ASSIGN(uint64_t pack_bytes, pack.value()->allocated_bytes());
    stored_bytes += pack_bytes;
  }
  for (const DiskSummary& disk : disks) {
    dirty_bytes += disk.dirty_bytes;
    disk_bytes += disk.head.size_bytes;
    checkpoint_count += disk.checkpoints.size();
  }
  TRY_ASSIGN(uint64_t object_count, store.local_chunks().object_count());
  TRY_ASSIGN(uint64_t free_bytes, root->free_bytes());
  std::string codec(codec_name(store.codec()));
  std::string io(store.file_system().name());
  session.console().answer(
      lines_text(
          {{"store", store.path()},
           {"codec", codec},
           {"io", io},
           {"disks", fmt::format("{} of {} together", disks.size(), human_bytes(disk_bytes))},
           {"checkpoints", std::to_string(checkpoint_count)},
           {"objects", fmt::format("{} chunks, index pages and records", object_count)},
           {"stored", fmt::format("{} in {} packs", both(stored_bytes), names.size())},
           {"dirty", both(dirty_bytes)},
           {"free", human_bytes(free_bytes)}}),
      {{"store", store.path()},
       {"codec", codec},
       {"io", io},
       {"disk_count", disks.size()},
       {"disk_bytes", disk_bytes},
       {"checkpoint_count", checkpoint_count},
       {"object_count", object_count},
       {"pack_count", names.size()},
       {"stored_bytes", stored_bytes},
       {"dirty_bytes", dirty_bytes},
       {"free_bytes", free_bytes}});
  return 0;
}

Result<int> info_of_disk(Session& session, Store& store, const std::string& name) {
  TRY_ASSIGN(DiskSummary disk, summarize_disk(store, name));
  const HeadRecord& head = disk.head;
  Lines lines = {{"disk", disk.name},
                 {"size", both(head.size_bytes)},
                 {"dirty", both(disk.dirty_bytes)},
                 {"root", root_text(head.root)},
                 {"parent", disk.parent ? made_as(*disk.parent) : "none"},
                 {"checkpoints", std::to_string(disk.checkpoints.size())},
                 {"created", utc_text(head.created_ns)},
                 {"state", state_word(disk)}};
  if (disk.holder) lines.back().second += fmt::format(", held by pid {}", disk.holder->pid);
  if (head.poisoned) lines.back().second += "; a sync failed, see `casdisk accept --help`";
  for (const std::string& pending : pending_names(head)) {
    lines.push_back({"pending", disk.name + "@" + pending});
  }
  if (disk.fallback) {
    lines.push_back({"fallback", fmt::format("{}, its first {}", disk.fallback->path,
                                             human_bytes(head.fallback->limit_bytes))});
  }
  session.console().answer(lines_text(lines), disk_json(disk));
  return 0;
}

Result<int> info_of_checkpoint(Session& session, Store& store, const VolumeName& name) {
  TRY_ASSIGN(CheckpointEntry entry, look_up_checkpoint(store, name));
  const CheckpointRecord& record = entry.record;
  Lines lines = {{"checkpoint", entry.name}};
  if (entry.id) {
    lines.push_back({"id", to_hex(*entry.id)});
    lines.push_back({"root", root_text(record.root)});
    lines.push_back({"size", both(record.size_bytes)});
    lines.push_back({"parent", record.parent ? to_hex(*record.parent) : "none"});
  }
  lines.push_back({"time", utc_text(record.time_ns)});
  if (!entry.id) lines.push_back({"state", "pending: not sealed"});
  if (!record.labels.empty()) lines.push_back({"labels", labels_text(record.labels)});
  for (const Attachment& attachment : record.attachments) {
    lines.push_back(
        {"attachment", fmt::format("{}, {}", attachment.name, both(attachment.size_bytes))});
  }
  session.console().answer(lines_text(lines), entry_json(entry));
  return 0;
}

}  // namespace

Syntax info_syntax() {
  return {.positionals = {{"X", false}},
          .about = "Shows a disk, a disk@checkpoint or, without X, the store.",
          .examples = "  casdisk info\n  casdisk info web\n  casdisk info web@monday --json\n"};
}

Result<int> run_info(Session& session, const Arguments& arguments) {
  VolumeName name;
  if (arguments.positional_count() > 0) {
    TRY_ASSIGN(name, parse_volume_name(arguments.positional(0)));
  }
  TRY_ASSIGN(Store * store, session.store());
  if (name.disk.empty()) return info_of_store(session, *store);
  if (name.is_checkpoint()) return info_of_checkpoint(session, *store, name);
  return info_of_disk(session, *store, name.disk);
}

}  // namespace casdisk
