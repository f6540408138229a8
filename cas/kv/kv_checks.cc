#include "cas/kv/kv_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "cas/kv/kv_backend.h"

namespace casdisk {

Error KvChecks::invalid(std::string_view text) const {
  return Error{Fault::kInvalid, 0, fmt::format("{}: {}", store_, text)};
}

Error KvChecks::too_large(std::string_view what, uint64_t max, uint64_t actual) const {
  return Error{Fault::kTooLarge, 0,
               fmt::format("{}: {} of {}, and {} is the most", store_, what, actual, max), max,
               actual};
}

Result<void> KvChecks::need(KvCapability capability, std::string_view what) const {
  if (capabilities_.has(capability)) return {};
  return Error{
      Fault::kUnsupported, 0,
      fmt::format("{}: {}: this kind of store cannot do it; nothing was changed", store_, what)};
}

Result<void> KvChecks::not_empty(std::string_view key) const {
  if (key.empty()) return invalid("an empty key; a key has at least one byte");
  if (limits_.is_text && key.find('\0') != key.npos) {
    return invalid(fmt::format("key {}: a NUL byte, where keys are text", kv_quote(key)));
  }
  return {};
}

Result<void> KvChecks::sought_key(std::string_view key) const {
  TRY(not_empty(key));
  if (key.size() > kMaxSoughtKeyBytes) {
    return too_large("a key's bytes", kMaxSoughtKeyBytes, key.size());
  }
  return {};
}

Result<void> KvChecks::prefix(std::string_view prefix) const {
  return prefix.empty() ? Result<void>() : sought_key(prefix);
}

Result<void> KvChecks::record(std::string_view key, std::string_view value) const {
  TRY(not_empty(key));
  if (key.size() > limits_.key_bytes) {
    return too_large(fmt::format("key {}: a key's bytes", kv_quote(key)), limits_.key_bytes,
                     key.size());
  }
  if (value.size() > limits_.value_bytes) {
    return too_large(fmt::format("key {}: a value's bytes", kv_quote(key)), limits_.value_bytes,
                     value.size());
  }
  if (limits_.is_text && value.find('\0') != value.npos) {
    return invalid(
        fmt::format("key {}: a NUL byte in the value, where values are text", kv_quote(key)));
  }
  return {};
}

Result<void> KvChecks::ttl(uint64_t ttl_ms) const {
  if (ttl_ms == 0) return {};
  TRY(need(KvCapability::kTtl, "a time to live"));
  if (ttl_ms >= kMinKvTtlMs && ttl_ms <= kMaxKvTtlMs) return {};
  return invalid(fmt::format("a time to live of {} ms; it is from {} s to {} s", ttl_ms,
                             kMinKvTtlMs / 1000, kMaxKvTtlMs / 1000));
}

Result<void> KvChecks::expiry(uint64_t expires_at_ms) const {
  if (expires_at_ms == 0) return {};
  TRY(need(KvCapability::kTtl, "a record that expires"));
  if (expires_at_ms <= kMaxKvExpiryMs) return {};
  return invalid(fmt::format("a record that expires at {} ms; {} ms since 1970 is the latest",
                             expires_at_ms, kMaxKvExpiryMs));
}

Result<void> KvChecks::conditions(const KvWrite& write) const {
  const auto& operations = write.operations;
  for (const KvCondition& condition : write.conditions) {
    TRY(sought_key(condition.key));
    if (condition.kind == KvCondition::Kind::kVersion) {
      TRY(need(KvCapability::kVersions, "a change on the condition of a version"));
    }
    if (operations.size() != 1 || condition.key != operations[0].key) {
      TRY(need(KvCapability::kBatch, "a change on the condition of another key"));
    }
  }
  if (write.conditions.size() > limits_.operation_count) {
    return too_large("conditions", limits_.operation_count, write.conditions.size());
  }
  return {};
}

// So that engines which do the operations in another order, or all at once, agree.
Result<void> KvChecks::distinct_keys(const KvWrite& write) const {
  if (write.operations.size() < 2) return {};
  std::unordered_set<std::string_view> keys;
  keys.reserve(write.operations.size());
  for (const KvOperation& operation : write.operations) {
    if (keys.insert(operation.key).second) continue;
    return invalid(fmt::format("key {}: twice in one batch", kv_quote(operation.key)));
  }
  return {};
}

Result<void> KvChecks::write(const KvWrite& write) const {
  if (write.operations.size() > 1) TRY(need(KvCapability::kBatch, "a batch"));
  if (write.operations.size() > limits_.operation_count) {
    return too_large("operations", limits_.operation_count, write.operations.size());
  }
  uint64_t bytes = 0;
  for (const KvOperation& operation : write.operations) {
    if (operation.kind == KvOperation::Kind::kPut) {
      TRY(record(operation.key, operation.value));
      TRY(ttl(operation.ttl_ms));
    } else {
      TRY(sought_key(operation.key));
    }
    bytes += operation.key.size() + operation.value.size();
  }
  if (write.operations.size() > 1 && bytes > limits_.write_bytes) {
    return too_large("a batch's bytes", limits_.write_bytes, bytes);
  }
  TRY(conditions(write));
  return distinct_keys(write);
}

Result<void> KvChecks::load(std::span<const KvRecord> records) const {
  TRY(need(KvCapability::kLoad, "load"));
  std::unordered_set<std::string_view> keys;
  keys.reserve(records.size());
  for (const KvRecord& one : records) {
    TRY(record(one.key, one.value.bytes));
    TRY(expiry(one.value.expires_at_ms));
    if (keys.insert(one.key).second || capabilities_.has(KvCapability::kAppend)) continue;
    return invalid(fmt::format("key {}: twice, and this kind of store has one record for each key",
                               kv_quote(one.key)));
  }
  if (limits_.record_count != 0 && keys.size() > limits_.record_count) {
    return kv_too_many(store_, limits_.record_count, keys.size());
  }
  return {};
}

}  // namespace casdisk
