#include "remotes/kv/etcd_kv.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>

#include "cas/kv/key_codec.h"
#include "remotes/kv/store_form.h"

namespace casdisk {
namespace {

using Repeat = EtcdClient::Repeat;

constexpr std::string_view kForm = "1";
// Of a list with values, whose sizes are not known: the first request, and how fast they grow.
constexpr size_t kFirstStep = 16;
constexpr size_t kStepGrowth = 8;
constexpr size_t kDumpCount = 1000;
// What etcd's encoding adds to an operation, generously.
constexpr size_t kOperationBytes = 64;
// The low bits of a lease's number are drawn, the others say when it ends: until the year 2109.
constexpr int kDrawnBits = 21;
constexpr int kLeaseTries = 10;

uint64_t draw_lease(uint64_t expires_at_ms) {
  thread_local std::mt19937_64 dice(std::random_device{}());
  return expires_at_ms << kDrawnBits | (dice() >> (64 - kDrawnBits));
}

// What etcd makes of it, in its own encoding: an upper bound.
size_t request_bytes(const KvWrite& write, size_t prefix_bytes, size_t looked_at_count) {
  size_t bytes = kOperationBytes;
  for (const KvOperation& operation : write.operations) {
    const size_t name_bytes = prefix_bytes + operation.key.size() + kOperationBytes;
    bytes += name_bytes + operation.value.size();
    if (looked_at_count > 0) bytes += name_bytes;
  }
  for (const KvCondition& condition : write.conditions) {
    bytes += 2 * (prefix_bytes + condition.key.size() + kOperationBytes);
  }
  return bytes;
}

// Each once, and none for what has no lease.
std::vector<uint64_t> distinct_leases(std::vector<uint64_t> leases) {
  std::sort(leases.begin(), leases.end());
  leases.erase(std::unique(leases.begin(), leases.end()), leases.end());
  if (!leases.empty() && leases.front() == 0) leases.erase(leases.begin());
  return leases;
}

KvValue to_value(EtcdRecord& record) {
  return {std::move(record.value), record.revision, lease_expiry_ms(record.lease)};
}

}  // namespace

uint64_t lease_expiry_ms(uint64_t lease) { return lease >> kDrawnBits; }

EtcdKv::EtcdKv(const EtcdKvOptions& options)
    : client_(options.address),
      form_(options.prefix + "form"),
      records_(options.prefix + "record/") {}

Result<std::unique_ptr<EtcdKv>> EtcdKv::open(const EtcdKvOptions& options) {
  std::unique_ptr<EtcdKv> store(new EtcdKv(options));
  TRY(store->check_form(options.may_create));
  return store;
}

Error EtcdKv::unexpected(std::string_view what) const {
  return Error{Fault::kDamaged, 0, fmt::format("{}: {}", client_.name(), what)};
}

Result<void> EtcdKv::check_form(bool may_create) {
  TRY_ASSIGN(EtcdRangeReply found, read({.key = form_}));
  if (found.records.empty()) {
    if (!may_create) return no_store_there(client_.name());
    const std::string make =
        encode_etcd_txn({{EtcdCompare::Kind::kAbsent, form_}},
                        {{EtcdOperation::Kind::kPut, {.key = form_}, kForm}}, {});
    TRY(client_.call("kv/txn", make, Repeat::kOnceMore));
    TRY_ASSIGN(found, read({.key = form_}));
  }
  if (!found.records.empty() && found.records[0].value == kForm) return {};
  return other_form_there(client_.name(), form_);
}

Result<EtcdRangeReply> EtcdKv::read(const EtcdRange& range) {
  TRY_ASSIGN(const std::string text,
             client_.call("kv/range", encode_etcd_range(range), Repeat::kOnceMore));
  return decode_etcd_range(text);
}

Result<EtcdRangeReply> EtcdKv::read_at(EtcdRange range, uint64_t& revision) {
  range.revision = revision;
  TRY_ASSIGN(EtcdClient::Answer answer,
             client_.post("kv/range", encode_etcd_range(range), Repeat::kOnceMore));
  if (answer.refusal.code == kEtcdOutOfRange && revision != 0) {
    revision = 0;  // compacted away: go on with what is there now
    return read_at(std::move(range), revision);
  }
  if (!answer.is_ok()) return client_.error_of(answer.refusal);
  TRY_ASSIGN(EtcdRangeReply reply, decode_etcd_range(answer.text));
  if (revision == 0) revision = reply.revision;
  return reply;
}

Result<std::optional<KvValue>> EtcdKv::get(std::string_view key) {
  TRY_ASSIGN(EtcdRangeReply reply, read({.key = record_name(key)}));
  if (reply.records.empty()) return std::optional<KvValue>();
  return std::optional(to_value(reply.records[0]));
}

Result<bool> EtcdKv::exists(std::string_view key) {
  TRY_ASSIGN(const EtcdRangeReply reply, read({.key = record_name(key), .count_only = true}));
  return reply.count > 0;
}

Result<KvSlice> EtcdKv::list(const KvListRequest& request) {
  uint64_t revision = 0;
  return list_at(request, revision);
}

Result<KvSlice> EtcdKv::list_at(const KvListRequest& request, uint64_t& revision) {
  EtcdRange range{.key = record_name(request.prefix), .keys_only = !request.with_values};
  range.end = kv_prefix_end(range.key).value();  // there is one: the store's own prefix is text
  if (!request.after.empty()) {
    range.key = record_name(std::max(request.after, request.prefix)) + '\0';
  }
  KvSlice slice;
  size_t bytes = 0;
  size_t step = request.with_values ? kFirstStep : request.limit_count;
  for (;;) {
    range.limit = std::min(step, request.limit_count - slice.records.size());
    auto reply = read_at(range, revision);
    if (!reply.ok() && reply.error().fault == Fault::kTooLarge && range.limit > 1) {
      step = size_t(range.limit) / 2;
      continue;
    }
    if (!reply.ok()) return std::move(reply.error());
    auto& records = reply.value().records;
    for (EtcdRecord& record : records) {
      if (!record.key.starts_with(records_)) return unexpected("a record of somebody else");
      const bool is_last = &record == &records.back() && !reply.value().has_more;
      bytes += record.key.size() - records_.size() + record.value.size();
      std::string key = record.key.substr(records_.size());
      const bool is_full =
          bytes >= request.limit_bytes || slice.records.size() + 1 == request.limit_count;
      if (is_full && !is_last) slice.after = key;
      slice.records.push_back({std::move(key), to_value(record)});
      if (is_full) return slice;
    }
    if (!reply.value().has_more) return slice;
    if (records.empty()) return unexpected("more records, and none of them");
    range.key = records.back().key + '\0';
    if (bytes < request.limit_bytes / kStepGrowth) step *= kStepGrowth;
  }
}

Result<void> EtcdKv::dump(const Visit& visit) {
  uint64_t revision = 0;
  return kv_visit_lists([&](const KvListRequest& request) { return list_at(request, revision); },
                        kDumpCount, visit);
}

Result<uint64_t> EtcdKv::grant(uint64_t ttl_ms) {
  const uint64_t ttl_seconds = (ttl_ms + 999) / 1000;
  for (int tried = 0;; tried++) {
    const uint64_t lease = draw_lease(system_kv_clock() + ttl_seconds * 1000);
    auto granted =
        client_.post("lease/grant", encode_etcd_grant(lease, ttl_seconds), Repeat::kNever);
    if (granted.ok() && granted.value().is_ok()) return lease;
    const bool is_taken =
        granted.ok() && granted.value().refusal.code == kEtcdPrecondition && tried < kLeaseTries;
    if (is_taken) continue;
    Error error = granted.ok() ? client_.error_of(granted.value().refusal) : granted.error();
    // It may have been granted all the same.
    if (error.fault == Fault::kUnavailable) revoke(lease);
    return error;
  }
}

// One for each TTL of a batch; beside each operation its lease, or 0.
Result<std::vector<uint64_t>> EtcdKv::grant_all(std::span<const KvOperation> operations) {
  std::map<uint64_t, uint64_t> granted;
  std::vector<uint64_t> leases;
  for (const KvOperation& operation : operations) {
    uint64_t& lease = granted[operation.ttl_ms];
    if (lease == 0 && operation.ttl_ms != 0) {
      auto fresh = grant(operation.ttl_ms);
      if (!fresh.ok()) {
        revoke_all(leases);
        return std::move(fresh.error());
      }
      lease = fresh.value();
    }
    leases.push_back(lease);
  }
  return leases;
}

// To no avail it ends by itself.
void EtcdKv::revoke(uint64_t lease) {
  (void)client_.call("lease/revoke", encode_etcd_lease(lease, false), Repeat::kNever).ok();
}

void EtcdKv::revoke_all(const std::vector<uint64_t>& leases) {
  for (const uint64_t lease : distinct_leases(leases)) revoke(lease);
}

// Of a lease that a record had: nobody attaches another record to it any more, so that one which is
// unused stays so.
void EtcdKv::revoke_if_unused(uint64_t lease) {
  auto text = client_.call("lease/timetolive", encode_etcd_lease(lease, true), Repeat::kOnceMore);
  if (!text.ok()) return;
  auto key_count = decode_etcd_lease_keys(text.value());
  if (key_count.ok() && key_count.value() == 0) revoke(lease);
}

Result<EtcdTxnReply> EtcdKv::commit(const KvWrite& write, const std::vector<uint64_t>& leases,
                                    size_t looked_at_count) {
  std::vector<EtcdCompare> compares;
  std::vector<EtcdOperation> success;
  std::vector<EtcdOperation> failure;
  const auto look_at = [&](std::string_view key) {
    return EtcdOperation{.range = {.key = record_name(key), .keys_only = true}};
  };
  for (const KvCondition& condition : write.conditions) {
    const bool is_absent = condition.kind == KvCondition::Kind::kAbsent;
    const bool is_exists = condition.kind == KvCondition::Kind::kExists;
    compares.push_back({is_absent   ? EtcdCompare::Kind::kAbsent
                        : is_exists ? EtcdCompare::Kind::kExists
                                    : EtcdCompare::Kind::kRevision,
                        record_name(condition.key), condition.version});
    failure.push_back(look_at(condition.key));
  }
  // What leases the records had before.
  for (size_t i = 0; i < looked_at_count; i++) success.push_back(look_at(write.operations[i].key));
  for (size_t i = 0; i < write.operations.size(); i++) {
    const KvOperation& operation = write.operations[i];
    const bool is_put = operation.kind == KvOperation::Kind::kPut;
    success.push_back({is_put ? EtcdOperation::Kind::kPut : EtcdOperation::Kind::kRemove,
                       {.key = record_name(operation.key)},
                       operation.value,
                       leases[i]});
  }
  TRY_ASSIGN(EtcdClient::Answer answer,
             client_.post("kv/txn", encode_etcd_txn(compares, success, failure), Repeat::kNever));
  if (!answer.is_ok()) {
    Error error = client_.error_of(answer.refusal);
    // Else it may have been done, and what is done hangs on them.
    if (error.fault != Fault::kUnavailable) revoke_all(leases);
    if (answer.refusal.code != kEtcdNotFound) return error;
    return Error{Fault::kUnavailable, 0,
                 fmt::format("{}: a time to live was over before the write was done; nothing was "
                             "changed",
                             client_.name())};
  }
  TRY_ASSIGN(EtcdTxnReply reply, decode_etcd_txn(answer.text));
  if (reply.operations.size() != (reply.has_succeeded ? success : failure).size()) {
    return unexpected("an answer to another request");
  }
  return reply;
}

// The first condition that did not hold at that moment.
Error EtcdKv::conflict(const KvWrite& write, const EtcdTxnReply& reply) const {
  for (size_t i = 0; i < write.conditions.size(); i++) {
    const KvCondition& condition = write.conditions[i];
    const auto& records = reply.operations[i].range.records;
    const auto version = records.empty() ? std::nullopt : std::optional(records[0].revision);
    if (!kv_holds(condition, version)) return kv_conflict(condition);
  }
  return Error{Fault::kConflict, 0, client_.name() + ": a condition did not hold"};
}

Result<std::vector<KvOutcome>> EtcdKv::write(const KvWrite& write) {
  for (const KvCondition& condition : write.conditions) {
    // To etcd, what is not there is at revision 0, and a revision is not more than an int64_t.
    const bool is_never = condition.kind == KvCondition::Kind::kVersion &&
                          (condition.version == 0 || condition.version > uint64_t(INT64_MAX));
    if (is_never) return kv_conflict(condition);
  }
  // Leases that are left behind end by themselves; looking for them may make a batch too large.
  size_t looked_at_count =
      std::min(write.operations.size(), kMaxOperationCount - write.operations.size());
  if (request_bytes(write, records_.size(), looked_at_count) > kMaxRequestBytes) {
    looked_at_count = 0;
  }
  const size_t bytes = request_bytes(write, records_.size(), looked_at_count);
  if (bytes > kMaxRequestBytes) {
    return Error{Fault::kTooLarge, 0,
                 fmt::format("{}: a request of {} bytes, and {} is the most that etcd takes; "
                             "nothing was changed",
                             client_.name(), bytes, kMaxRequestBytes),
                 kMaxRequestBytes, bytes};
  }
  TRY_ASSIGN(const std::vector<uint64_t> leases, grant_all(write.operations));
  TRY_ASSIGN(const EtcdTxnReply reply, commit(write, leases, looked_at_count));
  if (!reply.has_succeeded) {
    revoke_all(leases);
    return conflict(write, reply);
  }
  std::vector<KvOutcome> outcomes(write.operations.size());
  for (size_t i = 0; i < outcomes.size(); i++) {
    const bool is_put = write.operations[i].kind == KvOperation::Kind::kPut;
    if (is_put) outcomes[i].version = reply.revision;
    outcomes[i].removed_count = reply.operations[looked_at_count + i].removed_count;
  }
  std::vector<uint64_t> old_leases;
  for (size_t i = 0; i < looked_at_count; i++) {
    for (const EtcdRecord& record : reply.operations[i].range.records) {
      old_leases.push_back(record.lease);
    }
  }
  for (const uint64_t lease : distinct_leases(std::move(old_leases))) revoke_if_unused(lease);
  return outcomes;
}

Result<void> EtcdKv::truncate() {
  const EtcdRange all{.key = records_, .end = kv_prefix_end(records_).value()};
  TRY(client_.call("kv/deleterange", encode_etcd_remove(all), Repeat::kNever));
  return {};
}

Result<KvStats> EtcdKv::stats() {
  TRY_ASSIGN(const EtcdRangeReply counted,
             read({.key = records_, .end = kv_prefix_end(records_).value(), .count_only = true}));
  TRY_ASSIGN(const std::string text, client_.call("maintenance/status", "{}", Repeat::kOnceMore));
  TRY_ASSIGN(const EtcdStatus status, decode_etcd_status(text));
  KvStats stats;
  stats.record_count = counted.count;
  stats.used_bytes = status.used_bytes;  // of the whole of etcd, which may keep other things too
  stats.more.emplace_back("version", status.version);
  stats.more.emplace_back("revision", std::to_string(counted.revision));
  stats.more.emplace_back("file_bytes", std::to_string(status.db_bytes));
  return stats;
}

}  // namespace casdisk
