// casdisk checkpoint, rollback, log
#include <fmt/format.h>

#include <algorithm>

#include "index/checkpoint_view.h"
#include "index/lineage.h"
#include "nbd/cli/catalog.h"
#include "nbd/cli/commands.h"
#include "nbd/cli/format.h"

namespace casdisk {
namespace {

// The time as a name, with -2, -3... when checkpoints come faster than seconds.
constexpr unsigned kMaxNamesPerSecond = 10000;

Result<ChunkId> checkpoint_by_time(Store& store, const std::string& disk, unsigned threads,
                                   const SealProgress& progress, std::string& name) {
  const std::string time = utc_name(store.now_ns());
  for (unsigned i = 1;; i++) {
    name = i == 1 ? time : fmt::format("{}-{}", time, i);
    auto made = checkpoint_disk(store, disk, {name, {}, {}}, threads, progress);
    if (made.ok() || made.error().fault != Fault::kExists || i == kMaxNamesPerSecond) return made;
  }
}

struct LogEntry {
  std::string name;
  const char* state;                // "kept", "removed", "pending" or "aside"
  std::optional<LineageLink> link;  // not for pending ones
  int64_t time_ns = 0;
};

// Pending ones, then what the head descends from, then what it does not descend from (any more).
Result<std::vector<LogEntry>> log_entries(Store& store, const VolumeName& name) {
  std::vector<LogEntry> entries;
  TRY_ASSIGN(DiskSummary disk, summarize_disk(store, name.disk));
  if (!name.is_checkpoint()) {
    for (auto pending = disk.head.pending.rbegin(); pending != disk.head.pending.rend();
         ++pending) {
      entries.push_back(
          {disk.name + "@" + pending->name, "pending", std::nullopt, pending->time_ns});
    }
  }
  TRY_ASSIGN(auto links, lineage_of(store, name));
  auto is_link = [&](const ChunkId& id) {
    return std::any_of(links.begin(), links.end(), [&](const auto& link) { return link.id == id; });
  };
  std::vector<LogEntry> aside;
  for (const NamedCheckpoint& checkpoint : disk.checkpoints) {
    if (name.is_checkpoint() || is_link(checkpoint.id)) continue;
    TRY_ASSIGN(CheckpointRecord record, store.catalog().checkpoint(checkpoint.id));
    int64_t time_ns = record.time_ns;
    aside.push_back({disk.name + "@" + checkpoint.name, "aside",
                     LineageLink{checkpoint.id, std::move(record), true}, time_ns});
  }
  std::stable_sort(aside.begin(), aside.end(),
                   [](const auto& a, const auto& b) { return a.time_ns > b.time_ns; });
  for (LineageLink& link : links) {
    int64_t time_ns = link.record.time_ns;
    entries.push_back(
        {made_as(link.record), link.alive ? "kept" : "removed", std::move(link), time_ns});
  }
  entries.insert(entries.end(), aside.begin(), aside.end());
  return entries;
}

// DISK NAME, DISK@NAME, or DISK alone: then without a checkpoint. `ls` and `log` print DISK@NAME,
// so that is taken for a NAME too.
Result<VolumeName> named_checkpoint(const Arguments& arguments) {
  TRY_ASSIGN(VolumeName name, parse_volume_name(arguments.positional(0)));
  if (arguments.positional_count() < 2) return name;
  TRY_ASSIGN(name.disk, disk_name(name.text()));
  name.checkpoint = arguments.positional(1);
  if (name.checkpoint.starts_with(name.disk + "@")) {
    name.checkpoint.erase(0, name.disk.size() + 1);
  }
  TRY(check_name(name.checkpoint, "checkpoint"));
  return name;
}

}  // namespace

Syntax checkpoint_syntax() {
  return {
      .positionals = {{"DISK"}, {"NAME", false}},
      .options = {kThreadsOption},
      .about =
          "Keeps the present content of a disk that nobody serves as DISK@NAME. NAME defaults to\n"
          "the time, such as 2026-11-21T01.02.03Z. Prints the name and the checkpoint's id, the\n"
          "hash that proves its every byte.",
      .exit_codes = "  1 when DISK does not exist or NAME does\n",
      .examples = "  casdisk checkpoint web\n  casdisk checkpoint web before-upgrade\n"};
}

Result<int> run_checkpoint(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(VolumeName name, named_checkpoint(arguments));
  TRY_ASSIGN(unsigned threads, threads_of(arguments));
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(DiskSummary disk, summarize_disk(*store, name.disk));
  {
    ProgressBar bar("checkpoint " + name.disk, disk.dirty_bytes, session.progress());
    auto progress = [&](uint64_t sealed_bytes) { bar.set(sealed_bytes); };
    if (name.is_checkpoint()) {
      TRY(checkpoint_disk(*store, name.disk, {name.checkpoint, {}, {}}, threads, progress));
    } else {
      TRY(checkpoint_by_time(*store, name.disk, threads, progress, name.checkpoint));
    }
  }
  TRY_ASSIGN(FoundCheckpoint made, find_checkpoint(*store, name));
  session.console().answer(fmt::format("{} {}\n", name.text(), to_hex(made.id)),
                           {{"checkpoint", checkpoint_json(made.id, made.record)}});
  return 0;
}

Syntax rollback_syntax() {
  return {
      .positionals = {{"DISK"}, {"NAME", false}},
      .about =
          "DISK, which nobody serves, becomes what it was at DISK@NAME, its size too. What was\n"
          "written since and is in no checkpoint is dropped; checkpoints stay. DISK NAME may be\n"
          "written DISK@NAME.",
      .examples = "  casdisk rollback web before-upgrade\n"};
}

Result<int> run_rollback(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(VolumeName name, named_checkpoint(arguments));
  if (!name.is_checkpoint()) {
    return Error{Fault::kInvalid, 0,
                 fmt::format("rollback: name the checkpoint too; `casdisk log {}` lists those of "
                             "the disk",
                             name.disk)};
  }
  TRY_ASSIGN(Store * store, session.store());
  {
    ProgressBar bar("roll back " + name.disk, std::nullopt, session.progress());
    TRY(rollback_disk(*store, name));
  }
  TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(*store, name));
  session.console().answer(
      fmt::format("{} is back at {}\n", name.disk, name.text()),
      {{"disk", name.disk}, {"checkpoint", checkpoint_json(found.id, found.record)}});
  return 0;
}

Syntax log_syntax() {
  return {
      .positionals = {{"DISK"}},
      .about =
          "Lists the checkpoints that a disk (or disk@checkpoint) descends from, newest first.\n"
          "removed: its name is gone, what descends from it is not. pending: not sealed yet.\n"
          "aside: a checkpoint of the disk that it does not descend from, after a rollback.",
      .examples = "  casdisk log web\n"};
}

Result<int> run_log(Session& session, const Arguments& arguments) {
  TRY_ASSIGN(VolumeName name, parse_volume_name(arguments.positional(0)));
  TRY_ASSIGN(Store * store, session.store());
  TRY_ASSIGN(auto entries, log_entries(*store, name));
  std::vector<std::vector<std::string>> rows = {{"CHECKPOINT", "TIME", ">SIZE", "ID", "STATE"}};
  Json list = Json::array();
  for (const LogEntry& entry : entries) {
    rows.push_back({entry.name, utc_text(entry.time_ns),
                    entry.link ? human_bytes(entry.link->record.size_bytes) : "-",
                    entry.link ? short_id(entry.link->id) : "-", entry.state});
    Json json = {{"name", entry.name}, {"id", nullptr}, {"time", utc_text(entry.time_ns)}};
    if (entry.link) json = checkpoint_json(entry.link->id, entry.link->record);
    json["name"] = entry.name;
    json["state"] = entry.state;
    list.push_back(std::move(json));
  }
  session.console().answer(
      entries.empty() ? name.text() + " has no checkpoints\n" : table_text(rows),
      {{"disk", name.text()}, {"checkpoints", std::move(list)}});
  return 0;
}

}  // namespace casdisk
