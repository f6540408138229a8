#include "index/root_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_set>

#include "cas/os/parallel.h"

namespace casdisk {
namespace {

// Pages read between two calls of visit: 256 ids of 32 bytes each, 8 MiB.
constexpr size_t kPagesPerBatch = 1024;

class RootCollector {
 public:
  explicit RootCollector(const Catalog& catalog) : catalog_(catalog) {}

  // A disk's head and checkpoints, or with a name that one alone.
  Result<bool> add_disk(const std::string& disk, const std::string& only_checkpoint) {
    bool found = false;
    TRY(catalog_.view([&](CatalogReader& reader) -> Result<void> {
      TRY_ASSIGN(auto head, reader.find_head(disk));
      if (!head) return {};
      TRY_ASSIGN(auto checkpoints, reader.checkpoints(head->uid));
      for (const NamedCheckpoint& checkpoint : checkpoints) {
        if (!only_checkpoint.empty() && checkpoint.name != only_checkpoint) continue;
        found = true;
        add_checkpoint(reader, disk + "@" + checkpoint.name, checkpoint.id);
      }
      bool wants_head = only_checkpoint.empty();
      for (const PendingCheckpoint& pending : head->pending) {
        if (!only_checkpoint.empty() && pending.name != only_checkpoint) continue;
        wants_head = true;
        add_attachments(disk + "@" + pending.name, pending.attachments);
      }
      if (!wants_head) return {};
      found = true;
      if (head->parent) note_record(*head->parent);
      if (head->origin) return {};
      add(disk, head->root, head->size_bytes, head->fallback);
      return {};
    }));
    return found;
  }

  // The links between what has been added and the beginnings of the lineages.
  Result<void> add_lineages() {
    while (!links_.empty()) {
      TRY(catalog_.view([&](CatalogReader& reader) -> Result<void> {
        for (size_t i = 0; i < kLinksPerView && !links_.empty(); i++) {
          ChunkId id = links_.back();
          links_.pop_back();
          read_record(reader, id);
        }
        return {};
      }));
    }
    return {};
  }

  Result<void> add_fallbacks() {
    return catalog_.view([&](CatalogReader& reader) -> Result<void> {
      for (const auto& [id, users] : fallbacks_) {
        TRY_ASSIGN(auto record, reader.find_fallback(id));
        if (!record) continue;  // whoever looks at its users says so
        CatalogRoot root;
        root.name = "fallback " + record->path;
        root.size_bytes = record->identity.size_bytes;
        root.tree = Tree{record->table_root, chunks_for(root.size_bytes)};
        root.is_table_of = id;
        found_.roots.push_back(std::move(root));
      }
      return {};
    });
  }

  CatalogRoots take() { return std::move(found_); }

 private:
  static constexpr size_t kLinksPerView = 4096;

  CatalogRoot& add(const std::string& name, const Entry& root, uint64_t size_bytes,
                   const std::optional<FallbackUse>& fallback) {
    if (fallback) fallbacks_[fallback->file]++;
    CatalogRoot added;
    added.name = name;
    added.size_bytes = size_bytes;
    added.tree = Tree{root, chunks_for(size_bytes)};
    added.fallback = fallback;
    found_.roots.push_back(std::move(added));
    return found_.roots.back();
  }

  void add_attachments(const std::string& checkpoint, const std::vector<Attachment>& attachments) {
    for (const Attachment& attachment : attachments) {
      add(checkpoint + ":" + attachment.name, attachment.root, attachment.size_bytes, std::nullopt);
    }
  }

  void add_checkpoint(CatalogReader& reader, const std::string& name, const ChunkId& id) {
    const auto record = read_record(reader, id);
    if (!record) return;
    add(name, record->root, record->size_bytes, record->fallback).record = id;
    add_attachments(name, record->attachments);
  }

  void note_record(const ChunkId& id) {
    if (!records_.contains(id)) links_.push_back(id);
  }

  std::optional<CheckpointRecord> read_record(CatalogReader& reader, const ChunkId& id) {
    auto record = reader.checkpoint(id);
    if (records_.insert(id).second) {
      found_.records.push_back(id);
      if (!record.ok()) found_.bad_records.emplace_back(id, record.error());
    }
    if (!record.ok()) return std::nullopt;
    if (record.value().parent) note_record(*record.value().parent);
    return std::move(record).value();
  }

  const Catalog& catalog_;
  CatalogRoots found_;
  std::map<FallbackId, size_t> fallbacks_;
  std::unordered_set<ChunkId> records_;
  std::vector<ChunkId> links_;
};

struct ReadPage {
  ChunkId id;
  uint32_t level = 0;
  Result<Object> object = Object();
};

class PageWalk {
 public:
  PageWalk(const PageVisitor& visitor, unsigned threads) : visitor_(visitor), threads_(threads) {}

  Result<void> run(std::span<const CatalogRoot> roots) {
    for (const CatalogRoot& root : roots) {
      if (root.tree.root.state != EntryState::kId) continue;
      note(root.tree.root.id, levels_for(root.tree.chunk_count) - 1);
    }
    std::vector<ReadPage> batch;
    while (!waiting_.empty()) {
      const size_t count = std::min(waiting_.size(), kPagesPerBatch);
      batch.assign(waiting_.end() - ptrdiff_t(count), waiting_.end());
      waiting_.resize(waiting_.size() - count);
      TRY(parallel_for(count, threads_, [&](size_t i) -> Result<void> {
        batch[i].object = visitor_.read(batch[i].id);
        return {};
      }));
      TRY(take(batch));
    }
    return {};
  }

 private:
  void note(const ChunkId& id, uint32_t level) {
    if (known_.insert(id).second) waiting_.push_back({id, level});
  }

  Result<void> take(std::vector<ReadPage>& batch) {
    pages_.clear();
    chunks_.clear();
    for (ReadPage& page : batch) {
      auto view = page.object.ok() ? PageView::parse(*page.object.value(), uint8_t(page.level))
                                   : Result<PageView>(page.object.error());
      if (!view.ok()) {
        TRY(visitor_.bad_page(page.id, page.level, missing_is_damage(std::move(view.error()))));
        continue;
      }
      pages_.push_back(page.id);
      for (uint32_t slot = 0; slot < kPageEntries; slot++) {
        const Entry entry = view.value().entry(slot);
        if (entry.state != EntryState::kId) continue;
        if (page.level == 0) {
          chunks_.push_back(entry.id);
        } else {
          note(entry.id, page.level - 1);
        }
      }
      page.object = Object();
    }
    return visitor_.visit({pages_, chunks_});
  }

  const PageVisitor& visitor_;
  const unsigned threads_;
  std::unordered_set<ChunkId> known_;
  std::vector<ReadPage> waiting_;  // taken from its end: depth first, which keeps it short
  std::vector<ChunkId> pages_, chunks_;
};

}  // namespace

Result<CatalogRoots> roots_of(const Catalog& catalog) {
  std::vector<NamedHead> heads;
  TRY(catalog.view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(heads, reader.heads());
    return {};
  }));
  RootCollector collector(catalog);
  for (const NamedHead& named : heads) TRY(collector.add_disk(named.name, ""));
  TRY(collector.add_lineages());
  TRY(collector.add_fallbacks());
  return collector.take();
}

Result<CatalogRoots> roots_of(const Catalog& catalog, const VolumeName& name) {
  TRY_ASSIGN([[maybe_unused]] HeadRecord head, catalog.head(name.disk));
  RootCollector collector(catalog);
  TRY_ASSIGN(bool found, collector.add_disk(name.disk, name.checkpoint));
  if (!found) {
    return Error{Fault::kNotFound, 0,
                 fmt::format("no checkpoint {}; `casdisk log {}` lists those of the disk",
                             name.text(), name.disk)};
  }
  TRY(collector.add_lineages());
  TRY(collector.add_fallbacks());
  return collector.take();
}

Result<void> walk_pages(std::span<const CatalogRoot> roots, const PageVisitor& visitor,
                        unsigned threads) {
  return PageWalk(visitor, threads).run(roots);
}

}  // namespace casdisk
