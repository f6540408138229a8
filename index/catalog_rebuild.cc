#include "index/catalog_rebuild.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/names.h"
#include "index/store_format.h"
#include "index/tree.h"

namespace casdisk {
namespace {

constexpr size_t kRecordsPerTransaction = 4096;

Tree tree_of(const HeadRecord& head) { return {head.root, chunks_for(head.size_bytes)}; }
Tree tree_of(const CheckpointRecord& record) {
  return {record.root, chunks_for(record.size_bytes)};
}

// `name`, or the first of name.2, name.3, ... that is free.
template <typename IsTaken>
std::string free_name(const std::string& name, const IsTaken& is_taken) {
  std::string free = name;
  for (unsigned i = 2; is_taken(free); i++) {
    const std::string suffix = fmt::format(".{}", i);
    free = name.substr(0, kMaxNameBytes - suffix.size()) + suffix;
  }
  return free;
}

struct FoundRecord {
  ChunkId id;
  CheckpointRecord record;
};

class Rebuilder {
 public:
  explicit Rebuilder(CatalogRemains remains) : remains_(std::move(remains)) {}

  RebuiltCatalog run() {
    made_.fallbacks = remains_.fallbacks;
    made_.next_uid = remains_.next_uid;
    for (const auto& [name, head] : remains_.heads) claim_uid(head.uid);
    for (const auto& [name, id] : remains_.names) claim_uid(name.first);
    for (const uint64_t uid : remains_.directories) claim_uid(uid);
    take_heads();
    take_notes();
    take_records();
    take_names();
    find_orphans();
    check_fallbacks();
    made_.records = std::move(remains_.records);
    return std::move(made_);
  }

 private:
  void claim_uid(uint64_t uid) { made_.next_uid = std::max(made_.next_uid, uid + 1); }

  template <typename... Words>
  void say(fmt::format_string<Words...> text, Words&&... words) {
    made_.said.push_back(fmt::format(text, std::forward<Words>(words)...));
  }

  // A head that waits for its source's seal has no root of its own yet.
  bool is_believable(const std::string& name, const HeadRecord& head) const {
    return check_name(name, "disk").ok() && (head.origin || remains_.is_readable(tree_of(head)));
  }

  void take_heads() {
    for (auto& [name, head] : remains_.heads) {
      if (is_believable(name, head)) {
        made_.heads.emplace(name, std::move(head));
      } else {
        say("disk {}: its head cannot be believed; see below for what took its place", name);
      }
    }
  }

  bool has_uid(uint64_t uid) const {
    return std::ranges::any_of(made_.heads,
                               [&](const auto& named) { return named.second.uid == uid; });
  }

  void take_notes() {
    for (auto& [uid, note] : remains_.notes) {
      if (has_uid(uid) || note.head.uid != uid || !is_believable(note.disk, note.head)) continue;
      if (note.fallback) made_.fallbacks.emplace(note.fallback->id(), *note.fallback);
      const std::string name =
          free_name(note.disk, [&](const auto& taken) { return made_.heads.contains(taken); });
      if (name != note.disk) say("disk {}: there are two of that name; one is {}", note.disk, name);
      say("disk {}: taken from the note in disks/{}; generations that are not sealed: {}", name,
          uid_name(uid), note.head.generations.size());
      made_.heads.emplace(name, std::move(note.head));
    }
  }

  // Every checkpoint whose tree is there, the oldest first, by the disk that it was made of.
  std::map<std::string, std::vector<FoundRecord>> records_by_disk() {
    std::map<std::string, std::vector<FoundRecord>> found;
    for (const auto& [id, bytes] : remains_.records) {
      auto record = decode_checkpoint(bytes);
      if (!record.ok() || !check_name(record.value().disk, "disk").ok() ||
          !check_name(record.value().name, "checkpoint").ok() ||
          !remains_.is_readable(tree_of(record.value()))) {
        continue;
      }
      const std::string disk = record.value().disk;
      found[disk].push_back({id, std::move(record).value()});
    }
    for (auto& [disk, records] : found) {
      std::ranges::stable_sort(records, {},
                               [](const FoundRecord& each) { return each.record.time_ns; });
    }
    return found;
  }

  // Where the old catalog says all there is to know, records that it does not name were removed.
  void take_records() {
    for (const auto& [disk, records] : records_by_disk()) {
      if (!made_.heads.contains(disk)) {
        if (remains_.heads_are_complete && !remains_.heads.contains(disk)) continue;
        make_head(disk, records.back());
      }
      if (!remains_.names_are_complete) name_records(disk, records);
    }
  }

  void make_head(const std::string& disk, const FoundRecord& newest) {
    HeadRecord head;
    // The uid of a head that was not believed: its checkpoints' names go by it.
    const auto before = remains_.heads.find(disk);
    const bool keeps_uid = before != remains_.heads.end() && !has_uid(before->second.uid);
    head.uid = keeps_uid ? before->second.uid : made_.next_uid++;
    made_uids_.insert(head.uid);
    head.root = newest.record.root;
    head.size_bytes = newest.record.size_bytes;
    head.fallback = newest.record.fallback;
    head.parent = newest.id;
    head.created_ns = remains_.now_ns;
    made_.heads.emplace(disk, std::move(head));
    say("disk {}: is now as its newest checkpoint, {}@{}", disk, disk, newest.record.name);
  }

  // The newest of several has the name; the others get another.
  void name_records(const std::string& disk, const std::vector<FoundRecord>& records) {
    const uint64_t uid = made_.heads.at(disk).uid;
    std::set<ChunkId> named;
    for (const auto& [name, id] : remains_.names) {
      if (name.first == uid) named.insert(id);
    }
    size_t count = 0;
    for (auto each = records.rbegin(); each != records.rend(); ++each) {
      if (named.contains(each->id)) continue;
      const std::string name = free_name(each->record.name, [&](const std::string& taken) {
        return remains_.names.contains({uid, taken});
      });
      if (name != each->record.name) {
        say("checkpoint {}@{}: there are several of that name; an older one is {}@{}", disk,
            each->record.name, disk, name);
      }
      remains_.names.emplace(std::pair(uid, name), each->id);
      count++;
    }
    if (count > 0) say("disk {}: checkpoints named by their records: {}", disk, count);
  }

  void take_names() {
    for (const auto& [name, id] : remains_.names) {
      if (!has_uid(name.first)) continue;
      if (remains_.records.contains(id)) {
        made_.names.emplace(name, id);
      } else {
        say("checkpoint {}: its record {} is lost", name.second, to_hex(id));
      }
    }
    for (auto& [name, head] : made_.heads) {
      if (!head.parent || remains_.records.contains(*head.parent)) continue;
      say("disk {}: the record of the checkpoint that it descends from is lost", name);
      head.parent.reset();
    }
  }

  void find_orphans() {
    for (const uint64_t uid : remains_.directories) {
      const bool is_named = std::ranges::any_of(made_.heads, [&](const auto& named) {
        return named.second.uid == uid && !made_uids_.contains(uid);
      });
      if (!is_named) made_.orphans.push_back(uid);
    }
  }

  void check_fallbacks() {
    for (const auto& [name, head] : made_.heads) {
      if (!head.fallback || made_.fallbacks.contains(head.fallback->file)) continue;
      say("disk {}: which file was its fallback is lost; `casdisk repair --fallback FILE` takes it "
          "again",
          name);
    }
  }

  CatalogRemains remains_;
  RebuiltCatalog made_;
  std::set<uint64_t>
      made_uids_;  // of heads that are checkpoints' content: they have no generations
};

}  // namespace

RebuiltCatalog rebuild_catalog(CatalogRemains remains) {
  return Rebuilder(std::move(remains)).run();
}

Result<void> fill_catalog(const Catalog& catalog, const RebuiltCatalog& rebuilt) {
  auto next = rebuilt.records.begin();
  while (next != rebuilt.records.end()) {
    auto first = next;
    TRY(catalog.update([&](CatalogWriter& writer) -> Result<void> {
      next = first;
      for (size_t i = 0; i < kRecordsPerTransaction && next != rebuilt.records.end(); i++, ++next) {
        TRY(writer.put_checkpoint_record(next->first, next->second));
      }
      return {};
    }));
  }
  return catalog.update([&](CatalogWriter& writer) -> Result<void> {
    TRY(writer.begin_uids(rebuilt.next_uid));
    for (const auto& [id, record] : rebuilt.fallbacks) TRY(writer.put_fallback(id, record));
    for (const auto& [name, id] : rebuilt.names) {
      TRY(writer.name_checkpoint(name.first, name.second, id));
    }
    for (const auto& [name, head] : rebuilt.heads) TRY(writer.put_head(name, head));
    return {};
  });
}

}  // namespace casdisk
