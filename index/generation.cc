#include "index/generation.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/tree.h"

namespace casdisk {
namespace {

// Changed ranges at which they are first sorted and merged: 1 MiB of them. Then at each doubling.
constexpr size_t kMaxChangedRanges = 64 * 1024;

// Flushes of rewritten blocks alone that the journal still carries after one of new blocks.
constexpr unsigned kMaxRewritingFlushes = 16;

// Calls visit(chunk, mask of its blocks) for the chunks of a piece until one says false; whether
// none did.
template <typename Visit>
bool for_each_chunk(const WritePiece& piece, Visit visit) {
  uint64_t block = piece.offset / kBlockBytes, left = piece.from.size() / kBlockBytes;
  while (left > 0) {
    uint32_t first = uint32_t(block % kBlocksPerChunk);
    uint32_t count = uint32_t(std::min<uint64_t>(left, kBlocksPerChunk - first));
    if (!visit(block / kBlocksPerChunk, blocks_mask(first, count))) return false;
    block += count;
    left -= count;
  }
  return true;
}

}  // namespace

Result<void> Generation::write(std::span<WritePiece> pieces) {
  if (backlog_) backlog_->wait_for_room();
  if (auto failure = flush_group_.failure()) return *failure;
  uint64_t bytes = 0;
  for (WritePiece& piece : pieces) {
    CHECK(piece.offset % kBlockBytes == 0 && piece.from.size() % kBlockBytes == 0);
    piece.file = overlay_.get();
    bytes += piece.from.size();
    if (place_.reserve != nullptr && place_.reserve->is_in_use() && takes_space(piece)) {
      TRY(place_.reserve->check_room());
    }
    TRY(reserve(piece.offset / kBlockBytes, piece.from.size() / kBlockBytes));
  }
  bool captured = false;
  if (redo_.is_open()) {
    TRY_ASSIGN(captured, write_captured(pieces));
  }
  if (!captured) {
    TRY(write_overlay(pieces));
    overlay_dirty_.store(true);  // after the write: a flush that saw it earlier may have missed it
    mark_data(pieces);
  }
  if (backlog_) backlog_->wrote(bytes);
  return {};
}

// False, and nothing is written, when there is no room to capture it: then what was captured before
// is owed to a sync of the overlay as well.
Result<bool> Generation::write_captured(std::span<WritePiece> pieces) {
  std::lock_guard lock(redo_mutex_);
  if (!redo_.has_room(pieces)) {
    overlay_dirty_.store(true);
    redo_.close();
    return false;
  }
  TRY(write_overlay(pieces));
  redo_.add(pieces);
  mark_data(pieces);
  return true;
}

// A write that fails may have changed blocks that are data already. What readers find there from
// now on is what the next flush covers.
Result<void> Generation::write_overlay(std::span<WritePiece> pieces) {
  auto written = place_.file_system->write(pieces);
  if (!written.ok()) overlay_dirty_.store(true);
  return written;
}

void Generation::mark_data(std::span<const WritePiece> pieces) {
  for (const WritePiece& piece : pieces) {
    for_each_chunk(piece, [&](uint64_t chunk, BlockMask mask) {
      mark(chunk, mask, BlockState::kData);
      return true;
    });
  }
}

// What is data already is overwritten in place.
bool Generation::takes_space(const WritePiece& piece) const {
  return !for_each_chunk(piece, [this](uint64_t chunk, BlockMask mask) {
    return (data_blocks(map_->get(chunk)) & mask) == mask;
  });
}

Result<void> Generation::zero(uint64_t first_block, uint64_t block_count) {
  if (auto failure = flush_group_.failure()) return *failure;
  TRY(with_reserve(place_.reserve, [&] { return reserve(first_block, block_count); }));
  uint64_t end = first_block + block_count;
  uint64_t block = first_block;
  auto mark_part = [&](uint64_t until) {
    if (block >= until) return;
    mark(block / kBlocksPerChunk,
         blocks_mask(uint32_t(block % kBlocksPerChunk), uint32_t(until - block)),
         BlockState::kZero);
    block = until;
  };
  uint64_t first_whole = (first_block + kBlocksPerChunk - 1) / kBlocksPerChunk;
  uint64_t end_whole = end / kBlocksPerChunk;
  if (first_block % kBlocksPerChunk != 0) mark_part(std::min(end, first_whole * kBlocksPerChunk));
  if (first_whole < end_whole) {
    mark_zero_chunks(first_whole, end_whole - first_whole);
    block = end_whole * kBlocksPerChunk;
  }
  mark_part(end);
  if (can_punch_.load()) {
    // A hole in the middle of an extent makes two of it, which takes space.
    auto punched = with_reserve(place_.reserve, [&] {
      return overlay_->punch(first_block * kBlockBytes, block_count * kBlockBytes);
    });
    if (!punched.ok() && punched.error().fault != Fault::kUnsupported) return punched;
    if (!punched.ok()) can_punch_.store(false);
    // A write of the same blocks may have marked them as data meanwhile, and a flush may have
    // synced its bytes: then what they are now, zeros, is the hole's.
    overlay_dirty_.store(true);
  }
  return {};
}

Result<void> Generation::reserve(uint64_t first_block, uint64_t block_count) {
  uint64_t first = first_block / kBlocksPerChunk;
  uint64_t last = (first_block + block_count - 1) / kBlocksPerChunk;
  if (map_->is_reserved(first, last - first + 1)) return {};
  std::lock_guard lock(mutex_);
  return map_->reserve(first, last - first + 1);
}

// A flush takes the list and reads the words under the mutex too, so it sees both steps or neither.
void Generation::mark(uint64_t chunk, BlockMask mask, BlockState state) {
  ChunkWord word = map_->get(chunk);
  if (with_state(word, mask, state) == word) return;
  std::lock_guard lock(mutex_);
  note_changed(chunk, 1);
  map_->set(chunk, with_state(map_->get(chunk), mask, state));
}

void Generation::mark_zero_chunks(uint64_t first, uint64_t count) {
  std::lock_guard lock(mutex_);
  note_changed(first, count);
  for (uint64_t chunk = first; chunk < first + count; chunk++) map_->set(chunk, kAllZero);
}

// Sorts the ranges and joins those that touch.
template <typename Range>
static void merge_ranges(std::vector<Range>& ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  size_t kept = 0;
  for (const Range& range : ranges) {
    if (kept > 0 && range.first <= ranges[kept - 1].first + ranges[kept - 1].count) {
      uint64_t end =
          std::max(ranges[kept - 1].first + ranges[kept - 1].count, range.first + range.count);
      ranges[kept - 1].count = end - ranges[kept - 1].first;
    } else {
      ranges[kept++] = range;
    }
  }
  ranges.resize(kept);
}

void Generation::note_changed(uint64_t first, uint64_t count) {
  if (!changed_.empty() && changed_.back().first <= first &&
      first <= changed_.back().first + changed_.back().count) {
    ChunkRange& last = changed_.back();
    last.count = std::max(last.first + last.count, first + count) - last.first;
    return;
  }
  if (changed_.size() >= kMaxChangedRanges && (changed_.size() & (changed_.size() - 1)) == 0) {
    merge_ranges(changed_);
  }
  changed_.push_back(ChunkRange{first, count});
}

static void append_run(std::vector<WordRun>& runs, uint64_t chunk, ChunkWord word) {
  if (!runs.empty()) {
    WordRun& last = runs.back();
    if (last.word == word && last.first + last.count == chunk && last.count < UINT32_MAX) {
      last.count++;
      return;
    }
  }
  runs.push_back(WordRun{chunk, 1, word});
}

std::vector<WordRun> Generation::take_changed() {
  std::lock_guard lock(mutex_);
  merge_ranges(changed_);
  std::vector<WordRun> runs;
  for (const ChunkRange& range : changed_) {
    for (uint64_t chunk = range.first; chunk < range.first + range.count; chunk++) {
      append_run(runs, chunk, map_->get(chunk));
    }
  }
  changed_.clear();
  return runs;
}

std::vector<WordRun> Generation::all_runs() const {
  std::lock_guard lock(mutex_);
  std::vector<WordRun> runs;
  for (uint64_t chunk = 0; (chunk = map_->next_dirty(chunk, chunk_count_)) < chunk_count_;
       chunk++) {
    append_run(runs, chunk, map_->get(chunk));
  }
  return runs;
}

Result<void> Generation::flush() {
  return flush_group_.run(
      [this] { return with_reserve(place_.reserve, [this] { return flush_now(); }); });
}

// Every run that begins from now on sees that it must, and one of them ends before this does.
Result<void> Generation::flush_overlay() {
  may_carry_ = false;
  auto flushed = flush();
  may_carry_ = true;
  return flushed;
}

// The words are read before the overlay is synced: what they call data lies in it already. A
// captured write changes overlay, copy and word in one step; another one notes that the overlay is
// dirty when its bytes are there and before it changes a word, hence the words first. Nothing is
// captured in between: no copy may be carried by a later flush than the one that takes the note of
// a write, or of a hole, whose bytes came after the copy's.
Generation::Unflushed Generation::take_unflushed(Words words) {
  std::lock_guard lock(redo_mutex_);
  Unflushed taken;
  taken.words = take_changed();
  if (words == Words::kAll) taken.words = all_runs();
  taken.redo = redo_.take();
  taken.overlay_dirty = overlay_dirty_.exchange(false);
  return taken;
}

// Blocks that have their place in the overlay are as cheap to sync there, once the journal carries
// none: a guest that only rewrites is left there. On a full store the journal does not grow for
// them.
bool Generation::pays_to_carry(const Unflushed& unflushed) const {
  const bool pays =
      !unflushed.words.empty() || (carried_bytes_ > 0 && rewriting_flushes_ < kMaxRewritingFlushes);
  return pays && !unflushed.redo.empty() && !unflushed.overlay_dirty &&
         unflushed.words.size() <= kMaxRunsPerRecord && carried_bytes_ < kMaxCarriedBytes &&
         !(place_.reserve != nullptr && place_.reserve->is_in_use());
}

// A write-out may have failed since the flush was let in, and what was put back be older than what
// was captured.
Result<void> Generation::flush_now() {
  std::lock_guard lock(flush_mutex_);
  if (auto failure = flush_group_.failure()) return *failure;
  const bool whole = !journal_ || journal_->size_bytes() > rewrite_at_bytes_;
  const bool may_carry = may_carry_;
  const Unflushed unflushed = take_unflushed(whole ? Words::kAll : Words::kChanged);
  if (!whole && may_carry && pays_to_carry(unflushed)) return carry(unflushed);
  const bool carried_before = carried_bytes_ > 0;
  const bool must_settle = (whole || !may_carry) && carried_before;
  if (unflushed.overlay_dirty || !unflushed.redo.empty() || must_settle) {
    TRY(sync_overlay());
    if (!whole) return append({.runs = unflushed.words, .overlay_synced = carried_before});
  }
  return whole ? settle(replace_journal(unflushed.words)) : append({.runs = unflushed.words});
}

// The journal takes the blocks, and the overlay is left to a later flush. Where there is no space
// for them, the words alone may fit: they take the place of a record that was not written whole.
Result<void> Generation::carry(const Unflushed& unflushed) {
  carried_bytes_ += unflushed.redo.bytes.size();  // also should it fail: then the overlay has them
  rewriting_flushes_ = unflushed.words.empty() ? rewriting_flushes_ + 1 : 0;
  if (backlog_) backlog_->carried();
  const std::vector<RedoBlock> redo = unflushed.redo.entries();
  auto carried = journal_->append({.runs = unflushed.words, .redo = redo});
  if (carried.ok() || carried.error().fault != Fault::kNoSpace) return settle(std::move(carried));
  TRY(sync_overlay());
  return append({.runs = unflushed.words, .overlay_synced = true});
}

Result<void> Generation::sync_overlay() {
  const uint64_t mark = backlog_ ? backlog_->mark() : 0;
  if (auto synced = overlay_->sync(); !synced.ok()) {
    Error error = poison(std::move(synced.error()));  // first: a process that dies now has told it
    put_carried_back();
    return error;
  }
  if (backlog_) backlog_->settled(mark);
  return {};
}

Result<void> Generation::append(const JournalEntry& entry) {
  if (entry.empty()) return {};
  TRY(settle(journal_->append(entry)));
  if (entry.overlay_synced) carried_bytes_ = 0;
  return {};
}

Result<void> Generation::settle(Result<void> journaled) {
  if (journaled.ok()) return journaled;
  if (journaled.error().fault == Fault::kPoisoned) return poison(std::move(journaled.error()));
  // No sync failed: the map still has everything, and the next flush writes a whole new journal.
  journal_.reset();
  return journaled;
}

Error Generation::poison(Error error) {
  map_->poison();
  error.fault = Fault::kPoisoned;
  error.context +=
      "; writes that were not flushed may be lost, so the disk takes no more of them. "
      "Look at the device, then see `casdisk accept --help`";
  return error;
}

uint64_t Generation::next_dirty(uint64_t from, uint64_t end) const {
  uint64_t own_end = std::min(end, chunk_count_);
  if (from >= own_end) return end;
  uint64_t chunk = map_->next_dirty(from, own_end);
  return chunk == own_end ? end : chunk;
}

void Generation::enter() { inside_count_.fetch_add(1); }

void Generation::leave() {
  if (inside_count_.fetch_sub(1) == 1) inside_count_.notify_all();
}

// Those inside do not wait for the device meanwhile.
void Generation::drain() {
  if (backlog_) backlog_->let_through(true);
  while (const uint32_t count = inside_count_.load()) inside_count_.wait(count);
  if (backlog_) backlog_->let_through(false);
}

}  // namespace casdisk
