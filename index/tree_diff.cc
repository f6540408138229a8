// Comparing two trees: equal ids are equal subtrees and are not entered.
#include "index/tree.h"

namespace casdisk {
namespace {

struct Differ {
  ChunkStore& store;
  uint64_t chunk_count;  // what a damaged page has beyond is no chunk
  const std::function<bool(const Difference&)>& visit;
  bool stopped = false;

  Result<void> compare(const Entry& before, const Entry& after, uint32_t levels, uint64_t base) {
    if (before == after || stopped || base >= chunk_count) return {};
    if (levels == 0) {
      stopped = !visit(Difference{base, before, after});
      return {};
    }
    uint32_t level = levels - 1;
    TRY_ASSIGN(Page old_page, page_under(store, before, level));
    TRY_ASSIGN(Page new_page, page_under(store, after, level));
    for (uint32_t slot = 0; slot < kPageEntries && !stopped; slot++) {
      TRY(compare(old_page.entries[slot], new_page.entries[slot], level,
                  base + (uint64_t(slot) << (8 * level))));
    }
    return {};
  }
};

}  // namespace

Result<void> diff(ChunkStore& store, const Tree& before, const Tree& after,
                  const std::function<bool(const Difference&)>& visit) {
  // Growing the lower tree to the other's height puts at most one page per missing level.
  uint64_t chunk_count = std::max(before.chunk_count, after.chunk_count);
  TRY_ASSIGN(Tree left, resize(store, before, chunk_count));
  TRY_ASSIGN(Tree right, resize(store, after, chunk_count));
  Differ differ{store, chunk_count, visit};
  return differ.compare(left.root, right.root, levels_for(chunk_count), 0);
}

}  // namespace casdisk
