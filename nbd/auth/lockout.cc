#include "nbd/auth/lockout.h"

#include <fmt/format.h>

#include <algorithm>

#include "nbd/auth/access_keys.h"
#include "nbd/auth/access_records.h"

namespace casdisk {
namespace {

// A time that is still to come, as the clock was ahead, counts as now.
uint64_t passed_ms(const FailureRecord& failures, uint64_t now_ms) {
  return now_ms - std::min(now_ms, failures.last_ms);
}

bool is_forgotten(const FailureRecord& failures, uint64_t now_ms) {
  return passed_ms(failures, now_ms) >= kLockOutMs;
}

uint64_t locked_ms(const FailureRecord& failures, uint64_t now_ms) {
  if (failures.count < kMaxFailures || is_forgotten(failures, now_ms)) return 0;
  return kLockOutMs - passed_ms(failures, now_ms);
}

Error locked_out(const std::string& name, uint64_t for_ms) {
  const uint64_t minutes = (for_ms + 59'999) / 60'000;
  return Error{Fault::kLimit, 0,
               fmt::format("user {}: {} wrong passwords in a row: try again in {} minute{}", name,
                           kMaxFailures, minutes, minutes == 1 ? "" : "s"),
               kMaxFailures, kMaxFailures + 1};
}

}  // namespace

Result<void> count_attempt(AccessStore& store, const std::string& name) {
  uint64_t for_ms = 0;
  const auto one_more = [&](std::string_view current) -> Result<std::string> {
    FailureRecord failures;
    if (!current.empty()) {
      TRY_ASSIGN(failures, decode_failures(current));
    }
    const uint64_t now_ms = store.now_ms();
    for_ms = locked_ms(failures, now_ms);
    if (for_ms > 0) {
      // Written down, that the time to wait begins to pass.
      if (failures.last_ms > now_ms) return encode_failures({failures.count, now_ms});
      return locked_out(name, for_ms);
    }
    if (is_forgotten(failures, now_ms)) failures.count = 0;
    return encode_failures({failures.count + 1, now_ms});
  };
  TRY(store.kv().read_modify_write(access_key::failures(name), "", one_more,
                                   store.ttl(kLockOutMs)));
  return for_ms == 0 ? Result<void>() : locked_out(name, for_ms);
}

Result<void> clear_attempts(AccessStore& store, const std::string& name) {
  TRY(store.kv().remove(access_key::failures(name)));
  return {};
}

Result<uint64_t> locked_out_for_ms(AccessStore& store, const std::string& name) {
  TRY_ASSIGN(const auto value, store.kv().get(access_key::failures(name)));
  if (!value) return uint64_t(0);
  TRY_ASSIGN(const FailureRecord failures, decode_failures(value->bytes));
  return locked_ms(failures, store.now_ms());
}

}  // namespace casdisk
