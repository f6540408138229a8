// Disk: the writable head of a disk, held by this process under its lease.
//
// The way of a write: BlockLocks keep torn writes apart; the newest Generation takes the blocks; a
// flush makes it durable. cut() freezes the generation under a checkpoint's name, seal() turns
// frozen generations into chunks and a new root. All connections to a disk share one object. Safe
// to call from any thread; a request resolves through one snapshot of the layers.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "cas/os/file_lock.h"
#include "index/block_locks.h"
#include "index/layers.h"
#include "index/names.h"
#include "index/store.h"
#include "index/volume.h"

namespace casdisk {

struct DiskOptions {
  // Opens a disk whose sync failed earlier, with what is readable (see `casdisk accept`).
  bool accept_poison = false;
};

// Called with the dirty bytes sealed so far, from any thread.
using SealProgress = std::function<void(uint64_t bytes)>;

class Disk : public Volume {
 public:
  // Takes the lease, recovers the generations, removes what a crash left over. The store outlives
  // it. kNotFound, kBusy, kPoisoned, kDamaged.
  static Result<std::shared_ptr<Disk>> open(Store& store, const std::string& name,
                                            const DiskOptions& options);

  const std::string& name() const override { return name_; }
  uint64_t size_bytes() const override { return size_bytes_; }
  bool is_writable() const override { return true; }
  Result<void> read(uint64_t offset, std::span<std::byte> into) override;
  Result<void> write(uint64_t offset, std::span<const std::byte> from) override;
  Result<void> zero(uint64_t offset, uint64_t length) override;
  Result<void> trim(uint64_t offset, uint64_t length) override;
  Result<void> flush() override;
  Result<void> extents(uint64_t offset, uint64_t length,
                       const std::function<bool(const Extent&)>& visit) override;
  Result<void> prefetch(uint64_t offset, uint64_t length) override;

  // Freezes what was written so far; durable on return. With a name, records the checkpoint `name`
  // as pending. kExists: the name is taken. Guest writes go on, into a new generation.
  Result<void> cut(const std::string& checkpoint_name);

  // Seals the frozen generations, oldest first, and publishes their checkpoints. `threads` bounds
  // the work. On an error what was published before stays, the rest stays frozen and readable.
  Result<void> seal(unsigned threads, const SealProgress& progress);

  // cut() without a name, seal(): afterwards the head is its root and nothing else.
  Result<void> seal_all(unsigned threads, const SealProgress& progress);

  // The head as last recorded.
  HeadRecord head() const;
  uint64_t dirty_bytes() const;

 private:
  // A write that is inside the active generation.
  class Inside;

  Disk(Store& store, std::string name, FileLock lease);
  Result<void> recover(const DiskOptions& options);
  Result<void> remove_leftovers(Directory& directory);
  std::shared_ptr<const Layers> layers() const;
  void set_layers(Layers layers);
  Result<Inside> enter_active();
  Result<void> start_generation();
  GenerationPlace place();
  Result<void> check_range(uint64_t offset, uint64_t length) const;
  Result<void> write_blocks(const Inside& inside, uint64_t offset, std::span<const std::byte> from);
  Result<Bytes> merged_block(const Layers& layers, uint64_t block, uint64_t offset,
                             std::span<const std::byte> from) const;
  Result<void> zero_blocks(uint64_t first_block, uint64_t block_count);
  Result<void> publish_seal(const std::shared_ptr<Generation>& sealed, const Tree& tree);
  void note_poison(const Error& error);
  Result<void> check_not_poisoned() const;
  Result<void> check_checkpoint_is_new(const std::string& checkpoint_name);
  Result<void> update_head(const std::function<Result<void>(CatalogWriter&, HeadRecord&)>& change);

  // Fixed after construction.
  Store& store_;
  std::string name_;
  FileLock lease_;
  uint64_t size_bytes_ = 0;
  uint64_t uid_ = 0;
  std::unique_ptr<Directory>
      directory_;  // null until the first generation; set under change_mutex_
  BlockLocks locks_;
  std::atomic<bool> poisoned_ = false;  // never reset: the disk is opened anew after `accept`

  std::mutex seal_mutex_;    // one seal at a time; taken before change_mutex_
  std::mutex change_mutex_;  // one change of the head at a time; guards head_ with head_mutex_

  mutable std::shared_mutex layers_mutex_;
  std::shared_ptr<const Layers> layers_;  // guarded by layers_mutex_

  mutable std::mutex head_mutex_;
  HeadRecord head_;  // guarded by head_mutex_, changed under change_mutex_
};

}  // namespace casdisk
