// AuditTrail: what was done and what was refused, by whom; only ever added to.
//
// Entries are kept for AccessSettings::audit_ttl_ms where the key-value store has TTLs. Safe to
// call from any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "nbd/auth/access_records.h"
#include "nbd/auth/access_store.h"
#include "nbd/auth/audit_event.h"
#include "nbd/auth/event_credit.h"

namespace casdisk {

// The part of a change that says who made it.
void add_event(AccessStore& store, KvBatch& batch, const AuditEvent& event);

// From `since_ms` on, the oldest first.
Result<void> visit_events(AccessStore& store, uint64_t since_ms,
                          const std::function<Result<void>(const AuditEntry&)>& visit);

// What one process writes down has an EventCredit: one for all refusals, as whoever comes is
// refused, and one for each thing that each user or token was allowed; so a flood of one hides
// nothing else. 90 days of a flood are 1.6 million entries, some 400 MB.
inline constexpr size_t kMaxEventKinds = 4096;  // what is beyond shares one; some 500 KB

class AuditTrail {
 public:
  explicit AuditTrail(std::shared_ptr<AccessStore> store) : store_(std::move(store)) {}

  // Writes it down, durably, or counts it: the next one that is written says how many were left
  // out of its kind. Now and then removes what has expired.
  Result<void> write(const AuditEvent& event);

 private:
  // As EventCredit::admit(), of the event's kind.
  std::optional<uint32_t> admit(const AuditEvent& event, uint64_t now_ms);
  bool is_time_to_sweep(uint64_t now_ms);

  // Fixed after construction.
  const std::shared_ptr<AccessStore> store_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::unordered_map<std::string, EventCredit> credits_;  // by kind
  uint64_t hour_of_sweep_ = 0;                            // since 1970
};

}  // namespace casdisk
