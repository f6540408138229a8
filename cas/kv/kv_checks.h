// What KvStore refuses before a backend hears of it: pure functions of arguments and limits.
//
// Errors carry the store's name, the key and the limit, never a value: kInvalid (an empty key, a
// NUL where keys are text, a key twice), kTooLarge (with max and actual), kUnsupported.
#pragma once

#include "cas/kv/kv_types.h"

namespace casdisk {

inline constexpr uint64_t kMinKvTtlMs = 60'000;
inline constexpr uint64_t kMaxKvTtlMs = uint64_t(365) * 24 * 3600 * 1000;
// When a loaded record may expire at the latest: what every engine can count to, Redis in doubles.
inline constexpr uint64_t kMaxKvExpiryMs = uint64_t(1) << 53;
// What may be looked for: longer than any backend's keys, so that what one made with larger limits
// can be read and removed with smaller ones.
inline constexpr size_t kMaxSoughtKeyBytes = 65536;

class KvChecks {
 public:
  KvChecks(std::string store, const KvLimits& limits, KvCapabilities capabilities)
      : store_(std::move(store)), limits_(limits), capabilities_(capabilities) {}

  const KvLimits& limits() const { return limits_; }
  KvCapabilities capabilities() const { return capabilities_; }

  Result<void> sought_key(std::string_view key) const;
  Result<void> prefix(std::string_view prefix) const;
  Result<void> record(std::string_view key, std::string_view value) const;
  Result<void> ttl(uint64_t ttl_ms) const;
  // Of a record as it is stored: when it expires.
  Result<void> expiry(uint64_t expires_at_ms) const;
  Result<void> write(const KvWrite& write) const;
  Result<void> load(std::span<const KvRecord> records) const;
  Result<void> need(KvCapability capability, std::string_view what) const;

  Error invalid(std::string_view text) const;
  Error too_large(std::string_view what, uint64_t max, uint64_t actual) const;

 private:
  Result<void> not_empty(std::string_view key) const;
  Result<void> conditions(const KvWrite& write) const;
  Result<void> distinct_keys(const KvWrite& write) const;

  // Fixed after construction.
  const std::string store_;
  const KvLimits limits_;
  const KvCapabilities capabilities_;
};

}  // namespace casdisk
