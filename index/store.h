// Store: a directory with disks, checkpoints and chunks, shared by many processes.
//
//   format        one line: what this directory is, and its version
//   packs/        chunks, pages and checkpoint records        (cas/)
//   locations/    where each of them lies                     (LMDB, cas/)
//   meta/         heads, checkpoints, fallbacks               (LMDB, catalog.h)
//   disks/<uid>/  the generations of a disk that has unsealed writes
//   reserve       space for what a full store must still do   (cas/)
//   sessions/     locks of those who are putting chunks       (cas/write_session.h)
//   views/        locks and roots of those who read           (views.h)
//   leases/<uid>  locked by the process that has the disk open
//   lock          shared by all that have the store open
//
// One Store per directory and process, opened after fork. Safe to call from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cas/local_store.h"
#include "cas/machine.h"
#include "cas/os/file_lock.h"
#include "cas/os/file_system.h"
#include "cas/space_reserve.h"
#include "index/catalog.h"
#include "index/fallback.h"
#include "index/layers.h"
#include "index/views.h"
#include "index/write_behind.h"

namespace casdisk {

enum class SealWhat { kFrozen, kAll };  // of a disk: what its cuts left, or a new cut as well

struct StoreOptions {
  IoChoice io = IoChoice::kAuto;
  uint64_t cache_bytes = uint64_t(64) << 20;
  LogSink log = [](const std::string&) {};  // notes of background work; any thread
  std::shared_ptr<FileSystem> file_system;  // null: the machine's, with `io`
  std::shared_ptr<Machine> machine;         // null: the one that this process runs on
  uint64_t reserve_bytes = SpaceReserve::kReserveBytes;
  unsigned threads = 0;           // for what nobody gives a number of; 0: one for each core
  bool write_behind = true;       // false: what guests write waits for a flush (write_behind.h)
  bool background_ingest = true;  // of what is read of fallbacks

  // Written into the leases that this process takes: where whoever finds them held can ask.
  std::string lease_note;
  // Makes the holder of a disk's lease seal it, and waits. kBusy when it cannot be asked;
  // kNotFound, and the disk is there: the holder is gone.
  std::function<Result<void>(const std::string& disk, const LockHolder& holder, SealWhat what)>
      ask_to_seal;
};

class Store {
 public:
  // Makes an empty store in `path`, which must not exist or be an empty directory. Interrupted, it
  // can be called again.
  static Result<void> init(const std::string& path, Codec codec);
  // The same on a file system and a machine of the caller's; `path` exists there.
  static Result<void> init(const std::string& path, Codec codec, FileSystem& file_system,
                           Machine& machine);

  // kNotFound when `path` is no store; the message says how to make one.
  static Result<std::unique_ptr<Store>> open(const std::string& path, const StoreOptions& options);

  const std::string& path() const { return path_; }
  FileSystem& file_system() { return *file_system_; }
  ChunkStore& chunks() { return *chunks_; }
  LocalStore& local_chunks() { return *chunks_; }
  // Spans all puts of a unit of work and the transaction that publishes (cas/write_session.h).
  Result<WriteSession> begin_session() { return chunks_->begin_session(); }
  Views& views() { return *views_; }
  Catalog& catalog() { return *catalog_; }
  SpaceReserve& reserve() { return *reserve_; }
  // Of all disks' overlays; null: none.
  WriteBehind* write_behind() { return options_.write_behind ? &write_behind_ : nullptr; }
  Codec codec() const { return codec_; }
  void log(const std::string& line) const { options_.log(line); }

  int64_t now_ns() const { return machine_->now_ns(); }  // since 1970, UTC
  uint64_t random() const { return machine_->random(); }
  unsigned threads() const;

  // kBusy when another process, or another opener in this one, has the disk. What a holder that
  // died has committed is seen from now on.
  Result<FileLock> lease(const std::string& disk, uint64_t uid);
  // Who has the disk open, if somebody has. Takes no lease, so it disturbs nobody.
  Result<std::optional<LockHolder>> lease_holder(uint64_t uid) const;
  const StoreOptions& options() const { return options_; }
  void drop_lease_file(uint64_t uid);  // of a disk that is gone
  // Of the one process that collects garbage. kBusy.
  Result<FileLock> gc_lock();

  // The directory of a disk's generations, made if `create`; nullptr when there is none.
  Result<std::unique_ptr<Directory>> disk_directory(uint64_t uid, bool create);
  Result<void> remove_disk_directory(uint64_t uid);

  // Removes directories whose disk is gone: what a removal left that was interrupted.
  Result<void> remove_orphans();

  // kInvalid when the file system takes no file as large as an overlay of that size (ext4: 16 TiB).
  Result<void> check_overlay_size(uint64_t size_bytes);

  Result<std::shared_ptr<Fallback>> fallback(const FallbackId& id);

  // The layers under a head or a checkpoint: everything but generations. Their pin is not held.
  Result<Layers> sealed_layers(const Entry& root, uint64_t size_bytes,
                               const std::optional<FallbackUse>& fallback);

 private:
  Store() = default;
  std::string lease_path(uint64_t uid) const;

  // Fixed after construction.
  std::string path_;
  StoreOptions options_;
  Codec codec_ = Codec::kZstd;
  std::shared_ptr<FileSystem> file_system_;
  std::shared_ptr<Machine> machine_;
  std::unique_ptr<Directory> directory_;
  std::optional<FileLock> lock_;  // shared: nobody rebuilds what we have open (rebuild.h)
  std::unique_ptr<SpaceReserve> reserve_;
  std::unique_ptr<LocalStore> chunks_;
  std::unique_ptr<LmdbEnvironment> meta_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Views> views_;
  WriteBehind write_behind_;

  std::mutex fallbacks_mutex_;
  std::map<FallbackId, std::weak_ptr<Fallback>> fallbacks_;  // guarded by fallbacks_mutex_
};

}  // namespace casdisk
