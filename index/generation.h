// Generation: one overlay with its dirty map: what was written to a head since some moment.
//
//   <number>.overlay   sparse; a dirty block's bytes at the block's own offset
//   <number>.map       the live map: what is acknowledged          (live_map.h)
//   <number>.journal   the map's durable half: what is flushed     (map_journal.h)
//
// Two promises. The process dies: overlay and live map are in the page cache, nothing acknowledged
// is lost. The power fails: what the last completed flush() covered is there; of the rest, each
// block holds an older or a newer acknowledged content, whole (the device writes aligned 4 KiB
// whole). Order within flush(): read the changed words, sync the overlay, append them to the
// journal. A flush of a few blocks appends their bytes too and leaves the overlay to a later one:
// one sync instead of two, of a file that needs no new space (docs/decisions/0013).
//
// write(), zero() and the reading calls are safe from any thread; the caller keeps writes of one
// block that must not mix apart (block_locks.h). A failed sync poisons the generation for good.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cas/os/file.h"
#include "cas/space_reserve.h"
#include "index/flush_group.h"
#include "index/live_map.h"
#include "index/map_journal.h"
#include "index/redo_buffer.h"
#include "index/write_behind.h"

namespace casdisk {

// Where generations live and what they need from outside.
struct GenerationPlace {
  FileSystem* file_system = nullptr;
  Directory* directory = nullptr;
  std::function<uint64_t()> random;     // for log ids; never the same value twice
  WriteBehind* write_behind = nullptr;  // null: what is written waits for the next flush
  SpaceReserve* reserve = nullptr;      // null: none
};

class Generation {
 public:
  // Makes the files, durably; the caller then records the generation in its head.
  static Result<std::shared_ptr<Generation>> create(const GenerationPlace& place, uint64_t number,
                                                    uint64_t size_bytes);

  // Opens what a process that ended, or a machine that went down, left behind. A verdict that drops
  // anything is durable before this returns; interrupted, it is simply begun anew.
  // kPoisoned: an earlier sync failed (see accept_poison).
  static Result<std::shared_ptr<Generation>> recover(const GenerationPlace& place, uint64_t number,
                                                     uint64_t size_bytes, bool accept_poison);

  // Removes the files, those that exist.
  static Result<void> remove(Directory& directory, uint64_t number);
  // "overlay", "map" or "journal".
  static std::string file_name(uint64_t number, std::string_view suffix);
  // Of the overlay's file: whole blocks.
  static uint64_t overlay_bytes(uint64_t size_bytes);
  // The generation whose file this is; nothing for other names.
  static std::optional<uint64_t> number_of(const std::string& file_name);

  uint64_t number() const { return number_; }
  const File& overlay() const { return *overlay_; }
  // All clean for chunks beyond the generation's own size.
  ChunkWord word(uint64_t chunk) const {
    return chunk < chunk_count_ ? map_->get(chunk) : kAllClean;
  }
  // The first chunk in [from, end) that is not clean, or `end`.
  uint64_t next_dirty(uint64_t from, uint64_t end) const;
  bool is_clean() const { return next_dirty(0, chunk_count_) == chunk_count_; }

  // Only write() may find a full file system: the rest takes of the store's reserve then.
  //
  // Writes whole blocks (offset and length multiples of kBlockBytes; the piece's file is ignored)
  // and then marks them as data. Waits first while too much is unwritten (write_behind.h). On an
  // error no state has changed, though data blocks among them may hold the new bytes.
  Result<void> write(std::span<WritePiece> pieces);

  // Marks blocks [first, first + count) zero and gives their space back.
  Result<void> zero(uint64_t first_block, uint64_t block_count);

  // Everything written or zeroed before the call survives a power cut. Concurrent calls share work.
  Result<void> flush();
  // The same, and the overlay itself is synced: its bytes are those of the device, and an error of
  // the device is known. For who seals them or leaves them. One call at a time, while nobody
  // writes.
  Result<void> flush_overlay();

  // A write is inside from enter() to leave(); drain() returns when nobody is.
  void enter();
  void leave();
  void drain();

  Result<uint64_t> allocated_bytes() const { return overlay_->allocated_bytes(); }

 private:
  // What a recovery has to redo at most.
  static constexpr uint64_t kMaxCarriedBytes = uint64_t(8) << 20;

  struct ChunkRange {
    uint64_t first = 0;
    uint64_t count = 0;
  };

  Generation(const GenerationPlace& place, uint64_t number, uint64_t size_bytes);
  void start_write_behind();
  Result<void> create_files();
  Result<void> create_overlay();
  Result<void> open_overlay();
  Result<void> recover_from_journal(const MountProof& proof);
  Result<void> redo_block(const RedoBlock& redo);
  void put_carried_back();
  Error poisoned_before() const;
  Error not_recovered(Error error) const;
  Result<MountProof> mount_proof() const;
  Result<void> reserve(uint64_t first_block, uint64_t block_count);
  bool takes_space(const WritePiece& piece) const;
  Result<void> write_overlay(std::span<WritePiece> pieces);
  Result<bool> write_captured(std::span<WritePiece> pieces);
  void mark_data(std::span<const WritePiece> pieces);
  void mark(uint64_t chunk, BlockMask mask, BlockState state);
  void mark_zero_chunks(uint64_t first, uint64_t count);
  void note_changed(uint64_t first, uint64_t count);
  std::vector<WordRun> take_changed();
  std::vector<WordRun> all_runs() const;
  // What changed since the last flush.
  struct Unflushed {
    std::vector<WordRun> words;
    RedoBuffer::Blocks redo;
    bool overlay_dirty = false;  // by writes that are not in `redo`, too
  };
  enum class Words { kChanged, kAll };
  Unflushed take_unflushed(Words words);
  bool pays_to_carry(const Unflushed& unflushed) const;
  Result<void> flush_now();
  Result<void> carry(const Unflushed& unflushed);
  Result<void> sync_overlay();
  Result<void> append(const JournalEntry& entry);
  Result<void> replace_journal(std::span<const WordRun> runs);
  Result<void> settle(Result<void> journaled);
  Error poison(Error error);
  JournalHeader new_journal_header() const;

  // Fixed after construction.
  GenerationPlace place_;
  uint64_t number_;
  uint64_t size_bytes_;
  uint64_t chunk_count_;
  std::unique_ptr<File> overlay_;
  std::unique_ptr<LiveMap> map_;
  FlushGroup flush_group_;

  std::atomic<bool> overlay_dirty_ = false;
  std::atomic<bool> can_punch_ = true;
  std::atomic<bool> may_carry_ = true;  // false during flush_overlay()

  // Held by a flush from the first to the last, and by whoever puts back what flushes carried: the
  // journal says then what is flushed.
  std::mutex flush_mutex_;
  // Guarded by flush_mutex_.
  std::unique_ptr<MapJournal> journal_;  // null: the next flush writes a whole new one
  uint64_t rewrite_at_bytes_ = 0;
  uint64_t carried_bytes_ = 0;      // of blocks, by the journal and since the overlay was synced
  unsigned rewriting_flushes_ = 0;  // that carried, one after the other, blocks with no new word

  // Held over a captured write's store to the overlay, its copy and its marks. Taken before mutex_.
  std::mutex redo_mutex_;
  RedoBuffer redo_;  // guarded by redo_mutex_

  // Guarded by mutex_: changes of the map, and which they were.
  mutable std::mutex mutex_;
  std::vector<ChunkRange> changed_;

  std::atomic<uint32_t> inside_count_ = 0;

  std::unique_ptr<WriteBehind::Backlog> backlog_;  // of the overlay; last, so that it goes first
};

}  // namespace casdisk
