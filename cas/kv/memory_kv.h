// MemoryKv: a store that ends with the process. For tests, and for what need not last.
#pragma once

#include <map>
#include <shared_mutex>

#include "cas/kv/kv_backend.h"

namespace casdisk {

class MemoryKv : public KvBackend {
 public:
  static constexpr KvLimits kLimits = {.key_bytes = 4096,
                                       .value_bytes = size_t(32) << 20,
                                       .operation_count = 65536,
                                       .write_bytes = size_t(64) << 20};
  static constexpr KvCapabilities kCapabilities =
      KvCapability::kVersions | KvCapability::kBatch | KvCapability::kTtl | KvCapability::kLoad;

  explicit MemoryKv(KvClock clock) : clock_(std::move(clock)) {}

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
  Result<KvStats> stats() override;

 private:
  using Records = std::map<std::string, KvValue, std::less<>>;
  const KvValue* find_live(std::string_view key, uint64_t now_ms) const;
  bool holds(const KvCondition& condition, uint64_t now_ms) const;
  void put(std::string_view key, KvValue value);
  Records::const_iterator first_of(const KvListRequest& request) const;

  // Fixed after construction.
  const KvClock clock_;

  std::shared_mutex mutex_;
  // Guarded by mutex_.
  Records records_;
  uint64_t used_bytes_ = 0;  // keys and values
  uint64_t last_version_ = 0;
};

}  // namespace casdisk
