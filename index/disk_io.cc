// Requests on a disk: reads, writes of whole and torn blocks, zeroes, trims, flushes.
#include <fmt/format.h>

#include <algorithm>

#include "index/disk.h"

namespace casdisk {
namespace {

constexpr uint64_t round_down(uint64_t value) { return value / kBlockBytes * kBlockBytes; }
constexpr uint64_t round_up(uint64_t value) { return round_down(value + kBlockBytes - 1); }

// The block as it is, with the part of `from` (which begins at `offset`) that falls into it.
Result<Bytes> merged_block(const Layers& layers, uint64_t block, uint64_t offset,
                           std::span<const std::byte> from) {
  uint64_t begin = block * kBlockBytes, end = std::min(begin + kBlockBytes, layers.size_bytes);
  uint64_t from_begin = std::max(begin, offset);
  uint64_t from_end = std::min(end, offset + from.size());
  Bytes merged(kBlockBytes);
  if (from_begin > begin || from_end < end) {
    TRY(read_layers(layers, begin, std::span(merged).first(end - begin)));
  }
  auto part = from.subspan(from_begin - offset, from_end - from_begin);
  std::copy(part.begin(), part.end(), merged.begin() + ptrdiff_t(from_begin - begin));
  return merged;
}

// Zeroes what is not clean of the blocks [first_block, end_block).
Result<void> zero_dirty(Generation& generation, uint64_t first_block, uint64_t end_block) {
  uint64_t end_chunk = (end_block + kBlocksPerChunk - 1) / kBlocksPerChunk;
  uint64_t chunk = generation.next_dirty(first_block / kBlocksPerChunk, end_chunk);
  while (chunk < end_chunk) {
    uint64_t dirty_end = chunk + 1;
    while (dirty_end < end_chunk && generation.word(dirty_end) != kAllClean) dirty_end++;
    uint64_t from = std::max(first_block, chunk * kBlocksPerChunk);
    uint64_t to = std::min(end_block, dirty_end * kBlocksPerChunk);
    TRY(generation.zero(from, to - from));
    chunk = generation.next_dirty(dirty_end, end_chunk);
  }
  return {};
}

}  // namespace

Result<LayersGate::Inside> Disk::enter_active() {
  for (;;) {
    if (auto inside = gate_.enter()) {
      if (!written_.load(std::memory_order_relaxed)) written_ = true;
      return std::move(*inside);
    }
    TRY(start_generation());
  }
}

// The first write after an opening or a freeze makes a generation.
Result<void> Disk::start_generation() {
  std::lock_guard lock(change_mutex_);
  auto before = layers();
  if (before->active) return {};  // somebody else just did
  CHECK(!armed_);
  TRY_ASSIGN(auto generation, make_generation(before->size_bytes));
  TRY(update_head([&](CatalogWriter&, HeadRecord& head) -> Result<void> {
    head.generations.push_back({generation->number(), before->size_bytes});
    head.next_generation = generation->number() + 1;
    head.active = true;
    return {};
  }));
  write_note();
  Layers after = *before;
  after.generations.insert(after.generations.begin(), std::move(generation));
  after.active = true;
  gate_.set(std::move(after));
  return {};
}

// Makes the files of the generation that comes next; nothing names it yet. REQUIRES: change_mutex_
// is held.
Result<std::shared_ptr<Generation>> Disk::make_generation(uint64_t size_bytes) {
  HeadRecord now = head();
  if (now.generations.size() >= kMaxGenerations) {
    return Error{Fault::kBusy, 0,
                 fmt::format("disk {} has {} unsealed generations; let them be sealed first", name_,
                             now.generations.size())};
  }
  // Also when the directory is there: who made it may have ended before its name was synced.
  TRY_ASSIGN(auto directory, store_.disk_directory(uid_, true));
  if (!directory_) directory_ = std::move(directory);
  auto created = Generation::create(place(), now.next_generation, size_bytes);
  if (!created.ok()) note_poison(created.error());
  return created;
}

Result<void> Disk::check_range(const Layers& layers, uint64_t offset, uint64_t length) const {
  if (offset <= layers.size_bytes && length <= layers.size_bytes - offset) return {};
  return Error{Fault::kInvalid, 0,
               fmt::format("disk {}: {} bytes at {} reach beyond its {} bytes", name_, length,
                           offset, layers.size_bytes)};
}

Result<void> Disk::read(uint64_t offset, std::span<std::byte> into) {
  auto now = layers();
  TRY(check_range(*now, offset, into.size()));
  return read_layers(*now, offset, into);
}

Result<void> Disk::write(uint64_t offset, std::span<const std::byte> from) {
  if (from.empty()) return check_range(*layers(), offset, 0);
  if (from.size() > kMaxTransferBytes) {
    return Error{
        Fault::kInvalid, 0,
        fmt::format("a write of {} bytes, at most {} are allowed", from.size(), kMaxTransferBytes)};
  }
  TRY(check_range(*layers(), offset, from.size()));
  TRY(check_not_poisoned());
  uint64_t end = offset + from.size();
  uint64_t first = offset / kChunkBytes, last = (end - 1) / kChunkBytes;
  std::optional<uint64_t> torn_first, torn_last;
  if (offset % kBlockBytes != 0) torn_first = first;
  if (end % kBlockBytes != 0) torn_last = last;
  auto guard = locks_.lock(first, last - first + 1, torn_first, torn_last);
  TRY_ASSIGN(auto inside, enter_active());
  TRY(check_range(inside.layers(), offset, from.size()));  // it may have shrunk meanwhile
  return write_blocks(inside, offset, from);
}

// REQUIRES: the chunks are locked, alone where the first or last block is torn.
Result<void> Disk::write_blocks(const LayersGate::Inside& inside, uint64_t offset,
                                std::span<const std::byte> from) {
  uint64_t end = offset + from.size();
  uint64_t whole_from = round_up(offset), whole_to = round_down(end);
  std::vector<WritePiece> pieces;
  Bytes head, tail;
  if (whole_from > whole_to || offset < whole_from) {
    uint64_t block = offset / kBlockBytes;
    TRY_ASSIGN(head, merged_block(inside.layers(), block, offset, from));
    pieces.push_back({nullptr, block * kBlockBytes, head});
  }
  if (whole_from < whole_to) {
    pieces.push_back(
        {nullptr, whole_from, from.subspan(whole_from - offset, whole_to - whole_from)});
  }
  if (whole_to < end && whole_to >= whole_from) {
    uint64_t block = whole_to / kBlockBytes;
    TRY_ASSIGN(tail, merged_block(inside.layers(), block, offset, from));
    pieces.push_back({nullptr, whole_to, tail});
  }
  return inside.generation().write(pieces);
}

Result<void> Disk::zero(uint64_t offset, uint64_t length) {
  static const Bytes zeros(kBlockBytes);
  for (bool done = false; !done;) {
    TRY_ASSIGN(WholeBlocks whole, whole_blocks(offset, length));
    uint64_t end = offset + length;
    if (offset < whole.from_bytes) {
      TRY(write(offset, std::span(zeros).first(std::min(end, whole.from_bytes) - offset)));
    }
    TRY_ASSIGN(done, zero_blocks(whole));
    if (whole.to_bytes < end && whole.to_bytes >= whole.from_bytes) {
      TRY(write(whole.to_bytes, std::span(zeros).first(end - whole.to_bytes)));
    }
  }
  return {};
}

Result<void> Disk::trim(uint64_t offset, uint64_t length) {
  for (bool done = false; !done;) {
    TRY_ASSIGN(WholeBlocks whole, whole_blocks(offset, length));
    TRY_ASSIGN(done, zero_blocks(whole));
  }
  return {};
}

// The disk's last block counts as whole where the request reaches the end of the disk.
Result<Disk::WholeBlocks> Disk::whole_blocks(uint64_t offset, uint64_t length) const {
  auto now = layers();
  TRY(check_range(*now, offset, length));
  uint64_t end = offset + length;
  uint64_t to_bytes = end == now->size_bytes ? round_up(end) : round_down(end);
  return WholeBlocks{now->size_bytes, round_up(offset), to_bytes};
}

// False when the size has changed since `whole` was made out: what is a whole block may have, too.
Result<bool> Disk::zero_blocks(const WholeBlocks& whole) {
  if (whole.from_bytes >= whole.to_bytes) return true;
  TRY(check_not_poisoned());
  uint64_t first_block = whole.from_bytes / kBlockBytes, end_block = whole.to_bytes / kBlockBytes;
  uint64_t first = first_block / kBlocksPerChunk, last = (end_block - 1) / kBlocksPerChunk;
  auto guard = locks_.lock(first, last - first + 1, std::nullopt, std::nullopt);
  // Where there is nothing but zeros below, only what was written needs to be undone.
  auto now = layers();
  if (now->generations.empty() && now->nothing_sealed()) return true;
  TRY_ASSIGN(auto inside, enter_active());
  if (inside.layers().size_bytes != whole.size_bytes) return false;
  Generation& generation = inside.generation();
  bool only_dirty = inside.layers().generations.size() == 1 && inside.layers().nothing_sealed();
  if (only_dirty) {
    TRY(zero_dirty(generation, first_block, end_block));
  } else {
    TRY(generation.zero(first_block, end_block - first_block));
  }
  return true;
}

Result<void> Disk::flush() { return flush_each(&Generation::flush); }

Result<void> Disk::flush_overlays() { return flush_each(&Generation::flush_overlay); }

// Oldest first.
Result<void> Disk::flush_each(Result<void> (Generation::*way)()) {
  TRY(check_not_poisoned());
  auto now = layers();
  for (auto generation = now->generations.rbegin(); generation != now->generations.rend();
       ++generation) {
    auto flushed = ((**generation).*way)();
    if (flushed.ok()) continue;
    std::lock_guard lock(change_mutex_);
    // Unless a rollback has dropped it meanwhile: what is there now is not concerned.
    auto after = layers();
    if (std::find(after->generations.begin(), after->generations.end(), *generation) !=
        after->generations.end()) {
      note_poison(flushed.error());
    }
    return flushed;
  }
  return {};
}

Result<void> Disk::extents(uint64_t offset, uint64_t length,
                           const std::function<bool(const Extent&)>& visit) {
  auto now = layers();
  TRY(check_range(*now, offset, length));
  return extents_of_layers(*now, offset, length, visit);
}

Result<void> Disk::prefetch(uint64_t offset, uint64_t length) {
  auto now = layers();
  TRY(check_range(*now, offset, length));
  return prefetch_layers(*now, offset, length);
}

}  // namespace casdisk
