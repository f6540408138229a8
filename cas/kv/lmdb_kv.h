// LmdbKv: a store in an LMDB environment of its own, a directory on a local file system.
//
// Any number of processes read and write it at once; a crash needs no recovery. A write is durable
// when it returns; writes of several threads share commits (group_commit.h), and those with a TTL
// remove some of what has expired. A value lies behind a header (kv_record_format.h); the
// environment's note counts the versions.
#pragma once

#include <memory>

#include "cas/kv/group_commit.h"
#include "cas/kv/kv_backend.h"
#include "cas/kv/kv_scan.h"
#include "cas/kv/lmdb.h"

namespace casdisk {

struct LmdbKvOptions {
  bool may_create = true;  // the directory and what is in it; not the directory above
  KvClock clock;
  uint64_t capacity_bytes = uint64_t(1) << 30;
  bool is_to_remove = false;  // if need be with more room than that, so that it can be emptied
  LmdbSync sync = LmdbSync::kEachCommit;
};

class LmdbKv : public KvBackend {
 public:
  static constexpr KvLimits kLimits = {.key_bytes = 511,  // of LMDB as Debian builds it
                                       .value_bytes = size_t(32) << 20,
                                       .operation_count = 65536,
                                       .write_bytes = size_t(64) << 20};
  static constexpr KvCapabilities kCapabilities = KvCapability::kVersions | KvCapability::kBatch |
                                                  KvCapability::kTtl | KvCapability::kLoad |
                                                  KvCapability::kSnapshot | KvCapability::kCompact |
                                                  KvCapability::kDurable | KvCapability::kShared;

  // kNotFound where there is none and none may be made, kInvalid where the environment is of
  // something else.
  static Result<std::unique_ptr<LmdbKv>> open(const std::string& directory,
                                              const LmdbKvOptions& options);
  ~LmdbKv() override;

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
  Result<KvStats> stats() override;

 private:
  using Stored = std::span<const std::byte>;
  LmdbKv(std::unique_ptr<LmdbEnvironment> environment, const LmdbKvOptions& options);

  Result<void> scan(std::string_view prefix, std::string_view after, const KvTake& take) const;
  Result<void> view(std::string_view key, const std::function<Result<void>(Stored)>& found);
  void commit(std::span<GroupCommit::Request* const> group);
  enum class SweepAlong { kNo, kYes };
  Result<void> commit_together(std::span<GroupCommit::Request* const> group, SweepAlong sweeps);
  Result<void> sweep_along(LmdbWriter& writer, std::string_view key);
  // Of an update: what a key has that has not expired, as it is stored.
  Result<std::optional<Stored>> find_live(LmdbReader& reader, std::string_view key) const;
  Result<bool> holds(LmdbReader& reader, const KvCondition& condition) const;
  Result<std::vector<KvOutcome>> apply(LmdbWriter& writer, const KvWrite& write,
                                       uint64_t& last_version) const;

  // Fixed after construction.
  const std::unique_ptr<LmdbEnvironment> environment_;
  const KvClock clock_;
  const bool is_to_remove_;
  const KvScan scan_;

  std::optional<std::string> swept_to_;  // of the commits, of which there is one at a time
  GroupCommit group_commit_;
};

}  // namespace casdisk
