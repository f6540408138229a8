#include "cas/kv/rocksdb_kv.h"

#include <algorithm>
#include <numeric>

#include "cas/kv/rocksdb_directory.h"

namespace casdisk {
namespace {

// The note is of versions to come, so that it is written once for so many. Those that a process did
// not get to are left out.
constexpr uint64_t kVersionsPerNote = uint64_t(1) << 20;
// Up to so many records are counted, a few dozen milliseconds of work.
constexpr uint64_t kCountedRecords = 100'000;

std::string_view to_text(KvStored stored) {
  return {reinterpret_cast<const char*>(stored.data()), stored.size()};
}

// What decodes to nothing is no garbage: whoever reads it hears of the damage.
bool is_garbage(KvStored stored, uint64_t now_ms) {
  const auto header = decode_kv_header(stored);
  return header.ok() && kv_has_expired(header.value().expires_at_ms, now_ms);
}

}  // namespace

RocksDbKv::RocksDbKv(std::string directory, FileLock lock,
                     std::unique_ptr<RocksDbDatabase> database, KvClock clock,
                     uint64_t last_version)
    : directory_(std::move(directory)),
      lock_(std::move(lock)),
      database_(std::move(database)),
      clock_(std::move(clock)),
      scan_([this](auto prefix, auto after, const KvTake& take) {
        return database_->scan(prefix, after, take);
      }),
      group_commit_([this](auto requests) { commit(requests); }),
      last_version_(last_version),
      noted_version_(last_version) {}

Result<std::unique_ptr<RocksDbKv>> RocksDbKv::open(const std::string& directory,
                                                   const RocksDbKvOptions& options) {
  using Missing = RocksDbDatabase::Missing;
  TRY_ASSIGN(FileLock lock, take_rocksdb_directory(directory, options.may_create));
  const bool is_same_run = is_same_rocksdb_run(directory);
  TRY_ASSIGN(
      auto database,
      RocksDbDatabase::open(directory, options.may_create ? Missing::kIsMade : Missing::kIsAnError,
                            {.cache_bytes = options.cache_bytes,
                             .syncs_writes = options.syncs_writes,
                             .power_may_have_failed = !is_same_run,
                             .is_garbage = [clock = options.clock](KvStored stored) {
                               return is_garbage(stored, clock());
                             }}));
  if (!is_same_run) note_rocksdb_run(directory);  // what was torn is left behind
  TRY_ASSIGN(const Bytes note, database->note());
  uint64_t last_version = 0;
  if (!note.empty()) {
    TRY_ASSIGN(last_version, decode_kv_note(note));
  }
  return std::unique_ptr<RocksDbKv>(
      new RocksDbKv(directory, std::move(lock), std::move(database), options.clock, last_version));
}

Result<bool> RocksDbKv::view(std::string_view key,
                             const std::function<Result<void>(KvStored)>& found) {
  if (key.size() > kLimits.key_bytes) return false;
  bool is_live = false;
  TRY_ASSIGN(const bool is_there, database_->get(key, [&](KvStored stored) -> Result<void> {
    TRY_ASSIGN(const KvHeader header, decode_kv_header(stored));
    is_live = header.expires_at_ms == 0 || !kv_has_expired(header.expires_at_ms, clock_());
    return is_live ? found(stored) : Result<void>();
  }));
  return is_there && is_live;
}

Result<std::optional<KvValue>> RocksDbKv::get(std::string_view key) {
  std::optional<KvValue> value;
  TRY(view(key, [&](KvStored stored) -> Result<void> {
    TRY_ASSIGN(value, decode_kv_value(stored));
    return {};
  }));
  return value;
}

Result<bool> RocksDbKv::exists(std::string_view key) {
  return view(key, [](KvStored) { return Result<void>(); });
}

Result<std::optional<KvValue>> RocksDbKv::get_range(std::string_view key, uint64_t offset,
                                                    size_t bytes) {
  std::optional<KvValue> value;
  TRY(view(key, [&](KvStored stored) -> Result<void> {
    TRY_ASSIGN(value, decode_kv_value(stored, /*with_bytes=*/false));
    const std::string_view all = to_text(stored.subspan(kKvHeaderBytes));
    value->bytes = all.substr(size_t(std::min<uint64_t>(offset, all.size())), bytes);
    return {};
  }));
  return value;
}

Result<KvSlice> RocksDbKv::list(const KvListRequest& request) {
  return kv_list_by_scan(scan_, request, clock_());
}

// Of a record that has expired, too.
Result<std::optional<KvHeader>> RocksDbKv::header_of(std::string_view key) {
  std::optional<KvHeader> header;
  if (key.size() > kLimits.key_bytes) return header;
  TRY(database_->get(key, [&](KvStored stored) -> Result<void> {
    TRY_ASSIGN(header, decode_kv_header(stored));
    return {};
  }));
  return header;
}

Result<std::optional<KvHeader>> RocksDbKv::header_of(std::string_view key, const Group& group) {
  const auto changed = group.changed.find(key);
  return changed == group.changed.end() ? header_of(key) : changed->second;
}

// All that may fail comes first, so that a write which fails leaves the group as it was.
Result<std::vector<KvOutcome>> RocksDbKv::apply(const KvWrite& write, Group& group) {
  const uint64_t now_ms = clock_();
  for (const KvCondition& condition : write.conditions) {
    TRY_ASSIGN(const auto header, header_of(condition.key, group));
    const bool is_live = header && !kv_has_expired(header->expires_at_ms, now_ms);
    if (!kv_holds(condition, is_live ? std::optional(header->version) : std::nullopt)) {
      return kv_conflict(condition);
    }
  }
  std::vector<KvOutcome> outcomes(write.operations.size());
  std::vector<bool> are_there(write.operations.size());
  for (size_t i = 0; i < outcomes.size(); i++) {
    if (write.operations[i].kind == KvOperation::Kind::kPut) continue;
    TRY_ASSIGN(const auto header, header_of(write.operations[i].key, group));
    are_there[i] = header.has_value();
    outcomes[i].removed_count = header && !kv_has_expired(header->expires_at_ms, now_ms) ? 1 : 0;
  }
  for (size_t i = 0; i < outcomes.size(); i++) {
    const KvOperation& operation = write.operations[i];
    if (operation.kind == KvOperation::Kind::kPut) {
      outcomes[i].version = ++last_version_;
      const KvHeader header{last_version_, kv_expiry(operation.ttl_ms, now_ms)};
      group.changes.push_back({operation.key, /*is_removal=*/false, header, operation.value});
      if (group.is_of_several) group.changed.insert_or_assign(operation.key, header);
    } else if (are_there[i]) {
      group.changes.push_back({operation.key, /*is_removal=*/true});
      if (group.is_of_several) group.changed.insert_or_assign(operation.key, std::nullopt);
    }
  }
  return outcomes;
}

Result<std::vector<KvOutcome>> RocksDbKv::write(const KvWrite& write) {
  return group_commit_.write(write);
}

void RocksDbKv::commit(std::span<GroupCommit::Request* const> requests) {
  std::lock_guard lock(write_mutex_);
  auto done = commit_together(requests);
  if (done.ok()) return;
  // What is too much for the space that is left may be one of them alone.
  const bool is_worth_a_try = done.error().fault == Fault::kNoSpace && requests.size() > 1;
  for (GroupCommit::Request* const request : requests) {
    auto outcome = is_worth_a_try ? commit_together({&request, 1}) : done;
    if (!outcome.ok()) request->outcome = std::move(outcome.error());
  }
}

// One write of the database: all are done, those without that failed, or none is.
Result<void> RocksDbKv::commit_together(std::span<GroupCommit::Request* const> requests) {
  Group group{.is_of_several = requests.size() > 1};
  for (GroupCommit::Request* const request : requests) {
    request->outcome = apply(request->write, group);
  }
  return group.changes.empty() ? Result<void>() : put_versions(group.changes);
}

// Versions are not taken back when it fails: what was lost on its way may be found by a recovery.
Result<void> RocksDbKv::put_versions(std::span<const RocksDbChange> changes) {
  Bytes note;
  uint64_t noted = noted_version_;
  if (last_version_ > noted_version_) {
    noted = last_version_ + kVersionsPerNote;
    note = encode_kv_note(noted);
  }
  TRY(database_->write(changes, note));
  noted_version_ = noted;
  return {};
}

Result<void> RocksDbKv::dump(const Visit& visit) { return kv_dump_by_scan(scan_, visit); }

Result<void> RocksDbKv::load(std::span<const KvRecord> records) {
  std::vector<size_t> order(records.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::sort(order, {}, [&](size_t i) -> std::string_view { return records[i].key; });
  std::lock_guard lock(write_mutex_);
  const uint64_t before_first = last_version_;
  last_version_ += records.size();
  const uint64_t noted = last_version_ + kVersionsPerNote;
  size_t done_count = 0;
  const auto next = [&]() -> std::optional<RocksDbChange> {
    if (done_count == order.size()) return std::nullopt;
    const size_t i = order[done_count++];
    const KvRecord& record = records[i];
    const KvHeader header{before_first + 1 + i, record.value.expires_at_ms};
    return RocksDbChange{record.key, /*is_removal=*/false, header, record.value.bytes};
  };
  TRY(database_->replace(next, encode_kv_note(noted)));
  noted_version_ = noted;
  return {};
}

Result<void> RocksDbKv::truncate() { return load({}); }

Result<uint64_t> RocksDbKv::sweep() {
  uint64_t swept_count = 0;
  std::string after;
  do {
    TRY_ASSIGN(const auto expired, kv_expired_by_scan(scan_, clock_(), after));
    TRY_ASSIGN(const uint64_t removed_count, remove_expired(expired));
    swept_count += removed_count;
  } while (!after.empty());
  return swept_count;
}

// Those that nobody has made anew, or removed, meanwhile.
Result<uint64_t> RocksDbKv::remove_expired(std::span<const std::string> keys) {
  if (keys.empty()) return uint64_t(0);
  std::lock_guard lock(write_mutex_);
  const uint64_t now_ms = clock_();
  std::vector<RocksDbChange> removals;
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto header, header_of(key));
    if (!header || !kv_has_expired(header->expires_at_ms, now_ms)) continue;
    removals.push_back({key, /*is_removal=*/true});
  }
  if (!removals.empty()) TRY(database_->write(removals, {}));
  return uint64_t(removals.size());
}

Result<void> RocksDbKv::snapshot(const std::string& path) {
  std::lock_guard lock(write_mutex_);
  return publish_rocksdb_copy(path,
                              [&](const std::string& at) { return database_->checkpoint(at); });
}

Result<void> RocksDbKv::compact() { return database_->compact(); }

// Nothing when there are more than `most`.
Result<std::optional<uint64_t>> RocksDbKv::count_records(uint64_t most) {
  uint64_t count = 0;
  TRY(database_->scan({}, {},
                      [&](std::string_view, KvStored) -> Result<bool> { return ++count <= most; }));
  return count <= most ? std::optional(count) : std::nullopt;
}

Result<KvStats> RocksDbKv::stats() {
  TRY_ASSIGN(const RocksDbInfo info, database_->info());
  TRY_ASSIGN(const auto counted, count_records(kCountedRecords));
  KvStats stats;
  stats.record_count = counted ? *counted : std::max(info.estimated_count, kCountedRecords);
  stats.used_bytes = rocksdb_directory_bytes(directory_);
  for (const auto& [name, bytes] : info.bytes) stats.more.emplace_back(name, std::to_string(bytes));
  stats.more.emplace_back("record_count", counted ? "counted" : "estimated");
  return stats;
}

}  // namespace casdisk
