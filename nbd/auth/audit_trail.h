// AuditTrail: what was done and what was refused, by whom; only ever added to.
//
// Entries are kept for AccessSettings::audit_ttl_ms where the key-value store has TTLs. Safe to
// call from any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "nbd/auth/access_records.h"
#include "nbd/auth/access_store.h"
#include "nbd/auth/audit_event.h"

namespace casdisk {

// The part of a change that says who made it.
void add_event(AccessStore& store, KvBatch& batch, const AuditEvent& event);

// From `since_ms` on, the oldest first.
Result<void> visit_events(AccessStore& store, uint64_t since_ms,
                          const std::function<Result<void>(const AuditEntry&)>& visit);

// What one process writes down: so many at once, and one more each kEventEveryMs; what is beyond
// that is counted. So 90 days of a flood are 1.6 million entries, some 400 MB.
inline constexpr uint64_t kMaxEventsAtOnce = 120;
inline constexpr uint64_t kEventEveryMs = 5000;

class AuditTrail {
 public:
  explicit AuditTrail(std::shared_ptr<AccessStore> store) : store_(std::move(store)) {}

  // Writes it down, durably, or counts it: the next one that is written says how many were left
  // out. Now and then removes what has expired.
  Result<void> write(const AuditEvent& event);

 private:
  // How many were left out before this one; none: leave it out too.
  std::optional<uint32_t> admit(uint64_t now_ms);
  bool is_time_to_sweep(uint64_t now_ms);

  // Fixed after construction.
  const std::shared_ptr<AccessStore> store_;

  std::mutex mutex_;
  // Guarded by mutex_.
  uint64_t credit_ms_ = kMaxEventsAtOnce * kEventEveryMs;  // an event costs kEventEveryMs
  uint64_t last_ms_ = 0;                                   // since 1970
  uint32_t left_out_count_ = 0;
  uint64_t hour_of_sweep_ = 0;  // since 1970
};

}  // namespace casdisk
