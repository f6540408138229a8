// Disk: the writable head of a disk, held by this process under its lease.
//
//   disk.cc         its life: opening, recovery, changes of the head record
//   disk_io.cc      requests: reads, writes of whole and torn blocks, zeroes, flushes
//   disk_cut.cc     the cut: checkpoint, fork, and the steps of a group checkpoint
//   disk_seal.cc    sealing what is frozen, publishing roots, checkpoints and forks
//   disk_change.cc  rollback and resize
//
// The way of a write: BlockLocks keep torn writes apart; LayersGate lets it into the newest
// Generation; a flush makes it durable. cut() freezes that generation and lets writes go on in the
// next one; seal() turns frozen generations into chunks and a new root. All connections to a disk
// share one object. Safe to call from any thread; a request resolves through one snapshot of the
// layers.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "cas/os/file_lock.h"
#include "index/block_locks.h"
#include "index/head.h"
#include "index/layers.h"
#include "index/layers_gate.h"
#include "index/names.h"
#include "index/seal.h"
#include "index/store.h"
#include "index/volume.h"

namespace casdisk {

struct DiskOptions {
  // Opens a disk whose sync failed earlier, with what was flushed before (see `casdisk accept`).
  bool accept_poison = false;
  // Somebody writes while cuts are made: they leave a generation behind that takes writes at once.
  // Otherwise the next write makes one.
  bool is_served = false;
};

struct CutRequest {
  std::string checkpoint;  // its name; empty: nothing but the freeze
  Labels labels;
  std::vector<Attachment> attachments;  // in the chunk store and synced
};

// Frozen generations of one disk beyond which has_room_for_cut() says no.
inline constexpr size_t kMaxFrozenGenerations = 32;
inline constexpr uint64_t kMaxFrozenBytes = uint64_t(16) << 30;

// What waits to be sealed, and how that goes.
struct SealStatus {
  size_t frozen_count = 0;           // generations
  uint64_t frozen_bytes = 0;         // of dirty blocks in them
  uint64_t active_bytes = 0;         // of dirty blocks that no cut has frozen yet
  std::vector<std::string> pending;  // names of checkpoints
  std::optional<Error> failure;      // of the last try, until one succeeds
};

class Disk : public Volume {
 public:
  // Takes the lease, recovers the generations, removes what a crash left over. A fork whose source
  // is not sealed yet waits for that. The store outlives the disk. kNotFound, kBusy, kPoisoned,
  // kDamaged.
  static Result<std::shared_ptr<Disk>> open(Store& store, const std::string& name,
                                            const DiskOptions& options);

  const std::string& name() const override { return name_; }
  uint64_t size_bytes() const override { return gate_.layers()->size_bytes; }
  bool is_writable() const override { return true; }
  Result<void> read(uint64_t offset, std::span<std::byte> into) override;
  Result<void> write(uint64_t offset, std::span<const std::byte> from) override;
  Result<void> zero(uint64_t offset, uint64_t length) override;
  Result<void> trim(uint64_t offset, uint64_t length) override;
  Result<void> flush() override;
  // The same, and the overlays are synced whatever their journals carry (generation.h): for who
  // leaves the disk. REQUIRES: nobody writes.
  Result<void> flush_overlays();
  Result<void> extents(uint64_t offset, uint64_t length,
                       const std::function<bool(const Extent&)>& visit) override;
  Result<void> prefetch(uint64_t offset, uint64_t length) override;

  // Freezes what was written so far and, with a name, records the checkpoint as pending; durable on
  // return. No write waits for it. kExists: the name is taken. kBusy: !has_room_for_cut().
  Result<void> cut(const CutRequest& request);
  // cut(), and a new disk with that content, in one transaction. kExists: its name is taken.
  Result<void> fork(const std::string& new_disk);

  // False while too much is frozen; then wait_for_seal(), which returns at the next publication or
  // after the time.
  bool has_room_for_cut() const;
  void wait_for_seal(std::chrono::milliseconds at_most) const;

  // The steps of a checkpoint of several disks (group_checkpoint.h), in this order. Any of them may
  // be the last: a hold ends by itself, and an extra generation does no harm.
  // 1. Makes the next generation, so that the rest is quick.
  Result<void> prepare_cut();
  // 2. New writes wait from now on, until cut_held() or release() of this hold, or the deadline.
  // kBusy while another one lasts.
  Result<LayersGate::Hold> hold(LayersGate::Clock::time_point deadline);
  void release(LayersGate::Hold hold);
  // 3. Freezes and releases. Gives the generation to record as the checkpoint's newest; later ones
  // are not sealed until reload() of it or a few seconds have passed. kBusy when the hold is over:
  // nothing was frozen.
  Result<uint64_t> cut_held(LayersGate::Hold hold);
  // 4. What was frozen is durable.
  Result<void> flush_cut();
  // 5. Reads the head's record anew: somebody else has added a pending checkpoint of that
  // generation, or has given it up.
  Result<void> reload(uint64_t generation);

  // Seals the frozen generations, oldest first, and publishes their checkpoints. On an error what
  // was published before stays, the rest stays frozen and readable. One at a time; a call that is
  // kNow makes one that is kBackground stop and goes on in its place.
  Result<SealEnd> seal(const SealOptions& options);
  Result<void> seal(unsigned threads, const SealProgress& progress);
  // cut() without a name, seal(): what was written before is in the head's root afterwards.
  Result<void> seal_all(unsigned threads, const SealProgress& progress);
  // Seals if !has_room_for_cut(). For who holds a disk that nobody seals in the background.
  Result<void> make_room_for_cut(unsigned threads, const SealProgress& progress);
  // Something is frozen or pending.
  bool wants_seal() const;
  SealStatus seal_status() const;
  // Written to since the last call.
  bool take_written() { return written_.exchange(false); }

  // The head becomes the checkpoint's content; what was written since and is in no checkpoint is
  // dropped. Writes under way end before, later ones find the new content. kBusy while checkpoints
  // are pending: seal them first.
  Result<void> roll_back(const ChunkId& id, const CheckpointRecord& record);

  // Requests see the new size from now on. Growing, no write waits; shrinking, they wait until the
  // last of what is dirty is sealed. kBusy while checkpoints are pending.
  Result<void> resize(uint64_t size_bytes, const SealOptions& options);

  // The head as last recorded.
  HeadRecord head() const;
  uint64_t dirty_bytes() const;

 private:
  // For requests that still use a dropped generation. One that takes longer is looked after by the
  // next seal.
  static constexpr std::chrono::milliseconds kMaxBurial{1000};

  // Of a group whose outcome is not known yet.
  struct GroupCut {
    uint64_t generation = 0;
    LayersGate::Clock::time_point until;  // the group cannot be recorded any more
  };

  // While there is one, a seal in the background stops and leaves the rest to it.
  class Hurry {
   public:
    explicit Hurry(std::atomic<unsigned>& count) : count_(count) { count_++; }
    ~Hurry() { count_--; }
    Hurry(const Hurry&) = delete;
    Hurry& operator=(const Hurry&) = delete;

   private:
    std::atomic<unsigned>& count_;
  };

  Disk(Store& store, std::string name, FileLock lease, const DiskOptions& options);
  Result<void> recover();
  Result<void> remove_leftovers(Directory& directory);
  std::shared_ptr<const Layers> layers() const { return gate_.layers(); }
  GenerationPlace place();
  Result<HeadRecord> read_head() const;
  Result<void> update_head(const std::function<Result<void>(CatalogWriter&, HeadRecord&)>& change);
  Result<bool> is_directory_needless();
  void write_note();
  Result<void> reload_head();
  void note_poison(const Error& error);
  Result<void> check_not_poisoned() const;

  // Requests (disk_io.cc).
  Result<LayersGate::Inside> enter_active();
  Result<void> flush_each(Result<void> (Generation::*way)());
  Result<void> start_generation();
  Result<std::shared_ptr<Generation>> make_generation(uint64_t size_bytes);
  Result<void> check_range(const Layers& layers, uint64_t offset, uint64_t length) const;
  Result<void> write_blocks(const LayersGate::Inside& inside, uint64_t offset,
                            std::span<const std::byte> from);
  struct WholeBlocks {  // of a request, on a disk of that size
    uint64_t size_bytes = 0;
    uint64_t from_bytes = 0, to_bytes = 0;
  };
  Result<WholeBlocks> whole_blocks(uint64_t offset, uint64_t length) const;
  Result<bool> zero_blocks(const WholeBlocks& whole);

  // Cuts (disk_cut.cc). All REQUIRE change_mutex_.
  Result<void> check_may_cut() const;
  using HeadChange = std::function<Result<void>(CatalogWriter&, HeadRecord&)>;
  Result<void> freeze_and_record(const HeadChange& change);
  Result<void> check_may_add_pending(CatalogReader& reader, const HeadRecord& head,
                                     const std::string& checkpoint) const;
  Result<void> check_room() const;
  Error busy_with_seals() const;
  Result<uint64_t> cut_to_fork(HeadRecord& head);
  Result<void> arm();
  Result<void> freeze();
  Layers frozen(Layers layers) const;
  void unfreeze();
  Result<void> flush_frozen();
  size_t frozen_count() const;
  uint64_t newest_frozen() const;

  // Seals (disk_seal.cc).
  Result<SealEnd> seal_frozen(const SealOptions& options);
  Result<SealEnd> seal_oldest(const SealOptions& options);
  void retire(const std::vector<std::shared_ptr<Generation>>& generations);
  void bury(std::chrono::milliseconds at_most);
  Result<void> publish_seal(const std::shared_ptr<Generation>& sealed, const Tree& tree);
  Result<bool> try_to_publish(const std::shared_ptr<Generation>& sealed, const Tree& tree);
  bool is_kept_by_group(uint64_t generation) const;
  void forget_group_cuts(LayersGate::Clock::time_point read_at);
  bool has_lost_group_cut() const;
  void note_publication(std::optional<Error> failure);

  // Changes (disk_change.cc).
  Result<void> check_may_change();
  Result<void> check_nothing_pending(const HeadRecord& head) const;
  Error busy_with_pending() const;
  Result<void> replace_with(const ChunkId& id, const CheckpointRecord& record);
  using Check = std::function<Result<void>(CatalogReader&, const HeadRecord&)>;
  Result<void> replace_content(const Content& content, const Check& check, Layers after);
  Result<void> grow(uint64_t size_bytes);
  Result<void> shrink(uint64_t size_bytes, const SealOptions& options);
  Result<std::optional<Tree>> seal_everything(const SealOptions& options);

  // Fixed after construction.
  Store& store_;
  const std::string name_;
  FileLock lease_;
  const DiskOptions options_;
  uint64_t uid_ = 0;
  std::unique_ptr<Directory>
      directory_;  // null until the first generation; set under change_mutex_
  BlockLocks locks_;
  LayersGate gate_;
  std::atomic<bool> poisoned_ = false;  // until a rollback, or `accept` and another opening
  std::atomic<bool> written_ = false;
  std::atomic<unsigned> hurrying_count_ = 0;  // seals that are kNow, running or waiting

  std::mutex seal_mutex_;  // one seal or change at a time; taken before change_mutex_
  std::vector<std::shared_ptr<Generation>> retired_;  // guarded by seal_mutex_; see bury()
  std::mutex change_mutex_;  // one change of the head at a time; guards head_ with head_mutex_
  // Guarded by change_mutex_. The next generation, named by the head already, where a cut is
  // prepared.
  std::shared_ptr<Generation> armed_;

  std::mutex note_mutex_;  // one writer of the note at a time

  mutable std::mutex head_mutex_;
  mutable std::condition_variable sealed_;  // a publication, or a failure
  HeadRecord head_;                         // guarded by head_mutex_, changed under change_mutex_
  std::optional<Error> seal_failure_;       // guarded by head_mutex_
  uint64_t publication_count_ = 0;          // guarded by head_mutex_
  std::vector<GroupCut> group_cuts_;        // guarded by head_mutex_
};

// Seals what is frozen of a disk, or all of it: here or, if another process has it open, there
// (StoreOptions::ask_to_seal). Afterwards the cuts of before are published; with kAll the head's
// root is the disk at some moment since the call.
Result<void> settle_disk(Store& store, const std::string& disk, SealWhat what);

}  // namespace casdisk
