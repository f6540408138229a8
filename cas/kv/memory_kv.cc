#include "cas/kv/memory_kv.h"

#include <algorithm>
#include <mutex>

#include "cas/kv/kv_scan.h"

namespace casdisk {

const KvValue* MemoryKv::find_live(std::string_view key, uint64_t now_ms) const {
  const auto found = records_.find(key);
  if (found == records_.end() || kv_has_expired(found->second.expires_at_ms, now_ms)) {
    return nullptr;
  }
  return &found->second;
}

Result<std::optional<KvValue>> MemoryKv::get(std::string_view key) {
  const uint64_t now_ms = clock_();
  std::shared_lock lock(mutex_);
  const KvValue* value = find_live(key, now_ms);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

Result<bool> MemoryKv::exists(std::string_view key) {
  const uint64_t now_ms = clock_();
  std::shared_lock lock(mutex_);
  return find_live(key, now_ms) != nullptr;
}

Result<std::optional<KvValue>> MemoryKv::get_range(std::string_view key, uint64_t offset,
                                                   size_t bytes) {
  const uint64_t now_ms = clock_();
  std::shared_lock lock(mutex_);
  const KvValue* value = find_live(key, now_ms);
  if (value == nullptr) return std::optional<KvValue>();
  const size_t from = size_t(std::min<uint64_t>(offset, value->bytes.size()));
  return std::optional(
      KvValue{value->bytes.substr(from, bytes), value->version, value->expires_at_ms});
}

MemoryKv::Records::const_iterator MemoryKv::first_of(const KvListRequest& request) const {
  return request.after.empty() ? records_.lower_bound(request.prefix)
                               : records_.upper_bound(std::max(request.after, request.prefix));
}

Result<KvSlice> MemoryKv::list(const KvListRequest& request) {
  const uint64_t now_ms = clock_();
  KvSlice slice;
  size_t bytes = 0;
  size_t looked_at = 0;
  std::shared_lock lock(mutex_);
  auto at = first_of(request);
  const auto is_in_list = [&] {
    return at != records_.end() && at->first.starts_with(request.prefix);
  };
  std::string_view last;
  for (; is_in_list(); ++at) {
    const bool is_full = slice.records.size() == request.limit_count ||
                         bytes >= request.limit_bytes || looked_at == kKvLookedAtCount;
    if (is_full) {
      slice.after = last;
      return slice;
    }
    looked_at++;
    last = at->first;
    const KvValue& value = at->second;
    if (kv_has_expired(value.expires_at_ms, now_ms)) continue;
    slice.records.push_back({at->first, {{}, value.version, value.expires_at_ms}});
    if (request.with_values) slice.records.back().value.bytes = value.bytes;
    bytes += at->first.size() + (request.with_values ? value.bytes.size() : 0);
  }
  return slice;
}

bool MemoryKv::holds(const KvCondition& condition, uint64_t now_ms) const {
  const KvValue* value = find_live(condition.key, now_ms);
  return kv_holds(condition, value == nullptr ? std::nullopt : std::optional(value->version));
}

void MemoryKv::put(std::string_view key, KvValue value) {
  auto at = records_.find(key);
  if (at == records_.end()) {
    at = records_.emplace(key, KvValue()).first;
    used_bytes_ += key.size();
  }
  used_bytes_ += value.bytes.size();
  used_bytes_ -= at->second.bytes.size();
  at->second = std::move(value);
}

Result<std::vector<KvOutcome>> MemoryKv::write(const KvWrite& write) {
  const uint64_t now_ms = clock_();
  std::vector<KvOutcome> outcomes(write.operations.size());
  std::unique_lock lock(mutex_);
  for (const KvCondition& condition : write.conditions) {
    if (!holds(condition, now_ms)) return kv_conflict(condition);
  }
  for (size_t i = 0; i < write.operations.size(); i++) {
    const KvOperation& operation = write.operations[i];
    if (operation.kind == KvOperation::Kind::kPut) {
      outcomes[i].version = ++last_version_;
      put(operation.key,
          {std::string(operation.value), last_version_, kv_expiry(operation.ttl_ms, now_ms)});
      continue;
    }
    const auto found = records_.find(operation.key);
    if (found == records_.end()) continue;
    outcomes[i].removed_count = kv_has_expired(found->second.expires_at_ms, now_ms) ? 0 : 1;
    used_bytes_ -= found->first.size() + found->second.bytes.size();
    records_.erase(found);
  }
  return outcomes;
}

Result<void> MemoryKv::dump(const Visit& visit) {
  std::string after;
  for (;;) {
    std::vector<KvRecord> some;
    {
      std::shared_lock lock(mutex_);
      for (auto at = records_.upper_bound(after);
           at != records_.end() && some.size() < kKvDumpCount; ++at) {
        some.push_back({at->first, at->second});
      }
    }
    if (some.empty()) return {};
    for (const KvRecord& record : some) TRY(visit(record));
    after = some.back().key;
  }
}

Result<void> MemoryKv::load(std::span<const KvRecord> records) {
  std::unique_lock lock(mutex_);
  records_.clear();
  used_bytes_ = 0;
  for (const KvRecord& record : records) {
    put(record.key, {record.value.bytes, ++last_version_, record.value.expires_at_ms});
  }
  return {};
}

Result<void> MemoryKv::truncate() { return load({}); }

Result<uint64_t> MemoryKv::sweep() {
  const uint64_t now_ms = clock_();
  std::unique_lock lock(mutex_);
  uint64_t swept_count = 0;
  for (auto at = records_.begin(); at != records_.end();) {
    if (!kv_has_expired(at->second.expires_at_ms, now_ms)) {
      ++at;
      continue;
    }
    used_bytes_ -= at->first.size() + at->second.bytes.size();
    at = records_.erase(at);
    swept_count++;
  }
  return swept_count;
}

Result<KvStats> MemoryKv::stats() {
  std::shared_lock lock(mutex_);
  return KvStats{.record_count = records_.size(), .used_bytes = used_bytes_};
}

}  // namespace casdisk
