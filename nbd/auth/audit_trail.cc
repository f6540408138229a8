#include "nbd/auth/audit_trail.h"

#include <utility>

#include "nbd/auth/access_keys.h"

namespace casdisk {
namespace {

constexpr uint64_t kHourMs = 3'600'000;

std::string new_event_key(uint64_t now_ms) {
  std::array<uint8_t, 8> random;
  fill_random(random);
  return access_key::event(now_ms, {reinterpret_cast<const char*>(random.data()), random.size()});
}

void put_entry(AccessStore& store, KvBatch& batch, const AuditEvent& event,
               uint32_t left_out_count) {
  const AuditEntry entry{.who = event.who,
                         .what = event.what,
                         .on = event.on,
                         .outcome = event.outcome,
                         .left_out_count = left_out_count};
  batch.put(new_event_key(store.now_ms()), encode_audit(entry),
            store.ttl(store.settings().audit_ttl_ms));
}

constexpr const char* kRefusals = "refusals";
constexpr const char* kOthers = "others";

std::string kind_of(const AuditEvent& event) {
  return event.outcome == "allowed" ? event.who + '\n' + event.what : kRefusals;
}

}  // namespace

void add_event(AccessStore& store, KvBatch& batch, const AuditEvent& event) {
  put_entry(store, batch, event, 0);
}

Result<void> visit_events(AccessStore& store, uint64_t since_ms,
                          const std::function<Result<void>(const AuditEntry&)>& visit) {
  return store.kv().visit(access_key::all(access_key::Kind::kEvent),
                          [&](const KvRecord& record) -> Result<void> {
                            KvKeyReader key(record.key);
                            const uint64_t time_ms = key.number();
                            if (key.failed() || time_ms < since_ms) return {};
                            TRY_ASSIGN(AuditEntry entry, decode_audit(record.value.bytes));
                            entry.time_ms = time_ms;
                            return visit(entry);
                          });
}

std::optional<uint32_t> AuditTrail::admit(const AuditEvent& event, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  std::string kind = kind_of(event);
  if (credits_.size() >= kMaxEventKinds && !credits_.contains(kind)) {
    std::erase_if(credits_, [&](const auto& credit) { return credit.second.is_unused(now_ms); });
    if (credits_.size() >= kMaxEventKinds) kind = kOthers;
  }
  return credits_[kind].admit(now_ms);
}

bool AuditTrail::is_time_to_sweep(uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const uint64_t hour = now_ms / kHourMs;
  return std::exchange(hour_of_sweep_, hour) != hour;
}

Result<void> AuditTrail::write(const AuditEvent& event) {
  const uint64_t now_ms = store_->now_ms();
  const auto left_out_count = admit(event, now_ms);
  if (!left_out_count) return {};
  if (is_time_to_sweep(now_ms)) TRY(store_->kv().sweep());
  KvBatch batch;
  put_entry(*store_, batch, event, *left_out_count);
  TRY(store_->kv().write(batch));
  return {};
}

}  // namespace casdisk
