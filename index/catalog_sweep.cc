#include "index/catalog_sweep.h"

#include <algorithm>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace casdisk {
namespace {

constexpr size_t kRecordsPerUpdate = 512;  // some milliseconds that other writers wait

// What is needed, and what is not: as one transaction saw it, then brought up to date by later
// ones.
class Needs {
 public:
  Result<void> look(CatalogReader& reader) {
    TRY_ASSIGN(auto heads, reader.heads());
    TRY_ASSIGN(auto names, reader.all_checkpoints());
    TRY_ASSIGN(auto links, reader.checkpoint_links());
    TRY_ASSIGN(auto fallbacks, reader.fallbacks());
    std::unordered_map<ChunkId, const CheckpointLink*> by_id;
    for (const CheckpointLink& link : links) by_id[link.id] = &link;
    auto need_chain = [&](std::optional<ChunkId> id) {
      while (id && needed_.insert(*id).second) {
        auto found = by_id.find(*id);
        if (found == by_id.end()) return;
        id = found->second->parent;
      }
    };
    for (const NamedHead& named : heads) {
      versions_[named.head.uid] = named.head.version;
      need_chain(named.head.parent);
      if (named.head.fallback) needed_fallbacks_.insert(named.head.fallback->file);
    }
    for (const OwnedCheckpoint& owned : names) {
      named_.insert(owned.checkpoint.id);
      need_chain(owned.checkpoint.id);
      auto found = by_id.find(owned.checkpoint.id);
      if (found == by_id.end() || !found->second->fallback) continue;
      needed_fallbacks_.insert(*found->second->fallback);
    }
    for (const CheckpointLink& link : links) {
      if (!needed_.contains(link.id)) unneeded.push_back(link.id);
    }
    for (const NamedFallback& fallback : fallbacks) {
      if (!needed_fallbacks_.contains(fallback.id)) unneeded_fallbacks.push_back(fallback.id);
    }
    return {};
  }

  // Adds what was named since: a reference is made in a transaction that changes a head
  // (CatalogWriter). What has ceased to be needed meanwhile stays, until the next sweep.
  Result<void> look_again(CatalogReader& reader) {
    TRY_ASSIGN(auto heads, reader.heads());
    for (const NamedHead& named : heads) {
      const HeadRecord& head = named.head;
      auto [seen, is_new] = versions_.try_emplace(head.uid, head.version);
      if (!is_new && seen->second == head.version) continue;
      seen->second = head.version;
      TRY(need(reader, head.parent));
      if (head.fallback) needed_fallbacks_.insert(head.fallback->file);
      TRY_ASSIGN(auto checkpoints, reader.checkpoints(head.uid));
      for (const NamedCheckpoint& checkpoint : checkpoints) {
        if (!named_.insert(checkpoint.id).second) continue;
        TRY(need(reader, checkpoint.id));
        TRY_ASSIGN(const CheckpointRecord record, reader.checkpoint(checkpoint.id));
        if (record.fallback) needed_fallbacks_.insert(record.fallback->file);
      }
    }
    return {};
  }

  bool has(const ChunkId& record) const { return needed_.contains(record); }
  bool has_fallback(const FallbackId& id) const { return needed_fallbacks_.contains(id); }

  // By look().
  std::vector<ChunkId> unneeded;
  std::vector<FallbackId> unneeded_fallbacks;

 private:
  Result<void> need(CatalogReader& reader, std::optional<ChunkId> id) {
    while (id && needed_.insert(*id).second) {
      TRY_ASSIGN(const CheckpointRecord record, reader.checkpoint(*id));
      id = record.parent;
    }
    return {};
  }

  std::unordered_map<uint64_t, uint64_t> versions_;  // of heads, by uid
  std::unordered_set<ChunkId> needed_, named_;
  std::unordered_set<FallbackId> needed_fallbacks_;
};

}  // namespace

Result<uint64_t> sweep_catalog(Store& store) {
  Needs needs;
  TRY(store.catalog().view([&](CatalogReader& reader) { return needs.look(reader); }));
  uint64_t removed_count = 0;
  const std::span<const ChunkId> unneeded(needs.unneeded);
  for (size_t first = 0; first < unneeded.size(); first += kRecordsPerUpdate) {
    const auto slice =
        unneeded.subspan(first, std::min(kRecordsPerUpdate, unneeded.size() - first));
    TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
      TRY(needs.look_again(writer));
      for (const ChunkId& id : slice) {
        if (!needs.has(id)) TRY(writer.remove_checkpoint_record(id));
      }
      return {};
    }));
    removed_count += size_t(std::ranges::count_if(slice, [&](auto& id) { return !needs.has(id); }));
  }
  if (needs.unneeded_fallbacks.empty()) return removed_count;
  TRY(store.catalog().update([&](CatalogWriter& writer) -> Result<void> {
    TRY(needs.look_again(writer));
    std::erase_if(needs.unneeded_fallbacks,
                  [&](const FallbackId& id) { return needs.has_fallback(id); });
    for (const FallbackId& id : needs.unneeded_fallbacks) TRY(writer.remove_fallback(id));
    return {};
  }));
  return removed_count + needs.unneeded_fallbacks.size();
}

}  // namespace casdisk
