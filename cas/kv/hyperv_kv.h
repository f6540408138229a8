// HypervKv: a KVP pool of Hyper-V: what guest and host tell each other by way of hv_kvp_daemon.
//
// The file /var/lib/hyperv/.kvp_pool_N, byte for byte as the daemon, cloud-init and azure-init have
// it, and with their locks (hyperv_lock.h), held for each call. What a crash leaves: hyperv_pool.h.
//
// Keys and values are text without NUL; under safe limits UTF-8. Of several records under one key
// the last counts, as for those who append; the daemon takes the first. So a put leaves one. The
// daemon reads a pool anew for each request of the host and, to set or delete, writes all of it: in
// pools that the host writes (external), what is written between the two is lost.
//
// No versions and no TTL: a record has room for neither that the other users would keep. No
// batches: a crash could leave a part of one.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "cas/kv/hyperv_location.h"
#include "cas/kv/hyperv_lock.h"
#include "cas/kv/hyperv_pool.h"
#include "cas/kv/kv_backend.h"

namespace casdisk {

struct HypervKvOptions {
  bool may_create = true;  // the pool's file, at the first write; never the directory
  std::chrono::milliseconds patience = kHypervPatience;  // for the lock
};

class HypervKv : public KvBackend {
 public:
  // The kernel hands the host at most 254 and 1022 UTF-16 units, and cuts what is longer without a
  // word. No byte of UTF-8 is more than one unit, so that as many bytes always fit.
  static constexpr KvLimits kSafeLimits = {.key_bytes = 254,
                                           .value_bytes = 1022,
                                           .write_bytes = 254 + 1022,
                                           .record_count = kMaxHypervKeys,
                                           .is_text = true};
  static constexpr KvLimits kWireLimits = {.key_bytes = kHypervKeyBytes,
                                           .value_bytes = kHypervValueBytes,
                                           .write_bytes = kHypervRecordBytes,
                                           .record_count = kMaxHypervKeys,
                                           .is_text = true};
  static constexpr const KvLimits& limits_of(HypervLimits limits) {
    return limits == HypervLimits::kSafe ? kSafeLimits : kWireLimits;
  }
  static constexpr KvCapabilities kCapabilities = KvCapability::kAppend | KvCapability::kLoad |
                                                  KvCapability::kStale | KvCapability::kDurable |
                                                  KvCapability::kShared;

  // kNotFound when the directory does not exist, or the file, and it may not be made.
  static Result<std::unique_ptr<HypervKv>> open(const HypervLocation& location,
                                                const HypervKvOptions& options);

  Result<std::optional<KvValue>> get(std::string_view key) override;
  Result<KvSlice> list(const KvListRequest& request) override;
  Result<std::vector<KvOutcome>> write(const KvWrite& write) override;
  Result<void> dump(const Visit& visit) override;
  Result<void> load(std::span<const KvRecord> records) override;
  Result<void> append(std::span<const KvOperation> puts) override;
  Result<void> truncate() override;
  // Stale: its last change was in a second before that in which the machine started. A machine may
  // start, and write, within one second: what is of that second is taken for new, so that nothing
  // new is ever lost.
  Result<bool> is_stale() override;
  Result<bool> truncate_if_stale() override;
  // Records that have a key, duplicates too; what else lies there is in `more`.
  Result<KvStats> stats() override;

 private:
  enum class Missing { kStays, kIsMade };
  HypervKv(std::unique_ptr<Directory> directory, HypervLocation location, HypervKvOptions options)
      : directory_(std::move(directory)), location_(std::move(location)), options_(options) {}

  Result<std::unique_ptr<File>> open_locked(OpenMode mode, HypervLock kind);
  Result<std::unique_ptr<File>> open_to_read();
  Result<std::unique_ptr<File>> open_to_write(Missing missing);
  Result<void> check_text(std::string_view key, std::string_view value) const;
  // Notes whether a sync failed.
  template <typename T>
  Result<T> settled(Result<T> outcome);
  Result<std::vector<KvOutcome>> write_one(const KvWrite& write);

  // Fixed after construction.
  const std::unique_ptr<Directory> directory_;
  const HypervLocation location_;
  const HypervKvOptions options_;

  std::atomic<bool> is_poisoned_ = false;
};

}  // namespace casdisk
