#include "nbd/kv/kv_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "nbd/size_text.h"

namespace casdisk {
namespace {

// What one write takes at most, so that others who write are not kept waiting.
constexpr size_t kBatchCount = 1000;
constexpr size_t kBatchBytes = size_t(4) << 20;

// Whether the source may hold what the target does not take.
bool may_not_fit(const KvStore& from, const KvStore& to) {
  const KvLimits& source = from.limits();
  const KvLimits& target = to.limits();
  const bool is_smaller =
      target.key_bytes < source.key_bytes || target.value_bytes < source.value_bytes;
  const bool has_fewer = target.record_count != 0 &&
                         (source.record_count == 0 || source.record_count > target.record_count);
  const bool lacks_ttl =
      from.capabilities().has(KvCapability::kTtl) && !to.capabilities().has(KvCapability::kTtl);
  return is_smaller || has_fewer || lacks_ttl || (target.is_text && !source.is_text);
}

class Copy {
 public:
  Copy(KvStore& from, KvStore& to, const KvCopyOptions& options, KvCopyReport& report)
      : from_(from), to_(to), options_(options), report_(report) {}

  Result<void> expect_empty();
  Result<void> check();
  Result<void> run();

 private:
  enum class How {
    kAppend,   // as they are, several under one key too
    kBatches,  // many puts in one step
    kPuts,     // one by one
  };
  How how() const;
  Result<void> visit(const KvBackend::Visit& visit);
  Result<void> expect_place_for_ttl(const KvRecord& record) const;
  Result<void> add(const KvRecord& record);
  Result<void> flush();
  Result<void> write();

  // Fixed after construction.
  KvStore& from_;
  KvStore& to_;
  const KvCopyOptions& options_;
  const How how_ = how();
  const size_t batch_count_ =
      how_ == How::kBatches ? std::min(kBatchCount, to_.limits().operation_count) : kBatchCount;
  const size_t batch_bytes_ =
      how_ == How::kBatches ? std::min(kBatchBytes, to_.limits().write_bytes) : kBatchBytes;

  KvCopyReport& report_;
  // What is to be written next.
  std::vector<KvRecord> records_;
  std::vector<uint64_t> ttls_ms_;  // of each; 0: for ever
  size_t bytes_ = 0;
};

Copy::How Copy::how() const {
  if (to_.capabilities().has(KvCapability::kAppend) && !options_.merge) return How::kAppend;
  return to_.capabilities().has(KvCapability::kBatch) ? How::kBatches : How::kPuts;
}

Result<void> Copy::expect_empty() {
  if (options_.merge) return {};
  TRY_ASSIGN(const KvPage page, to_.list("", {.limit_count = 1, .with_values = false}));
  if (page.records.empty()) return {};
  return Error{Fault::kExists, 0,
               to_.name() +
                   ": there are records already; --merge adds to them, and replaces those under "
                   "the same keys"};
}

// All records that are to be copied.
Result<void> Copy::visit(const KvBackend::Visit& visit) {
  const auto unless_stopped = [&](const KvRecord& record) -> Result<void> {
    if (options_.stop()) return Error{Fault::kIo, EINTR, "stopped"};
    return visit(record);
  };
  const bool has_duplicates = from_.capabilities().has(KvCapability::kAppend);
  if (has_duplicates && how_ == How::kAppend) return from_.dump(unless_stopped);
  return from_.visit("", unless_stopped);
}

Result<void> Copy::expect_place_for_ttl(const KvRecord& record) const {
  if (record.value.expires_at_ms == 0 || to_.capabilities().has(KvCapability::kTtl)) return {};
  return Error{Fault::kUnsupported, 0,
               fmt::format("{}: key {}: it expires, and this kind of store keeps records for ever",
                           to_.name(), kv_quote(record.key))};
}

Result<void> Copy::check() {
  if (!may_not_fit(from_, to_)) return {};
  const KvChecks checks(to_.name(), to_.limits(), to_.capabilities());
  uint64_t count = 0;
  TRY(from_.visit("", [&](const KvRecord& record) -> Result<void> {
    if (options_.stop()) return Error{Fault::kIo, EINTR, "stopped"};
    count++;
    TRY(expect_place_for_ttl(record));
    return checks.record(record.key, record.value.bytes);
  }));
  const uint64_t most = to_.limits().record_count;
  return most == 0 || count <= most ? Result<void>() : kv_too_many(to_.name(), most, count);
}

Result<void> Copy::add(const KvRecord& record) {
  uint64_t ttl_ms = 0;
  TRY(expect_place_for_ttl(record));
  if (record.value.expires_at_ms != 0) {
    const uint64_t now_ms = options_.clock();
    if (kv_has_expired(record.value.expires_at_ms, now_ms)) {
      report_.expired_count++;
      return {};
    }
    const uint64_t left_ms = record.value.expires_at_ms - now_ms;
    if (left_ms < kMinKvTtlMs) report_.lengthened_count++;
    ttl_ms = std::clamp(left_ms, kMinKvTtlMs, kMaxKvTtlMs);
  }
  const size_t record_bytes = record.key.size() + record.value.bytes.size();
  if (bytes_ + record_bytes > batch_bytes_) TRY(flush());
  records_.push_back(record);
  records_.back().value.expires_at_ms = 0;
  ttls_ms_.push_back(ttl_ms);
  bytes_ += record_bytes;
  return records_.size() >= batch_count_ || how_ == How::kPuts ? flush() : Result<void>();
}

Result<void> Copy::write() {
  if (how_ == How::kAppend) return to_.append(records_);
  if (how_ == How::kPuts || records_.size() == 1) {
    TRY(to_.put(records_[0].key, records_[0].value.bytes, {.ttl_ms = ttls_ms_[0]}));
    return {};
  }
  KvBatch batch;
  for (size_t i = 0; i < records_.size(); i++) {
    batch.put(records_[i].key, records_[i].value.bytes, ttls_ms_[i]);
  }
  TRY(to_.write(batch));
  return {};
}

Result<void> Copy::flush() {
  if (records_.empty()) return {};
  TRY(write());
  report_.copied_count += records_.size();
  report_.copied_bytes += bytes_;
  options_.progress(report_.copied_bytes);
  records_.clear();
  ttls_ms_.clear();
  bytes_ = 0;
  return {};
}

Result<void> Copy::run() {
  TRY(visit([&](const KvRecord& record) { return add(record); }));
  TRY(flush());
  if (!from_.capabilities().has(KvCapability::kAppend)) return {};
  TRY_ASSIGN(const KvStats stats, from_.stats());
  const uint64_t seen = report_.copied_count + report_.expired_count;
  report_.shadowed_count = stats.record_count - std::min(stats.record_count, seen);
  return {};
}

}  // namespace

Result<void> copy_kv(KvStore& from, KvStore& to, const KvCopyOptions& options,
                     KvCopyReport& report) {
  report = {};
  Copy copy(from, to, options, report);
  TRY(copy.expect_empty());
  auto checked = copy.check();
  if (!checked.ok()) {
    checked.error().context += "; nothing was copied";
    return checked;
  }
  auto copied = copy.run();
  if (copied.ok()) return copied;
  copied.error().context += fmt::format("; {} copied before, and --merge goes on from there",
                                        plural(report.copied_count, "record"));
  return copied;
}

}  // namespace casdisk
