#include "cas/kv/kv_backend.h"

#include <fmt/format.h>

#include <chrono>

namespace casdisk {
namespace {

constexpr size_t kQuotedBytes = 80;
constexpr size_t kVisitBytes = size_t(1) << 20;

Error unsupported(const char* what) {
  return Error{Fault::kUnsupported, 0, fmt::format("{}: this kind of store cannot do it", what)};
}

}  // namespace

uint64_t system_kv_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return now_ms < 0 ? 0 : uint64_t(now_ms);
}

Result<bool> KvBackend::exists(std::string_view key) {
  TRY_ASSIGN(const auto value, get(key));
  return value.has_value();
}

Result<std::optional<KvValue>> KvBackend::get_range(std::string_view key, uint64_t offset,
                                                    size_t bytes) {
  TRY_ASSIGN(auto value, get(key));
  if (value) {
    const size_t from = size_t(std::min<uint64_t>(offset, value->bytes.size()));
    value->bytes = value->bytes.substr(from, bytes);
  }
  return value;
}

Result<uint64_t> KvBackend::sweep() { return uint64_t(0); }
Result<void> KvBackend::load(std::span<const KvRecord>) { return unsupported("load"); }
Result<void> KvBackend::append(std::span<const KvOperation>) { return unsupported("append"); }
Result<bool> KvBackend::is_stale() { return false; }
Result<bool> KvBackend::truncate_if_stale() { return false; }
Result<void> KvBackend::snapshot(const std::string&) { return unsupported("snapshot"); }
Result<void> KvBackend::compact() { return unsupported("compact"); }

Error kv_conflict(const KvCondition& condition) {
  const char* what = "";
  switch (condition.kind) {
    case KvCondition::Kind::kAbsent:
      what = "it is there already";
      break;
    case KvCondition::Kind::kExists:
      what = "it is not there";
      break;
    case KvCondition::Kind::kVersion:
      what = "it has been changed since, or removed";
      break;
  }
  return Error{Fault::kConflict, 0, fmt::format("key {}: {}", kv_quote(condition.key), what)};
}

Error kv_too_many(const std::string& store, uint64_t max, uint64_t count) {
  return Error{Fault::kLimit, 0,
               fmt::format("{}: {} keys, and it holds {} at most; remove some", store, count, max),
               max, count};
}

std::string kv_quote(std::string_view key) {
  std::string text = "\"";
  for (const char c : key.substr(0, kQuotedBytes)) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (uint8_t(c) < 0x20 || uint8_t(c) >= 0x7f) {
      text += fmt::format("\\x{:02x}", uint8_t(c));
    } else {
      text += c;
    }
  }
  text += key.size() > kQuotedBytes ? "\"..." : "\"";
  return text;
}

Result<void> kv_visit_lists(const std::function<Result<KvSlice>(const KvListRequest&)>& list,
                            size_t limit_count, const KvBackend::Visit& visit) {
  std::string after;
  do {
    TRY_ASSIGN(KvSlice slice,
               list({.after = after, .limit_count = limit_count, .limit_bytes = kVisitBytes}));
    for (const KvRecord& record : slice.records) TRY(visit(record));
    after = std::move(slice.after);
  } while (!after.empty());
  return {};
}

}  // namespace casdisk
