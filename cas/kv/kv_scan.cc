#include "cas/kv/kv_scan.h"

#include "cas/kv/kv_record_format.h"

namespace casdisk {
namespace {

constexpr size_t kDumpBytes = size_t(1) << 20;
constexpr size_t kSweptCount = 1024;

}  // namespace

Result<KvSlice> kv_list_by_scan(const KvScan& scan, const KvListRequest& request, uint64_t now_ms) {
  KvSlice slice;
  size_t bytes = 0;
  size_t looked_at = 0;
  std::string last;
  TRY(scan(request.prefix, request.after,
           [&](std::string_view key, KvStored stored) -> Result<bool> {
             if (slice.records.size() == request.limit_count || bytes >= request.limit_bytes ||
                 looked_at == kKvLookedAtCount) {
               slice.after = last;
               return false;
             }
             looked_at++;
             last = key;
             TRY_ASSIGN(const KvHeader header, decode_kv_header(stored));
             if (kv_has_expired(header.expires_at_ms, now_ms)) return true;
             TRY_ASSIGN(KvValue value, decode_kv_value(stored, request.with_values));
             bytes += key.size() + value.bytes.size();
             slice.records.push_back({last, std::move(value)});
             return true;
           }));
  return slice;
}

Result<void> kv_dump_by_scan(const KvScan& scan, const KvBackend::Visit& visit) {
  std::string after;
  for (;;) {
    std::vector<KvRecord> some;
    size_t bytes = 0;
    TRY(scan({}, after, [&](std::string_view key, KvStored stored) -> Result<bool> {
      TRY_ASSIGN(KvValue value, decode_kv_value(stored));
      bytes += stored.size();
      some.push_back({std::string(key), std::move(value)});
      return some.size() < kKvDumpCount && bytes < kDumpBytes;
    }));
    if (some.empty()) return {};
    for (const KvRecord& record : some) TRY(visit(record));
    after = some.back().key;
  }
}

Result<std::vector<std::string>> kv_expired_by_scan(const KvScan& scan, uint64_t now_ms,
                                                    std::string& after) {
  std::vector<std::string> expired;
  std::string last;
  size_t looked_at = 0;
  TRY(scan({}, after, [&](std::string_view key, KvStored stored) -> Result<bool> {
    TRY_ASSIGN(const KvHeader header, decode_kv_header(stored));
    last = key;
    if (kv_has_expired(header.expires_at_ms, now_ms)) expired.push_back(last);
    return ++looked_at < kKvLookedAtCount && expired.size() < kSweptCount;
  }));
  after = std::move(last);
  return expired;
}

}  // namespace casdisk
