// Extents of the layers: allocated or hole, without reading any data.
#include <algorithm>
#include <optional>

#include "index/layers.h"

namespace casdisk {
namespace {

using Visit = std::function<bool(const Extent&)>;

class ExtentWalk {
 public:
  ExtentWalk(const Layers& layers, uint64_t offset, uint64_t length, const Visit& visit)
      : layers_(layers), begin_(offset), end_(offset + length), visit_(visit) {}

  Result<void> run() {
    uint64_t first = begin_ / kChunkBytes, last = (end_ - 1) / kChunkBytes;
    Result<void> outcome;
    TRY(walk(*layers_.chunks, layers_.tree, first, last - first + 1, [&](const EntryRun& run) {
      outcome = tree_run(run);
      return outcome.ok() && !stopped_;
    }));
    TRY(std::move(outcome));
    if (held_ && !stopped_) visit_(*held_);
    return {};
  }

 private:
  // Chunks that a generation has touched are looked at one by one, the stretches between as a
  // whole.
  Result<void> tree_run(const EntryRun& run) {
    uint64_t chunk = run.first, end = run.first + run.count;
    while (chunk < end && !stopped_) {
      uint64_t dirty = end;
      for (const auto& generation : layers_.generations) {
        dirty = std::min(dirty, generation->next_dirty(chunk, end));
      }
      if (dirty > chunk) TRY(base(run.entry, chunk * kChunkBytes, dirty * kChunkBytes));
      if (dirty < end) TRY(dirty_chunk(run.entry, dirty));
      chunk = dirty + 1;
    }
    return {};
  }

  Result<void> dirty_chunk(const Entry& entry, uint64_t chunk) {
    for (uint32_t block = 0; block < kBlocksPerChunk; block++) {
      uint64_t from = chunk * kChunkBytes + uint64_t(block) * kBlockBytes;
      switch (state_of(chunk, block)) {
        case BlockState::kData:
          add(from, from + kBlockBytes, false);
          break;
        case BlockState::kZero:
          add(from, from + kBlockBytes, true);
          break;
        case BlockState::kClean:
          TRY(base(entry, from, from + kBlockBytes));
          break;
      }
    }
    return {};
  }

  BlockState state_of(uint64_t chunk, uint32_t block) const {
    for (const auto& generation : layers_.generations) {
      ChunkWord word = generation->word(chunk);
      if ((data_blocks(word) >> block) & 1) return BlockState::kData;
      if ((zero_blocks(word) >> block) & 1) return BlockState::kZero;
    }
    return BlockState::kClean;
  }

  // [from, to) as the tree and what is below it have it.
  Result<void> base(const Entry& entry, uint64_t from, uint64_t to) {
    from = std::max(from, begin_);
    to = std::min(to, end_);
    if (from >= to) return {};
    if (entry.state != EntryState::kAbsent) {
      add(from, to, entry.state == EntryState::kZero);
      return {};
    }
    uint64_t limit = std::clamp(layers_.fallback_limit_bytes, from, to);
    if (from < limit) TRY(in_table(from, limit));
    add(limit, to, true);
    return {};
  }

  Result<void> in_table(uint64_t from, uint64_t to) {
    uint64_t first = from / kChunkBytes, last = (to - 1) / kChunkBytes;
    Result<void> outcome;
    const PinnedTree table = layers_.fallback->table();
    TRY(walk(*layers_.chunks, table.tree, first, last - first + 1, [&](const EntryRun& run) {
      uint64_t part_from = std::max(from, run.first * kChunkBytes);
      uint64_t part_to = std::min(to, (run.first + run.count) * kChunkBytes);
      if (run.entry.state == EntryState::kAbsent) {
        outcome = in_file_or_refreshed_table(part_from, part_to);
      } else {
        add(part_from, part_to, run.entry.state == EntryState::kZero);
      }
      return outcome.ok() && !stopped_;
    }));
    return outcome;
  }

  // The file may be gone because another process has taken it in whole.
  Result<void> in_file_or_refreshed_table(uint64_t from, uint64_t to) {
    auto answered = in_file(from, to);
    if (answered.ok()) return {};
    TRY_ASSIGN(bool refreshed, layers_.fallback->refresh());
    return refreshed ? in_table(from, to) : answered;
  }

  // Says nothing of the range unless the file is what it was.
  Result<void> in_file(uint64_t from, uint64_t to) {
    TRY(layers_.fallback->check_pin());
    TRY_ASSIGN(const File* file, layers_.fallback->file());
    while (from < to && !stopped_) {
      TRY_ASSIGN(DataRange data, file->next_data(from));
      uint64_t data_from = data.length == 0 ? to : std::clamp(data.offset, from, to);
      uint64_t data_to = data.length == 0 ? to : std::clamp(data.offset + data.length, from, to);
      add(from, data_from, true);
      add(data_from, data_to, false);
      from = data_to;
    }
    return {};
  }

  // Holds the last extent back until one that differs follows.
  void add(uint64_t from, uint64_t to, bool is_hole) {
    from = std::max(from, begin_);
    to = std::min(to, end_);
    if (from >= to || stopped_) return;
    if (held_ && held_->is_hole == is_hole) {
      held_->length = to - held_->offset;
      return;
    }
    if (held_) stopped_ = !visit_(*held_);
    held_ = Extent{from, to - from, is_hole};
  }

  const Layers& layers_;
  uint64_t begin_, end_;
  const Visit& visit_;
  std::optional<Extent> held_;
  bool stopped_ = false;
};

}  // namespace

Result<void> extents_of_layers(const Layers& layers, uint64_t offset, uint64_t length,
                               const std::function<bool(const Extent&)>& visit) {
  CHECK(offset <= layers.size_bytes && length <= layers.size_bytes - offset);
  if (length == 0) return {};
  return ExtentWalk(layers, offset, length, visit).run();
}

}  // namespace casdisk
