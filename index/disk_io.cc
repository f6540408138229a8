// Requests on a disk: reads, writes of whole and torn blocks, zeroes, trims, flushes.
#include <fmt/format.h>

#include <algorithm>

#include "index/disk.h"

namespace casdisk {
namespace {

constexpr uint64_t round_down(uint64_t value) { return value / kBlockBytes * kBlockBytes; }
constexpr uint64_t round_up(uint64_t value) { return round_down(value + kBlockBytes - 1); }

}  // namespace

class Disk::Inside {
 public:
  explicit Inside(std::shared_ptr<const Layers> layers) : layers_(std::move(layers)) {}
  Inside(Inside&&) = default;
  Inside& operator=(Inside&&) = delete;
  ~Inside() {
    if (layers_) generation().leave();
  }
  const Layers& layers() const { return *layers_; }
  Generation& generation() const { return *layers_->generations.front(); }

 private:
  std::shared_ptr<const Layers> layers_;
};

// A cut takes layers_mutex_ alone: whoever saw the old generation as active is counted in it by
// then.
Result<Disk::Inside> Disk::enter_active() {
  for (;;) {
    {
      std::shared_lock lock(layers_mutex_);
      if (layers_->active) {
        layers_->generations.front()->enter();
        return Inside(layers_);
      }
    }
    TRY(start_generation());
  }
}

Result<void> Disk::check_range(uint64_t offset, uint64_t length) const {
  if (offset <= size_bytes_ && length <= size_bytes_ - offset) return {};
  return Error{Fault::kInvalid, 0,
               fmt::format("disk {}: {} bytes at {} reach beyond its {} bytes", name_, length,
                           offset, size_bytes_)};
}

Result<void> Disk::read(uint64_t offset, std::span<std::byte> into) {
  TRY(check_range(offset, into.size()));
  return read_layers(*layers(), offset, into);
}

Result<void> Disk::write(uint64_t offset, std::span<const std::byte> from) {
  TRY(check_range(offset, from.size()));
  if (from.empty()) return {};
  if (from.size() > kMaxTransferBytes) {
    return Error{
        Fault::kInvalid, 0,
        fmt::format("a write of {} bytes, at most {} are allowed", from.size(), kMaxTransferBytes)};
  }
  TRY(check_not_poisoned());
  uint64_t end = offset + from.size();
  uint64_t first = offset / kChunkBytes, last = (end - 1) / kChunkBytes;
  std::optional<uint64_t> torn_first, torn_last;
  if (offset % kBlockBytes != 0) torn_first = first;
  if (end % kBlockBytes != 0) torn_last = last;
  auto guard = locks_.lock(first, last - first + 1, torn_first, torn_last);
  TRY_ASSIGN(Inside inside, enter_active());
  return write_blocks(inside, offset, from);
}

// REQUIRES: the chunks are locked, alone where the first or last block is torn.
Result<void> Disk::write_blocks(const Inside& inside, uint64_t offset,
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

// The block as it is, with the part of `from` (which begins at `offset`) that falls into it.
Result<Bytes> Disk::merged_block(const Layers& layers, uint64_t block, uint64_t offset,
                                 std::span<const std::byte> from) const {
  uint64_t begin = block * kBlockBytes, end = std::min(begin + kBlockBytes, size_bytes_);
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

Result<void> Disk::zero(uint64_t offset, uint64_t length) {
  TRY(check_range(offset, length));
  if (length == 0) return {};
  // The disk's last block counts as whole where the request reaches the end of the disk.
  uint64_t end = offset + length;
  uint64_t whole_from = round_up(offset);
  uint64_t whole_to = end == size_bytes_ ? round_up(end) : round_down(end);
  static const Bytes zeros(kBlockBytes);
  if (offset < whole_from) {
    TRY(write(offset, std::span(zeros).first(std::min(end, whole_from) - offset)));
  }
  if (whole_from < whole_to) {
    TRY(zero_blocks(whole_from / kBlockBytes, (whole_to - whole_from) / kBlockBytes));
  }
  if (whole_to < end && whole_to >= whole_from) {
    TRY(write(whole_to, std::span(zeros).first(end - whole_to)));
  }
  return {};
}

Result<void> Disk::trim(uint64_t offset, uint64_t length) {
  TRY(check_range(offset, length));
  uint64_t end = offset + length;
  uint64_t whole_from = round_up(offset);
  uint64_t whole_to = end == size_bytes_ ? round_up(end) : round_down(end);
  if (whole_from >= whole_to) return {};
  return zero_blocks(whole_from / kBlockBytes, (whole_to - whole_from) / kBlockBytes);
}

Result<void> Disk::zero_blocks(uint64_t first_block, uint64_t block_count) {
  TRY(check_not_poisoned());
  uint64_t end_block = first_block + block_count;
  uint64_t first = first_block / kBlocksPerChunk, last = (end_block - 1) / kBlocksPerChunk;
  auto guard = locks_.lock(first, last - first + 1, std::nullopt, std::nullopt);
  // Where there is nothing but zeros below, only what was written needs to be undone.
  auto now = layers();
  if (now->generations.empty() && now->nothing_sealed()) return {};
  TRY_ASSIGN(Inside inside, enter_active());
  Generation& generation = inside.generation();
  bool only_dirty = inside.layers().generations.size() == 1 && inside.layers().nothing_sealed();
  if (!only_dirty) return generation.zero(first_block, block_count);
  uint64_t chunk = generation.next_dirty(first, last + 1);
  while (chunk <= last) {
    uint64_t dirty_end = chunk + 1;
    while (dirty_end <= last && generation.word(dirty_end) != kAllClean) dirty_end++;
    uint64_t from = std::max(first_block, chunk * kBlocksPerChunk);
    uint64_t to = std::min(end_block, dirty_end * kBlocksPerChunk);
    TRY(generation.zero(from, to - from));
    chunk = generation.next_dirty(dirty_end, last + 1);
  }
  return {};
}

Result<void> Disk::flush() {
  TRY(check_not_poisoned());
  auto now = layers();
  for (auto generation = now->generations.rbegin(); generation != now->generations.rend();
       ++generation) {
    auto flushed = (*generation)->flush();
    if (flushed.ok()) continue;
    std::lock_guard lock(change_mutex_);
    note_poison(flushed.error());
    return flushed;
  }
  return {};
}

Result<void> Disk::extents(uint64_t offset, uint64_t length,
                           const std::function<bool(const Extent&)>& visit) {
  TRY(check_range(offset, length));
  return extents_of_layers(*layers(), offset, length, visit);
}

Result<void> Disk::prefetch(uint64_t offset, uint64_t length) {
  TRY(check_range(offset, length));
  return prefetch_layers(*layers(), offset, length);
}

}  // namespace casdisk
