#include "cas/kv/kv_store.h"

#include <fmt/format.h>

#include <chrono>
#include <set>

#include "cas/kv/kv_cursor.h"
#include "cas/kv/kv_pause.h"

namespace casdisk {
namespace {

// What one page may take in memory, unless a single record is larger.
constexpr size_t kPageBytes = size_t(4) << 20;

// Runs body(timing) and tells the hook, if there is one.
template <typename Body>
auto timed(const KvStoreSettings& settings, KvTiming timing, Body body) {
  if (!settings.on_operation) return body(timing);
  const auto begin = std::chrono::steady_clock::now();
  auto outcome = body(timing);
  const auto end = std::chrono::steady_clock::now();
  timing.microseconds =
      uint64_t(std::chrono::duration_cast<std::chrono::microseconds>(end - begin).count());
  if (!outcome.ok()) timing.fault = outcome.error().fault;
  settings.on_operation(timing);
  return outcome;
}

}  // namespace

KvStore::KvStore(std::unique_ptr<KvBackend> backend, const KvLimits& limits,
                 KvCapabilities capabilities, KvStoreSettings settings)
    : backend_(std::move(backend)),
      settings_(std::move(settings)),
      checks_(settings_.name, limits, capabilities) {}

KvStore::~KvStore() = default;

Result<std::optional<KvValue>> KvStore::get(std::string_view key) {
  TRY(checks_.sought_key(key));
  return timed(settings_, {.operation = "get", .key_bytes = key.size()},
               [&](KvTiming& timing) -> Result<std::optional<KvValue>> {
                 TRY_ASSIGN(auto value, backend_->get(key));
                 if (value) timing.value_bytes = value->bytes.size();
                 timing.count = value ? 1 : 0;
                 return value;
               });
}

Result<std::optional<KvValue>> KvStore::get_range(std::string_view key, uint64_t offset,
                                                  size_t bytes) {
  TRY(checks_.sought_key(key));
  return timed(settings_, {.operation = "get_range", .key_bytes = key.size()},
               [&](KvTiming& timing) -> Result<std::optional<KvValue>> {
                 TRY_ASSIGN(auto value, backend_->get_range(key, offset, bytes));
                 if (value) timing.value_bytes = value->bytes.size();
                 timing.count = value ? 1 : 0;
                 return value;
               });
}

Result<bool> KvStore::exists(std::string_view key) {
  TRY(checks_.sought_key(key));
  return timed(settings_, {.operation = "exists", .key_bytes = key.size()},
               [&](KvTiming& timing) -> Result<bool> {
                 TRY_ASSIGN(const bool is_there, backend_->exists(key));
                 timing.count = is_there ? 1 : 0;
                 return is_there;
               });
}

Error KvStore::named(Error error) const {
  if (!error.context.starts_with(name())) error.context = name() + ": " + error.context;
  return error;
}

Result<std::vector<KvOutcome>> KvStore::write(const KvWrite& write, KvTiming& timing) {
  auto done = backend_->write(write);
  if (!done.ok() && done.error().fault == Fault::kConflict) return named(std::move(done.error()));
  TRY_ASSIGN(auto outcomes, std::move(done));
  CHECK(outcomes.size() == write.operations.size());
  timing.count = outcomes.size();
  return outcomes;
}

Result<uint64_t> KvStore::put(std::string_view key, std::string_view value,
                              const KvPutOptions& options) {
  const KvOperation operation{KvOperation::Kind::kPut, key, value, options.ttl_ms};
  KvCondition conditions[2];
  size_t condition_count = 0;
  if (options.if_absent) conditions[condition_count++] = {KvCondition::Kind::kAbsent, key};
  if (options.if_version) {
    conditions[condition_count++] = {KvCondition::Kind::kVersion, key, *options.if_version};
  }
  const KvWrite request{{&operation, 1}, {conditions, condition_count}};
  if (condition_count == 2)
    return checks_.invalid("put: if absent, and at a version: only one can hold");
  TRY(checks_.write(request));
  return timed(settings_,
               {.operation = "put",
                .key_bytes = key.size(),
                .value_bytes = value.size(),
                .ttl_ms = options.ttl_ms},
               [&](KvTiming& timing) -> Result<uint64_t> {
                 TRY_ASSIGN(const auto outcomes, write(request, timing));
                 return outcomes[0].version;
               });
}

Result<void> KvStore::append(std::span<const KvRecord> records) {
  TRY(checks_.need(KvCapability::kAppend, "append"));
  std::vector<KvOperation> puts;
  size_t value_bytes = 0;
  for (const KvRecord& record : records) {
    TRY(checks_.record(record.key, record.value.bytes));
    if (record.value.expires_at_ms != 0) return checks_.invalid("append: of a record that expires");
    puts.push_back({KvOperation::Kind::kPut, record.key, record.value.bytes});
    value_bytes += record.value.bytes.size();
  }
  if (puts.empty()) return {};
  return timed(settings_, {.operation = "append", .value_bytes = value_bytes, .count = puts.size()},
               [&](KvTiming&) { return backend_->append(puts); });
}

Result<bool> KvStore::remove(std::string_view key, std::optional<uint64_t> if_version) {
  const KvOperation operation{KvOperation::Kind::kRemove, key};
  const KvCondition condition{KvCondition::Kind::kVersion, key, if_version.value_or(0)};
  const KvWrite request{{&operation, 1}, {&condition, size_t(if_version ? 1 : 0)}};
  TRY(checks_.write(request));
  return timed(settings_, {.operation = "remove", .key_bytes = key.size()},
               [&](KvTiming& timing) -> Result<bool> {
                 TRY_ASSIGN(const auto outcomes, write(request, timing));
                 timing.count = outcomes[0].removed_count;
                 return outcomes[0].removed_count > 0;
               });
}

Result<uint64_t> KvStore::remove_many(std::span<const std::string> keys) {
  const std::set<std::string_view> distinct(keys.begin(), keys.end());
  for (const std::string_view key : distinct) TRY(checks_.sought_key(key));
  const bool has_batch = capabilities().has(KvCapability::kBatch);
  const size_t most = has_batch ? limits().operation_count : 1;
  return timed(settings_, {.operation = "remove_many"}, [&](KvTiming& timing) -> Result<uint64_t> {
    uint64_t removed_count = 0;
    std::vector<KvOperation> batch;
    size_t batch_bytes = 0;
    const auto flush = [&]() -> Result<void> {
      if (batch.empty()) return {};
      TRY_ASSIGN(const auto outcomes, write({batch}, timing));
      for (const KvOutcome& outcome : outcomes) removed_count += outcome.removed_count;
      batch.clear();
      batch_bytes = 0;
      return {};
    };
    for (const std::string_view key : distinct) {
      if (batch.size() == most || batch_bytes + key.size() > limits().write_bytes) TRY(flush());
      batch.push_back({KvOperation::Kind::kRemove, key});
      batch_bytes += key.size();
    }
    TRY(flush());
    timing.count = removed_count;
    return removed_count;
  });
}

Result<std::vector<KvOutcome>> KvStore::write(const KvBatch& batch) {
  if (batch.empty()) return std::vector<KvOutcome>();
  const KvWrite request{batch.operations(), batch.conditions()};
  TRY(checks_.write(request));
  return timed(settings_, {.operation = "write"},
               [&](KvTiming& timing) { return write(request, timing); });
}

Result<KvPage> KvStore::list(std::string_view prefix, const KvListOptions& options) {
  TRY(checks_.prefix(prefix));
  if (options.limit_count < 1 || options.limit_count > kMaxKvPageCount) {
    return checks_.invalid(fmt::format("list: a page of {} records; it has 1 to {}",
                                       options.limit_count, kMaxKvPageCount));
  }
  std::string after;
  if (options.cursor) {
    auto decoded = decode_kv_cursor(prefix, *options.cursor);
    if (!decoded.ok()) return named(std::move(decoded.error()));
    after = std::move(decoded.value());
  }
  return timed(
      settings_, {.operation = "list", .key_bytes = prefix.size()},
      [&](KvTiming& timing) -> Result<KvPage> {
        KvPage page;
        // What lies between may be any number of records that have expired.
        do {
          TRY_ASSIGN(KvSlice slice, backend_->list({.prefix = prefix,
                                                    .after = after,
                                                    .limit_count = options.limit_count,
                                                    .limit_bytes = kPageBytes,
                                                    .with_values = options.with_values}));
          if (!slice.after.empty() && slice.after <= after) {
            return Error{Fault::kDamaged, 0, name() + ": list: the store answers out of order"};
          }
          after = std::move(slice.after);
          page.records = std::move(slice.records);
        } while (page.records.empty() && !after.empty());
        if (!after.empty()) page.cursor = encode_kv_cursor(prefix, after);
        timing.count = page.records.size();
        for (const KvRecord& record : page.records) timing.value_bytes += record.value.bytes.size();
        return page;
      });
}

Result<void> KvStore::visit(std::string_view prefix, const KvBackend::Visit& visit) {
  KvListOptions options;
  do {
    TRY_ASSIGN(KvPage page, list(prefix, options));
    for (const KvRecord& record : page.records) TRY(visit(record));
    options.cursor = std::move(page.cursor);
  } while (options.cursor);
  return {};
}

Result<KvValue> KvStore::read_modify_write(std::string_view key, std::string_view missing,
                                           const Change& change, uint64_t ttl_ms) {
  TRY(checks_.need(KvCapability::kVersions, "read, modify, write"));
  for (int tried = 0; tried < kMaxKvTries; tried++) {
    pause_before_kv_try(tried);
    TRY_ASSIGN(const auto old, get(key));
    TRY_ASSIGN(std::string bytes, change(old ? std::string_view(old->bytes) : missing));
    KvPutOptions options{.if_absent = !old, .ttl_ms = ttl_ms};
    if (old) options.if_version = old->version;
    auto version = put(key, bytes, options);
    if (version.ok()) return KvValue{std::move(bytes), version.value()};
    if (version.error().fault != Fault::kConflict) return std::move(version.error());
  }
  return Error{Fault::kConflict, 0,
               fmt::format("{}: key {}: others were faster {} times in a row; try again later",
                           name(), kv_quote(key), kMaxKvTries),
               uint64_t(kMaxKvTries), uint64_t(kMaxKvTries)};
}

Result<void> KvStore::dump(const KvBackend::Visit& visit) {
  return timed(settings_, {.operation = "dump"}, [&](KvTiming& timing) {
    return backend_->dump([&](const KvRecord& record) {
      timing.count++;
      timing.value_bytes += record.value.bytes.size();
      return visit(record);
    });
  });
}

Result<void> KvStore::load(std::span<const KvRecord> records) {
  TRY(checks_.load(records));
  return timed(settings_, {.operation = "load", .count = records.size()},
               [&](KvTiming&) { return backend_->load(records); });
}

Result<void> KvStore::truncate() {
  return timed(settings_, {.operation = "truncate"},
               [&](KvTiming&) { return backend_->truncate(); });
}

Result<bool> KvStore::is_stale() {
  if (!capabilities().has(KvCapability::kStale)) return false;
  return timed(settings_, {.operation = "is_stale"},
               [&](KvTiming&) { return backend_->is_stale(); });
}

Result<bool> KvStore::truncate_if_stale() {
  if (!capabilities().has(KvCapability::kStale)) return false;
  return timed(settings_, {.operation = "truncate_if_stale"},
               [&](KvTiming&) { return backend_->truncate_if_stale(); });
}

Result<uint64_t> KvStore::sweep() {
  return timed(settings_, {.operation = "sweep"}, [&](KvTiming& timing) -> Result<uint64_t> {
    TRY_ASSIGN(timing.count, backend_->sweep());
    return timing.count;
  });
}

Result<void> KvStore::snapshot(const std::string& path) {
  TRY(checks_.need(KvCapability::kSnapshot, "snapshot"));
  return timed(settings_, {.operation = "snapshot"},
               [&](KvTiming&) { return backend_->snapshot(path); });
}

Result<void> KvStore::compact() {
  TRY(checks_.need(KvCapability::kCompact, "compact"));
  return timed(settings_, {.operation = "compact"}, [&](KvTiming&) { return backend_->compact(); });
}

Result<KvStats> KvStore::stats() {
  return timed(settings_, {.operation = "stats"}, [&](KvTiming&) { return backend_->stats(); });
}

}  // namespace casdisk
