// Reading through the layers: first decide where each part of the request lies, then fetch.
#include <algorithm>

#include "index/layers.h"

namespace casdisk {
namespace {

constexpr size_t kChunksPerPrefetch = 64;  // at once; bounds the memory of it

// A part of the request that no generation answers.
struct Gap {
  uint64_t offset = 0;
  std::span<std::byte> into;
};

// What chunks of the store are checked against: a guest's read is served blocks that match their
// own checksums; what is put into the store again, under a new hash, matched the old one.
enum class Check { kBlocks, kWhole };

Error unreadable(Error error) {
  if (means_damage(error)) error.context += "; `casdisk verify` names all that is damaged";
  return missing_is_damage(std::move(error));
}

Result<void> fetch_part(const Layers& layers, const ChunkPart& part, Check check) {
  auto done = check == Check::kBlocks ? layers.chunks->read_chunk(part.id, part.offset, part.into)
                                      : layers.chunks->read_whole({&part, 1});
  if (!done.ok()) return unreadable(std::move(done.error()));
  return done;
}

// The short way, without a plan and what it allocates: a request inside one chunk that one
// generation, the tree, the fallback's table or zeros answer as a whole. kNeedsPlan: it is none,
// and nothing is read.
enum class ShortRead { kDone, kNeedsPlan };

// A chunk of the store, or zeros.
Result<ShortRead> read_entry(const Layers& layers, const Entry& entry, uint64_t offset,
                             std::span<std::byte> into, Check check) {
  if (entry.state == EntryState::kId) {
    TRY(fetch_part(layers, {entry.id, uint32_t(offset % kChunkBytes), into}, check));
  } else {
    std::fill(into.begin(), into.end(), std::byte(0));
  }
  return ShortRead::kDone;
}

// What the store has of the fallback already; the file itself is read by a plan.
// REQUIRES: absent from the tree, begins below the fallback's limit.
Result<ShortRead> read_taken_in(const Layers& layers, uint64_t offset, std::span<std::byte> into,
                                Check check) {
  if (offset + into.size() > layers.fallback_limit_bytes) return ShortRead::kNeedsPlan;
  const PinnedTree table = layers.fallback->table();
  TRY_ASSIGN(const Entry entry, lookup(*layers.chunks, table.tree, offset / kChunkBytes));
  if (entry.state == EntryState::kAbsent) return ShortRead::kNeedsPlan;
  return read_entry(layers, entry, offset, into, check);
}

// REQUIRES: clean in every generation.
Result<ShortRead> read_sealed(const Layers& layers, uint64_t offset, std::span<std::byte> into,
                              Check check) {
  TRY_ASSIGN(const Entry entry, lookup(*layers.chunks, layers.tree, offset / kChunkBytes));
  if (entry.state == EntryState::kAbsent && offset < layers.fallback_limit_bytes) {
    return read_taken_in(layers, offset, into, check);
  }
  return read_entry(layers, entry, offset, into, check);
}

// Of the chunk that both bytes lie in.
BlockMask blocks_between(uint64_t first_byte, uint64_t last_byte) {
  const auto first = uint32_t(first_byte / kBlockBytes % kBlocksPerChunk);
  const auto last = uint32_t(last_byte / kBlockBytes % kBlocksPerChunk);
  return blocks_mask(first, last - first + 1);
}

// REQUIRES: `into` is not empty.
Result<ShortRead> read_short(const Layers& layers, uint64_t offset, std::span<std::byte> into,
                             Check check) {
  const uint64_t chunk = offset / kChunkBytes, last_byte = offset + into.size() - 1;
  if (last_byte / kChunkBytes != chunk) return ShortRead::kNeedsPlan;
  for (const auto& generation : layers.generations) {
    const ChunkWord word = generation->word(chunk);
    if (word == kAllClean) continue;
    const BlockMask asked = blocks_between(offset, last_byte);
    const BlockMask data = data_blocks(word) & asked, zero = zero_blocks(word) & asked;
    if (data == asked) {
      const ReadPiece piece{&generation->overlay(), offset, into};
      TRY(layers.file_system->read({&piece, 1}));
      return ShortRead::kDone;
    }
    if (zero == asked) {
      std::fill(into.begin(), into.end(), std::byte(0));
      return ShortRead::kDone;
    }
    if ((data | zero) != 0) return ShortRead::kNeedsPlan;
  }
  return read_sealed(layers, offset, into, check);
}

class ReadPlan {
 public:
  ReadPlan(const Layers& layers, Check check) : layers_(layers), check_(check) {}

  Result<void> run(uint64_t offset, std::span<std::byte> into) {
    place_in_generations(offset, into);
    if (!gaps_.empty()) TRY(place_in_tree());
    if (!pieces_.empty()) TRY(layers_.file_system->read(pieces_));
    if (asked_fallback_) TRY(layers_.fallback->check_pin());
    return fetch_chunks();
  }

 private:
  void place_in_generations(uint64_t offset, std::span<std::byte> into);
  void place_block(uint64_t offset, std::span<std::byte> into);
  Result<void> place_in_tree();
  Result<void> place_run(const EntryRun& run, bool in_table);
  Result<void> place_absent(uint64_t offset, std::span<std::byte> into);
  Result<void> fetch_chunks();
  void add_gap(uint64_t offset, std::span<std::byte> into);
  void add_piece(const File& file, uint64_t offset, std::span<std::byte> into);

  const Layers& layers_;
  const Check check_;
  std::vector<ReadPiece> pieces_;
  std::vector<Gap> gaps_;
  std::vector<ChunkPart> chunk_parts_;
  bool asked_fallback_ = false;
};

void ReadPlan::add_piece(const File& file, uint64_t offset, std::span<std::byte> into) {
  if (!pieces_.empty()) {
    ReadPiece& last = pieces_.back();
    if (last.file == &file && last.offset + last.into.size() == offset &&
        last.into.data() + last.into.size() == into.data()) {
      last.into = std::span(last.into.data(), last.into.size() + into.size());
      return;
    }
  }
  pieces_.push_back({&file, offset, into});
}

void ReadPlan::add_gap(uint64_t offset, std::span<std::byte> into) {
  if (!gaps_.empty() && gaps_.back().offset + gaps_.back().into.size() == offset) {
    Gap& last = gaps_.back();
    last.into = std::span(last.into.data(), last.into.size() + into.size());
    return;
  }
  gaps_.push_back({offset, into});
}

void ReadPlan::place_in_generations(uint64_t offset, std::span<std::byte> into) {
  while (!into.empty()) {
    // A chunk that is clean in every generation is placed whole, others block by block.
    uint64_t chunk = offset / kChunkBytes;
    uint64_t in_chunk = std::min<uint64_t>(into.size(), (chunk + 1) * kChunkBytes - offset);
    bool clean =
        std::all_of(layers_.generations.begin(), layers_.generations.end(),
                    [&](const auto& generation) { return generation->word(chunk) == kAllClean; });
    if (clean) {
      add_gap(offset, into.first(in_chunk));
    } else {
      for (uint64_t at = 0; at < in_chunk;) {
        uint64_t block_end = ((offset + at) / kBlockBytes + 1) * kBlockBytes;
        uint64_t length = std::min(in_chunk - at, block_end - (offset + at));
        place_block(offset + at, into.subspan(at, length));
        at += length;
      }
    }
    offset += in_chunk;
    into = into.subspan(in_chunk);
  }
}

void ReadPlan::place_block(uint64_t offset, std::span<std::byte> into) {
  BlockMask bit = BlockMask(1u << (offset / kBlockBytes % kBlocksPerChunk));
  for (const auto& generation : layers_.generations) {
    ChunkWord word = generation->word(offset / kChunkBytes);
    if (data_blocks(word) & bit) return add_piece(generation->overlay(), offset, into);
    if (zero_blocks(word) & bit) {
      std::fill(into.begin(), into.end(), std::byte(0));
      return;
    }
  }
  add_gap(offset, into);
}

Result<void> ReadPlan::place_in_tree() {
  std::vector<Gap> gaps = std::move(gaps_);
  for (const Gap& gap : gaps) {
    uint64_t first = gap.offset / kChunkBytes;
    uint64_t last = (gap.offset + gap.into.size() - 1) / kChunkBytes;
    gaps_ = {gap};
    Result<void> placed;
    TRY(walk(*layers_.chunks, layers_.tree, first, last - first + 1, [&](const EntryRun& run) {
      placed = place_run(run, false);
      return placed.ok();
    }));
    TRY(std::move(placed));
  }
  return {};
}

// Places the part of the gap at the end of gaps_ that lies in `run`.
Result<void> ReadPlan::place_run(const EntryRun& run, bool in_table) {
  const Gap& gap = gaps_.back();
  uint64_t from = std::max(gap.offset, run.first * kChunkBytes);
  uint64_t to = std::min(gap.offset + gap.into.size(), (run.first + run.count) * kChunkBytes);
  auto into = gap.into.subspan(from - gap.offset, to - from);
  switch (run.entry.state) {
    case EntryState::kZero:
      std::fill(into.begin(), into.end(), std::byte(0));
      return {};
    case EntryState::kId:
      chunk_parts_.push_back({run.entry.id, uint32_t(from % kChunkBytes), into});
      return {};
    case EntryState::kAbsent:
      break;
  }
  if (!in_table) return place_absent(from, into);
  TRY_ASSIGN(const File* file, layers_.fallback->file());
  add_piece(*file, from, into);
  asked_fallback_ = true;
  layers_.fallback->want(run.first, run.count);
  return {};
}

// Beyond the fallback's limit there are zeros; below it the table answers, or else the file.
Result<void> ReadPlan::place_absent(uint64_t offset, std::span<std::byte> into) {
  uint64_t limit = std::max(offset, layers_.fallback_limit_bytes);
  auto below = into.first(std::min<uint64_t>(into.size(), limit - offset));
  auto beyond = into.subspan(below.size());
  std::fill(beyond.begin(), beyond.end(), std::byte(0));
  if (below.empty()) return {};
  uint64_t first = offset / kChunkBytes, last = (offset + below.size() - 1) / kChunkBytes;
  gaps_.push_back({offset, below});
  Result<void> placed;
  const PinnedTree table = layers_.fallback->table();
  TRY(walk(*layers_.chunks, table.tree, first, last - first + 1, [&](const EntryRun& run) {
    placed = place_run(run, true);
    return placed.ok();
  }));
  gaps_.pop_back();
  return placed;
}

Result<void> ReadPlan::fetch_chunks() {
  auto done = check_ == Check::kBlocks ? layers_.chunks->read_parts(chunk_parts_)
                                       : layers_.chunks->read_whole(chunk_parts_);
  if (!done.ok()) return unreadable(std::move(done.error()));
  return done;
}

Result<void> resolve(const Layers& layers, uint64_t offset, std::span<std::byte> into,
                     Check check) {
  TRY_ASSIGN(const ShortRead done, read_short(layers, offset, into, check));
  return done == ShortRead::kDone ? Result<void>() : ReadPlan(layers, check).run(offset, into);
}

Result<void> read_checked(const Layers& layers, uint64_t offset, std::span<std::byte> into,
                          Check check) {
  CHECK(offset <= layers.size_bytes && into.size() <= layers.size_bytes - offset);
  if (into.empty()) return {};
  auto read = resolve(layers, offset, into, check);
  if (read.ok() || !layers.fallback) return read;
  TRY_ASSIGN(bool refreshed, layers.fallback->refresh());
  return refreshed ? ReadPlan(layers, check).run(offset, into) : read;
}

}  // namespace

Result<void> read_layers(const Layers& layers, uint64_t offset, std::span<std::byte> into) {
  return read_checked(layers, offset, into, Check::kBlocks);
}

Result<void> prefetch_layers(const Layers& layers, uint64_t offset, uint64_t length) {
  CHECK(offset <= layers.size_bytes && length <= layers.size_bytes - offset);
  length = std::min(length, kMaxPrefetchBytes);
  if (length == 0) return {};
  uint64_t first = offset / kChunkBytes, last = (offset + length - 1) / kChunkBytes;
  std::vector<ChunkId> ids;
  TRY(walk(*layers.chunks, layers.tree, first, last - first + 1, [&](const EntryRun& run) {
    if (run.entry.state == EntryState::kId) ids.push_back(run.entry.id);
    return true;
  }));
  for (size_t at = 0; at < ids.size(); at += kChunksPerPrefetch) {
    auto part = std::span(ids).subspan(at, std::min(kChunksPerPrefetch, ids.size() - at));
    TRY(layers.chunks->get_many(part));
  }
  return {};
}

Result<void> read_chunk(const Layers& layers, uint64_t chunk, std::span<std::byte> into) {
  CHECK(into.size() == kChunkBytes);
  uint64_t offset = chunk * kChunkBytes;
  auto inside = into.first(std::min<uint64_t>(kChunkBytes, layers.size_bytes - offset));
  auto beyond = into.subspan(inside.size());
  std::fill(beyond.begin(), beyond.end(), std::byte(0));
  return read_checked(layers, offset, inside, Check::kWhole);
}

}  // namespace casdisk
