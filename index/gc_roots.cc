#include "index/gc_roots.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

namespace casdisk {
namespace {

constexpr size_t kRecordsPerView = 1024;
constexpr int kMaxLooks = 20;  // while others remove and collect all the time

Tree tree_of(const Entry& root, uint64_t size_bytes) { return {root, chunks_for(size_bytes)}; }

void add_attachments(const std::vector<Attachment>& attachments, std::vector<Tree>& trees) {
  for (const Attachment& attachment : attachments) {
    trees.push_back(tree_of(attachment.root, attachment.size_bytes));
  }
}

// What one transaction says.
struct Moment {
  std::vector<NamedHead> heads;
  std::vector<OwnedCheckpoint> checkpoints;
  std::vector<NamedFallback> fallbacks;
};

Result<Moment> read_moment(const Catalog& catalog) {
  Moment moment;
  TRY(catalog.view([&](CatalogReader& reader) -> Result<void> {
    TRY_ASSIGN(moment.heads, reader.heads());
    TRY_ASSIGN(moment.checkpoints, reader.all_checkpoints());
    TRY_ASSIGN(moment.fallbacks, reader.fallbacks());
    return {};
  }));
  return moment;
}

void add_heads(const Moment& moment, GcRoots& roots) {
  for (const NamedHead& named : moment.heads) {
    // Of a fork that waits for its source nothing is known yet; its size may be.
    GcRoot root{RootKind::kDisk, named.name, {}, std::nullopt};
    root.trees.push_back(tree_of(named.head.root, named.head.size_bytes));
    for (const PendingCheckpoint& pending : named.head.pending) {
      add_attachments(pending.attachments, root.trees);
    }
    roots.roots.push_back(std::move(root));
  }
}

// A checkpoint of a disk that is gone has no name: one with a name has a disk.
Result<void> add_checkpoints(const Catalog& catalog, const Moment& moment, GcRoots& roots,
                             std::vector<ChunkId>& parents) {
  std::unordered_map<uint64_t, std::string> disks;
  for (const NamedHead& named : moment.heads) {
    disks[named.head.uid] = named.name;
    if (named.head.parent) parents.push_back(*named.head.parent);
  }
  for (size_t first = 0; first < moment.checkpoints.size(); first += kRecordsPerView) {
    TRY(catalog.view([&](CatalogReader& reader) -> Result<void> {
      const size_t end = std::min(first + kRecordsPerView, moment.checkpoints.size());
      for (size_t i = first; i < end; i++) {
        const auto& [uid, named] = moment.checkpoints[i];
        auto record = reader.checkpoint(named.id);
        const std::string name = fmt::format("{}@{}", disks[uid], named.name);
        if (!record.ok()) {
          record.error().context = fmt::format("{}: {}", name, record.error().context);
          return std::move(record.error());
        }
        const CheckpointRecord& made = record.value();
        GcRoot root{RootKind::kCheckpoint, name, {tree_of(made.root, made.size_bytes)}, named.id};
        add_attachments(made.attachments, root.trees);
        roots.roots.push_back(std::move(root));
        if (made.parent) parents.push_back(*made.parent);
      }
      return {};
    }));
  }
  return {};
}

// The chains of what somebody descends from.
Result<void> add_links(const Catalog& catalog, std::vector<ChunkId> parents, GcRoots& roots) {
  std::unordered_set<ChunkId> seen;
  for (const GcRoot& root : roots.roots) {
    if (root.record) seen.insert(*root.record);
  }
  while (!parents.empty()) {
    TRY(catalog.view([&](CatalogReader& reader) -> Result<void> {
      for (size_t i = 0; i < kRecordsPerView && !parents.empty(); i++) {
        const ChunkId id = parents.back();
        parents.pop_back();
        if (!seen.insert(id).second) continue;
        TRY_ASSIGN(CheckpointRecord record, reader.checkpoint(id));
        roots.links.push_back(id);
        if (record.parent) parents.push_back(*record.parent);
      }
      return {};
    }));
  }
  return {};
}

}  // namespace

// The catalog, then the views: a tree that a view names and the catalog does not was named by the
// catalog when it was pinned, and never will be again.
Result<GcRoots> gc_roots(Store& store) {
  TRY(store.catalog().catch_up());  // what a process published that was killed at once counts
  TRY_ASSIGN(const Moment moment, read_moment(store.catalog()));
  TRY_ASSIGN(auto pinned, store.views().pinned());
  GcRoots roots;
  std::vector<ChunkId> parents;
  add_heads(moment, roots);
  TRY(add_checkpoints(store.catalog(), moment, roots, parents));
  for (const auto& [id, record] : moment.fallbacks) {
    roots.roots.push_back({RootKind::kFallback,
                           "the fallback " + record.path,
                           {tree_of(record.table_root, record.identity.size_bytes)},
                           std::nullopt});
  }
  if (!pinned.empty()) {
    roots.roots.push_back({RootKind::kView, "what is open", std::move(pinned), std::nullopt});
  }
  TRY(add_links(store.catalog(), std::move(parents), roots));
  return roots;
}

Result<void> look_beside_collection(const std::function<Result<void>()>& look) {
  std::string before;
  for (int i = 0; i < kMaxLooks; i++) {
    auto looked = look();
    if (looked.ok() || looked.error().fault != Fault::kDamaged) return looked;
    std::string found = describe(looked.error());
    if (found == before) return looked;
    before = std::move(found);
  }
  return Error{Fault::kBusy, 0,
               "what is removed meanwhile goes too fast to be looked at; try again"};
}

}  // namespace casdisk
