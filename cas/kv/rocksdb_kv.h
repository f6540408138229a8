// RocksDbKv: a store in a RocksDB database of its own, a directory on a local file system.
//
// Log-structured: a write appends to a log, and compactions sort in the background. One process has
// it open at a time, which opened it after its last fork. A write is durable when it returns;
// writes of several threads share syncs (group_commit.h). A value lies behind a header
// (kv_record_format.h). What has expired goes by a sweep, or by a compaction when there is one.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "cas/kv/group_commit.h"
#include "cas/kv/kv_backend.h"
#include "cas/kv/kv_record_format.h"
#include "cas/kv/kv_scan.h"
#include "cas/kv/rocksdb_database.h"
#include "cas/os/file_lock.h"

namespace casdisk {

struct RocksDbKvOptions {
  bool may_create = true;  // the directory and what is in it; not the directory above
  KvClock clock;
  uint64_t cache_bytes = uint64_t(64) << 20;
  bool syncs_writes = true;  // else what was written survives this process alone
};

class RocksDbKv : public KvBackend {
 public:
  static constexpr KvLimits kLimits = {.key_bytes = 4096,
                                       .value_bytes = size_t(32) << 20,
                                       .operation_count = 65536,
                                       .write_bytes = size_t(64) << 20};
  static constexpr KvCapabilities kCapabilities =
      KvCapability::kVersions | KvCapability::kBatch | KvCapability::kTtl | KvCapability::kLoad |
      KvCapability::kSnapshot | KvCapability::kCompact | KvCapability::kDurable;

  // kNotFound where there is none and none may be made, kInvalid where the directory or the
  // database is of something else, kBusy where another process has it, or this one.
  static Result<std::unique_ptr<RocksDbKv>> open(const std::string& directory,
                                                 const RocksDbKvOptions& options);

  Result<std::optional<KvValue>> get(std::string_view key) override;
  Result<bool> exists(std::string_view key) override;
  Result<std::optional<KvValue>> get_range(std::string_view key, uint64_t offset,
                                           size_t bytes) override;
  Result<KvSlice> list(const KvListRequest& request) override;
  Result<std::vector<KvOutcome>> write(const KvWrite& write) override;
  Result<void> dump(const Visit& visit) override;
  Result<void> load(std::span<const KvRecord> records) override;
  Result<void> truncate() override;
  Result<uint64_t> sweep() override;
  Result<void> snapshot(const std::string& path) override;
  Result<void> compact() override;
  // Records are counted where there are few, and estimated else.
  Result<KvStats> stats() override;

 private:
  // What a group of writes does: its changes and, for the next one in it, what is then under the
  // keys that they change.
  struct Group {
    bool is_of_several = false;
    std::vector<RocksDbChange> changes;
    std::unordered_map<std::string_view, std::optional<KvHeader>> changed;
  };
  RocksDbKv(std::string directory, FileLock lock, std::unique_ptr<RocksDbDatabase> database,
            KvClock clock, uint64_t last_version);

  Result<bool> view(std::string_view key, const std::function<Result<void>(KvStored)>& found);
  Result<std::optional<KvHeader>> header_of(std::string_view key);
  Result<std::optional<KvHeader>> header_of(std::string_view key, const Group& group);
  void commit(std::span<GroupCommit::Request* const> requests);
  Result<void> commit_together(std::span<GroupCommit::Request* const> requests);
  Result<std::vector<KvOutcome>> apply(const KvWrite& write, Group& group);
  Result<void> put_versions(std::span<const RocksDbChange> changes);
  Result<uint64_t> remove_expired(std::span<const std::string> keys);
  Result<std::optional<uint64_t>> count_records(uint64_t most);

  // Fixed after construction.
  const std::string directory_;
  const FileLock lock_;  // outlives the database
  const std::unique_ptr<RocksDbDatabase> database_;
  const KvClock clock_;
  const KvScan scan_;
  GroupCommit group_commit_;

  std::mutex write_mutex_;
  // Guarded by write_mutex_: one at a time changes the database.
  uint64_t last_version_;
  uint64_t noted_version_;  // none up to this one is given again, whoever opens the store
};

}  // namespace casdisk
