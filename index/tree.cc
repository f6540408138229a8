#include "index/tree.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {
namespace {

// Chunks below one entry of a page of this level.
uint64_t entry_span(uint32_t level) { return uint64_t(1) << (8 * level); }

Error in_page(Error error, const ChunkId& id, uint32_t level) {
  error.context = fmt::format("index page {} (level {}): {}", to_hex(id), level, error.context);
  return missing_is_damage(std::move(error));
}

struct Walk {
  ChunkStore& store;
  uint64_t first, end;
  const std::function<bool(const EntryRun&)>& visit;
  bool stopped = false;

  // `entry` stands for the chunks [base, base + span).
  Result<void> entry_at(const Entry& entry, uint32_t levels, uint64_t base, uint64_t span) {
    uint64_t from = std::max(first, base), to = std::min(end, base + span);
    if (from >= to || stopped) return {};
    if (levels == 0 || entry.state != EntryState::kId) {
      stopped = !visit(EntryRun{from, to - from, entry});
      return {};
    }
    return page_at(entry.id, levels - 1, base);
  }

  Result<void> page_at(const ChunkId& id, uint32_t level, uint64_t base) {
    auto object = store.get(id);
    if (!object.ok()) return in_page(std::move(object.error()), id, level);
    auto view = PageView::parse(*object.value(), uint8_t(level));
    if (!view.ok()) return in_page(std::move(view.error()), id, level);
    uint64_t span = entry_span(level);
    uint64_t slot = first > base ? (first - base) / span : 0;
    for (; slot < kPageEntries && base + slot * span < end && !stopped; slot++) {
      TRY(entry_at(view.value().entry(uint32_t(slot)), level, base + slot * span, span));
    }
    return {};
  }
};

}  // namespace

Error missing_is_damage(Error error) {
  if (error.fault == Fault::kNotFound) error.fault = Fault::kDamaged;
  return error;
}

uint32_t levels_for(uint64_t chunk_count) {
  uint32_t levels = 1;
  while (levels < kMaxLevels && entry_span(levels) < chunk_count) levels++;
  return levels;
}

Result<Page> page_under(ChunkStore& store, const Entry& entry, uint32_t level) {
  if (entry.state != EntryState::kId) {
    Page page;
    page.level = uint8_t(level);
    page.entries.fill(entry);
    return page;
  }
  auto object = store.get(entry.id);
  if (!object.ok()) return in_page(std::move(object.error()), entry.id, level);
  auto view = PageView::parse(*object.value(), uint8_t(level));
  if (!view.ok()) return in_page(std::move(view.error()), entry.id, level);
  return view.value().unpack();
}

Result<void> walk(ChunkStore& store, const Tree& tree, uint64_t first, uint64_t count,
                  const std::function<bool(const EntryRun&)>& visit) {
  uint64_t inside = first < tree.chunk_count ? std::min(count, tree.chunk_count - first) : 0;
  Walk walk{store, first, first + inside, visit};
  uint32_t levels = levels_for(tree.chunk_count);
  TRY(walk.entry_at(tree.root, levels, 0, entry_span(levels)));
  if (!walk.stopped && inside < count) {
    visit(EntryRun{first + inside, count - inside, Entry::absent()});
  }
  return {};
}

Result<Entry> lookup(ChunkStore& store, const Tree& tree, uint64_t chunk) {
  if (chunk >= tree.chunk_count) return Entry::absent();
  Entry entry = tree.root;
  for (uint32_t level = levels_for(tree.chunk_count); level > 0;) {
    if (entry.state != EntryState::kId) return entry;
    level--;
    auto object = store.get(entry.id);
    if (!object.ok()) return in_page(std::move(object.error()), entry.id, level);
    auto found = entry_of_page(*object.value(), uint8_t(level),
                               uint32_t(chunk / entry_span(level) % kPageEntries));
    if (!found.ok()) return in_page(std::move(found.error()), entry.id, level);
    entry = found.value();
  }
  return entry;
}

}  // namespace casdisk
