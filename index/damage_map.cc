#include "index/damage_map.h"

#include <algorithm>

namespace casdisk {
namespace {

uint64_t span_of(uint32_t levels) { return uint64_t(1) << (8 * levels); }

// The bytes of `count` chunks from `first` on, as far as they are below the end.
ByteRange bytes_of(uint64_t first, uint64_t count, uint64_t end_bytes) {
  const uint64_t end_chunk = chunks_for(end_bytes);
  if (first >= end_chunk) return {};
  const uint64_t end = first + std::min(count, end_chunk - first);
  return {first * kChunkBytes, std::min(end * kChunkBytes, end_bytes) - first * kChunkBytes};
}

}  // namespace

void RangeList::add(uint64_t offset, uint64_t length) {
  if (length == 0) return;
  total_bytes_ += length;
  const bool touches = count_ > 0 && offset == end_;
  end_ = offset + length;
  if (touches) {
    if (count_ <= kMaxKept) kept_.back().length += length;
    return;
  }
  count_++;
  if (count_ <= kMaxKept) kept_.push_back({offset, length});
}

Result<VolumeDamage> DamageMap::damage_of(const CatalogRoot& root) {
  std::vector<ByteRange> found;
  TRY(find_bad(root, {root.tree.root, levels_for(root.tree.chunk_count), 0}, found));
  if (root.is_table_of && !found.empty()) lost_in_tables_[*root.is_table_of] = found;
  TRY_ASSIGN(auto with_table, lost_with_table(root));
  found.insert(found.end(), with_table.begin(), with_table.end());
  std::ranges::sort(found, {}, &ByteRange::offset);
  VolumeDamage damage{root.name, {}};
  for (const ByteRange& range : found) damage.ranges.add(range.offset, range.length);
  return damage;
}

Result<std::vector<ByteRange>> DamageMap::lost_with_table(const CatalogRoot& root) {
  std::vector<ByteRange> lost;
  if (!root.fallback) return lost;
  const auto table = lost_in_tables_.find(root.fallback->file);
  if (table == lost_in_tables_.end()) return lost;
  for (const ByteRange& range : table->second) {
    const Chunks chunks{
        range.offset / kChunkBytes,
        chunks_for(std::min(range.offset + range.length, root.fallback->limit_bytes))};
    TRY(visit_absent({root.tree.root, levels_for(root.tree.chunk_count), 0}, chunks,
                     [&](uint64_t first, uint64_t count) -> Result<void> {
                       lost.push_back(bytes_of(first, count, root.fallback->limit_bytes));
                       return {};
                     }));
  }
  return lost;
}

Result<bool> DamageMap::find_bad(const CatalogRoot& root, const Part& part,
                                 std::vector<ByteRange>& found) {
  const Entry& entry = part.entry;
  if (entry.state != EntryState::kId) return false;
  const auto add = [&] {
    const ByteRange range = bytes_of(part.base, span_of(part.levels), root.size_bytes);
    options_.met(entry.id, root, range);
    if (!found.empty() && found.back().offset + found.back().length == range.offset) {
      found.back().length += range.length;
    } else if (range.length > 0) {
      found.push_back(range);
    }
    return true;
  };
  if (options_.is_bad(entry.id)) return add();
  if (part.levels == 0 || whole_.contains(entry.id)) return false;
  const uint32_t level = part.levels - 1;
  auto object = options_.read_page(entry.id);
  if (!object.ok() && !means_damage(object.error())) return std::move(object.error());
  if (!object.ok()) return add();
  const auto page = PageView::parse(*object.value(), uint8_t(level));
  if (!page.ok()) return add();
  bool is_bad = false;
  for (uint32_t slot = 0; slot < kPageEntries; slot++) {
    const Part child{page.value().entry(slot), level, part.base + slot * span_of(level)};
    TRY_ASSIGN(const bool child_is_bad, find_bad(root, child, found));
    is_bad |= child_is_bad;
  }
  if (!is_bad) whole_.insert(entry.id);
  return is_bad;
}

// What is below a page that cannot be read counts as present: it is lost in its own right.
Result<void> DamageMap::visit_absent(const Part& part, Chunks within, const VisitRun& visit) {
  const uint64_t first = std::max(within.first, part.base);
  const uint64_t end = std::min(within.end, part.base + span_of(part.levels));
  if (first >= end) return {};
  if (part.entry.state == EntryState::kAbsent) return visit(first, end - first);
  if (part.entry.state == EntryState::kZero || part.levels == 0) return {};
  const uint32_t level = part.levels - 1;
  auto object = options_.read_page(part.entry.id);
  if (!object.ok() && !means_damage(object.error())) return std::move(object.error());
  if (!object.ok()) return {};
  const auto page = PageView::parse(*object.value(), uint8_t(level));
  if (!page.ok()) return {};
  const uint64_t first_slot = (first - part.base) / span_of(level);
  for (uint64_t slot = first_slot; slot < kPageEntries; slot++) {
    const uint64_t base = part.base + slot * span_of(level);
    if (base >= end) break;
    TRY(visit_absent({page.value().entry(uint32_t(slot)), level, base}, within, visit));
  }
  return {};
}

Result<RangeList> DamageMap::not_ingested(const CatalogRoot& root, const CatalogRoot& table) {
  RangeList ranges;
  if (!root.fallback) return ranges;
  const uint64_t limit_bytes = root.fallback->limit_bytes;
  const Part table_top{table.tree.root, levels_for(table.tree.chunk_count), 0};
  TRY(visit_absent({root.tree.root, levels_for(root.tree.chunk_count), 0},
                   {0, chunks_for(std::min(limit_bytes, root.size_bytes))},
                   [&](uint64_t first, uint64_t count) {
                     return visit_absent(table_top, {first, first + count},
                                         [&](uint64_t from, uint64_t run) -> Result<void> {
                                           const auto range = bytes_of(from, run, limit_bytes);
                                           ranges.add(range.offset, range.length);
                                           return {};
                                         });
                   }));
  return ranges;
}

}  // namespace casdisk
