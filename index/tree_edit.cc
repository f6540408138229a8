// Changing a tree: new pages on the changed paths, everything else shared with the old tree.
#include <algorithm>

#include "index/tree.h"

namespace casdisk {
namespace {

struct Editor {
  ChunkStore& store;

  // A uniform page collapses into its parent's entry; any other is put under its hash.
  Result<Entry> collapse(const Page& page) {
    const Entry& first = page.entries[0];
    bool uniform = first.state != EntryState::kId &&
                   std::all_of(page.entries.begin(), page.entries.end(),
                               [&](const Entry& entry) { return entry == first; });
    if (uniform) return first;
    TRY_ASSIGN(ChunkId id, store.put(ObjectKind::kPage, encode_page(page)));
    return Entry::of(id);
  }

  // `changes` all lie in the page of this level that begins at chunk `base`.
  Result<Entry> apply(const Entry& entry, uint32_t level, uint64_t base,
                      std::span<const Change> changes) {
    TRY_ASSIGN(Page page, page_under(store, entry, level));
    uint64_t span = uint64_t(1) << (8 * level);
    while (!changes.empty()) {
      uint64_t slot = (changes.front().chunk - base) / span;
      uint64_t child_base = base + slot * span;
      auto rest = std::find_if(changes.begin(), changes.end(), [&](const Change& change) {
        return change.chunk >= child_base + span;
      });
      auto here = changes.first(size_t(rest - changes.begin()));
      if (level == 0) {
        page.entries[slot] = here.front().entry;
      } else {
        TRY_ASSIGN(page.entries[slot], apply(page.entries[slot], level - 1, child_base, here));
      }
      changes = changes.subspan(here.size());
    }
    return collapse(page);
  }

  // Drops what lies at or beyond `end` from the subtree of `levels` levels that begins at `base`.
  Result<Entry> cut(const Entry& entry, uint32_t levels, uint64_t base, uint64_t end) {
    uint64_t span = uint64_t(1) << (8 * levels);
    if (base >= end) return Entry::absent();
    if (entry.state == EntryState::kAbsent || base + span <= end) return entry;
    uint32_t level = levels - 1;
    TRY_ASSIGN(Page page, page_under(store, entry, level));
    for (uint32_t slot = 0; slot < kPageEntries; slot++) {
      uint64_t child_base = base + (uint64_t(slot) << (8 * level));
      TRY_ASSIGN(page.entries[slot], cut(page.entries[slot], level, child_base, end));
    }
    return collapse(page);
  }
};

}  // namespace

Result<Tree> edit(ChunkStore& store, const Tree& tree, std::span<const Change> changes) {
  if (changes.empty()) return tree;
  for (size_t i = 0; i < changes.size(); i++) {
    CHECK(changes[i].chunk < tree.chunk_count);
    CHECK(i == 0 || changes[i - 1].chunk < changes[i].chunk);
  }
  Tree edited = tree;
  uint32_t top = levels_for(tree.chunk_count) - 1;
  TRY_ASSIGN(edited.root, Editor{store}.apply(tree.root, top, 0, changes));
  return edited;
}

Result<Tree> resize(ChunkStore& store, const Tree& tree, uint64_t chunk_count) {
  Editor editor{store};
  uint32_t levels = levels_for(tree.chunk_count), wanted = levels_for(chunk_count);
  Tree resized{tree.root, chunk_count};
  if (chunk_count < tree.chunk_count) {
    TRY_ASSIGN(resized.root, editor.cut(tree.root, levels, 0, chunk_count));
  }
  for (; levels > wanted && resized.root.state == EntryState::kId; levels--) {
    TRY_ASSIGN(Page page, page_under(store, resized.root, levels - 1));
    resized.root = page.entries[0];
  }
  for (; levels < wanted && resized.root.state != EntryState::kAbsent; levels++) {
    Page page;
    page.level = uint8_t(levels);
    page.entries[0] = resized.root;
    TRY_ASSIGN(resized.root, editor.collapse(page));
  }
  return resized;
}

}  // namespace casdisk
