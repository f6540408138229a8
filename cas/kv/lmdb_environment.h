// LmdbProcessEnvironment: LMDB's own environment, of which a process may have one per directory.
// kv/lmdb.cc sees to that and hands it out.
//
// The one door to LMDB is lmdb_environment.cc. Safe to call from any thread of the process that
// opened it.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "cas/kv/lmdb.h"

struct MDB_env;
struct MDB_txn;

namespace casdisk {

// What errors name.
struct LmdbPlace {
  std::string directory;
  std::string remedy;  // of damage; may be empty
};

class LmdbProcessEnvironment {
 public:
  explicit LmdbProcessEnvironment(std::string directory) : place_{std::move(directory), {}} {}
  ~LmdbProcessEnvironment();
  LmdbProcessEnvironment(const LmdbProcessEnvironment&) = delete;
  LmdbProcessEnvironment& operator=(const LmdbProcessEnvironment&) = delete;

  Result<void> open(const LmdbOptions& options);
  Result<void> view(const std::function<Result<void>(LmdbReader&)>& body);
  Result<void> update(const std::function<Result<void>(LmdbWriter&)>& body);
  Result<void> catch_up();
  Result<LmdbInfo> info();
  Result<void> copy_to(const std::string& directory);
  Result<void> compact();

 private:
  using MapLock = std::shared_lock<std::shared_mutex>;
  Result<void> allocate_lock_file();
  Result<void> open_environment();
  int begin_alone(unsigned flags, MDB_txn** transaction);
  Result<void> open_tables();
  Result<void> make_table();
  void close_environment();
  Result<void> lock_others_out();
  Result<void> replace_data_file();
  void cover_pages(int data_file);
  Result<MDB_txn*> begin(unsigned flags, MapLock& lock);
  int try_begin(unsigned flags, MDB_txn** transaction);
  void give_back(MDB_txn* reader);
  MDB_txn* take_pooled();

  // Fixed after open().
  LmdbPlace place_;
  uint64_t map_bytes_ = 0;
  bool has_note_ = false;
  bool may_make_table_ = true;
  LmdbSync sync_ = LmdbSync::kEachCommit;
  int descriptor_ = -1;  // of the directory: while it is open no other one gets its inode number

  // Transactions hold it shared; exclusive to take over a map that another process has grown, which
  // LMDB allows only while there are none, and to compact.
  std::shared_mutex map_mutex_;
  // Guarded by map_mutex_.
  MDB_env* environment_ = nullptr;  // null where it did not open again after a compaction
  unsigned table_ = 0;
  unsigned note_table_ = 0;
  int lock_descriptor_ = -1;  // of lock.mdb, since a compaction: closing it would drop LMDB's locks

  std::atomic<uint64_t> commit_count_ = 0;
  std::mutex pool_mutex_;
  // Guarded by pool_mutex_.
  std::vector<MDB_txn*> pool_;
};

}  // namespace casdisk
