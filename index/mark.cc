#include "index/mark.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "cas/os/memory.h"

namespace casdisk {
namespace {

// Pages read in one batch, of about 8 KiB.
constexpr size_t kPagesPerBatch = 64;

Error needed_by(Error error, const GcRoot& root) {
  error.context = fmt::format(
      "{}, which {} needs; nothing was collected. `casdisk verify` finds all that is damaged",
      error.context, root.name);
  return missing_is_damage(std::move(error));
}

}  // namespace

Result<Marker> Marker::make(Store& store, std::function<bool()> stop) {
  TRY_ASSIGN(const uint64_t count, store.local_chunks().object_count());
  TRY_ASSIGN(LiveSet live, LiveSet::with_room_for(count, available_memory_bytes() / 2));
  return Marker(store, std::move(stop), std::move(live));
}

Result<void> Marker::mark(const GcRoots& roots) {
  for (const GcRoot& root : roots.roots) {
    if (root.record) TRY(live_.insert(*root.record));
    for (const Tree& tree : root.trees) {
      auto marked = mark_tree(tree);
      if (marked.ok()) continue;
      if (marked.error().fault == Fault::kInvalid || marked.error().os_error == EINTR)
        return marked;
      return needed_by(std::move(marked.error()), root);
    }
  }
  for (const ChunkId& link : roots.links) TRY(live_.insert(link));
  return {};
}

Result<void> Marker::mark_tree(const Tree& tree) {
  if (tree.root.state != EntryState::kId) return {};
  return mark_pages({tree.root.id}, levels_for(tree.chunk_count) - 1);
}

// Goes down before it goes on, a batch of pages at a time: what waits is bounded by the batch, the
// entries of a page and the number of levels. A page counts as marked only when its entries are
// read; an error leaves the rest to nobody, since it ends the collection.
Result<void> Marker::mark_pages(std::vector<ChunkId> pages, uint32_t level) {
  std::erase_if(pages, [&](const ChunkId& id) { return !pages_.insert(id).second; });
  for (size_t first = 0; first < pages.size(); first += kPagesPerBatch) {
    if (stop_()) return Error{Fault::kIo, EINTR, "stopped; nothing was collected"};
    const auto batch =
        std::span(pages).subspan(first, std::min(kPagesPerBatch, pages.size() - first));
    TRY_ASSIGN(auto objects, store_->chunks().get_many(batch));
    std::vector<ChunkId> below;
    for (size_t i = 0; i < batch.size(); i++) {
      TRY(live_.insert(batch[i]));
      auto page = PageView::parse(*objects[i], uint8_t(level));
      if (!page.ok()) {
        page.error().context = fmt::format("index page {} (level {}): {}", to_hex(batch[i]), level,
                                           page.error().context);
        return std::move(page.error());
      }
      for (uint32_t slot = 0; slot < kPageEntries; slot++) {
        const Entry entry = page.value().entry(slot);
        if (entry.state != EntryState::kId) continue;
        if (level > 0) {
          below.push_back(entry.id);
        } else {
          TRY(live_.insert(entry.id));
        }
      }
    }
    objects.clear();
    if (!below.empty()) TRY(mark_pages(std::move(below), level - 1));
  }
  return {};
}

}  // namespace casdisk
