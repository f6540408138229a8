// casdisk log
#include <fmt/format.h>

#include <algorithm>

#include "index/lineage.h"
#include "nbd/cli/catalog.h"
#include "nbd/cli/checkpoint_entry.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"

namespace casdisk {
namespace {

// Checkpoints of the disk that `links` does not have, newest first.
Result<std::vector<CheckpointEntry>> aside(Store& store, const DiskSummary& disk,
                                           const std::vector<LineageLink>& links) {
  std::vector<CheckpointEntry> entries;
  for (const NamedCheckpoint& checkpoint : disk.checkpoints) {
    bool is_link = std::any_of(links.begin(), links.end(),
                               [&](const auto& link) { return link.id == checkpoint.id; });
    if (is_link) continue;
    TRY_ASSIGN(CheckpointRecord record, store.catalog().checkpoint(checkpoint.id));
    entries.push_back(kept_entry(disk.name, checkpoint, std::move(record)));
    entries.back().state = "aside";
  }
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.record.time_ns > b.record.time_ns;
  });
  return entries;
}

// Pending ones, then what the head descends from, then what it does not descend from (any more).
Result<std::vector<CheckpointEntry>> log_entries(Store& store, const VolumeName& name) {
  std::vector<CheckpointEntry> entries;
  TRY_ASSIGN(DiskSummary disk, summarize_disk(store, name.disk));
  TRY_ASSIGN(auto links, lineage_of(store, name));
  if (!name.is_checkpoint()) {
    const auto& waiting = disk.head.pending;
    for (auto pending = waiting.rbegin(); pending != waiting.rend(); ++pending) {
      // One without a name is a fork's.
      if (!pending->name.empty()) entries.push_back(pending_entry(disk.name, *pending));
    }
  }
  for (const LineageLink& link : links) {
    entries.push_back(
        {made_as(link.record), link.alive ? "kept" : "removed", link.id, link.record});
  }
  if (name.is_checkpoint()) return entries;
  TRY_ASSIGN(auto others, aside(store, disk, links));
  entries.insert(entries.end(), others.begin(), others.end());
  return entries;
}

// What there is beside the disk, as far as somebody put it there.
std::string notes(const CheckpointRecord& record) {
  std::string text = labels_text(record.labels);
  for (const Attachment& attachment : record.attachments) {
    text += fmt::format("{}+{}", text.empty() ? "" : " ", attachment.name);
  }
  return text;
}

}  // namespace

Syntax log_syntax() {
  return {
      .positionals = {{"DISK"}},
      .about =
          "Lists the checkpoints that a disk (or disk@checkpoint) descends from, newest first.\n"
          "removed: its name is gone, what descends from it is not. pending: not sealed yet.\n"
          "aside: a checkpoint of the disk that it does not descend from, after a rollback. NOTES\n"
          "are labels and, with a +, attachments.",
      .examples = "  casdisk log web\n"};
}

Result<int> run_log(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(VolumeName name, parse_volume_name(arguments.positional(0)));
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(auto entries, log_entries(*store, name));
  std::vector<std::vector<std::string>> rows = {
      {"CHECKPOINT", "TIME", ">SIZE", "ID", "STATE", "NOTES"}};
  Json list = Json::array();
  for (const CheckpointEntry& entry : entries) {
    rows.push_back({entry.name, utc_text(entry.record.time_ns),
                    entry.id ? human_bytes(entry.record.size_bytes) : "-",
                    entry.id ? short_id(*entry.id) : "-", entry.state, notes(entry.record)});
    list.push_back(entry_json(entry));
  }
  session.console().answer(
      entries.empty() ? name.text() + " has no checkpoints\n" : table_text(rows),
      {{"disk", name.text()}, {"checkpoints", std::move(list)}});
  return 0;
}

}  // namespace casdisk
