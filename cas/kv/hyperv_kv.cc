#include "cas/kv/hyperv_kv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>

#include "cas/os/posix_file_system.h"
#include "cas/os/utf8.h"

namespace casdisk {
namespace {

using Records = std::map<std::string, std::string, std::less<>>;

Result<std::optional<std::string>> find(const HypervPool& pool, std::string_view key) {
  std::optional<std::string> value;
  TRY(pool.visit([&](uint64_t, const HypervRecord& record) {
    if (record.key == key) value = record.value;
    return Result<void>();
  }));
  return value;
}

// When the machine started, in whole seconds since 1970.
Result<int64_t> boot_time() {
  constexpr std::string_view kWord = "btime ";
  std::FILE* file = std::fopen("/proc/stat", "re");
  if (file == nullptr) return os_error(errno, "/proc/stat, which says when the machine started");
  char line[256];
  int64_t seconds = -1;
  while (seconds < 0 && std::fgets(line, sizeof line, file) != nullptr) {
    const std::string_view text = line;
    if (!text.starts_with(kWord)) continue;
    std::from_chars(text.data() + kWord.size(), text.data() + text.size(), seconds);
  }
  std::fclose(file);
  if (seconds >= 0) return seconds;
  return Error{Fault::kUnsupported, 0, "/proc/stat: no line btime, so nobody knows what is stale"};
}

Result<bool> is_stale_file(const File& file) {
  TRY_ASSIGN(const FileIdentity identity, file.identity());
  TRY_ASSIGN(const int64_t booted, boot_time());
  return identity.mtime_ns / 1'000'000'000 < booted;
}

}  // namespace

Result<std::unique_ptr<HypervKv>> HypervKv::open(const HypervLocation& location,
                                                 const HypervKvOptions& options) {
  TRY_ASSIGN(auto directory, PosixDirectory::open_path(location.directory));
  if (!options.may_create) {
    TRY_ASSIGN(const auto file, directory->open(location.file_name(), OpenMode::kRead));
  }
  return std::unique_ptr<HypervKv>(new HypervKv(std::move(directory), location, options));
}

// Whoever removed the file and made another one meanwhile has us look again.
Result<std::unique_ptr<File>> HypervKv::open_locked(OpenMode mode, HypervLock kind) {
  for (;;) {
    TRY_ASSIGN(auto file, directory_->open(location_.file_name(), mode));
    TRY(lock_hyperv_pool(*file, kind, options_.patience));
    if (is_current_file(*file)) return file;
  }
}

// Null where there is none, which reads as empty.
Result<std::unique_ptr<File>> HypervKv::open_to_read() {
  auto file = open_locked(OpenMode::kRead, HypervLock::kShared);
  if (!file.ok() && file.error().fault == Fault::kNotFound) return std::unique_ptr<File>();
  return file;
}

// Null where there is none and it is not to be made.
Result<std::unique_ptr<File>> HypervKv::open_to_write(Missing missing) {
  if (is_poisoned_) {
    return Error{Fault::kPoisoned, 0,
                 location_.path() +
                     ": an earlier sync failed, so that what was written may be lost; look at the "
                     "device, and open the pool anew"};
  }
  const bool is_made = missing == Missing::kIsMade;
  auto file =
      open_locked(is_made ? OpenMode::kCreateAny : OpenMode::kWrite, HypervLock::kExclusive);
  if (!file.ok() && file.error().fault == Fault::kNotFound && !is_made) {
    return std::unique_ptr<File>();
  }
  if (!file.ok() || !is_made) return file;
  // Whoever made it may have been cut off before its name was on the device.
  TRY_ASSIGN(const uint64_t size_bytes, file.value()->size());
  if (size_bytes == 0) TRY(settled(directory_->sync()));
  return file;
}

template <typename T>
Result<T> HypervKv::settled(Result<T> outcome) {
  if (!outcome.ok() && outcome.error().fault == Fault::kPoisoned) is_poisoned_ = true;
  return outcome;
}

Result<std::optional<KvValue>> HypervKv::get(std::string_view key) {
  TRY_ASSIGN(const auto file, open_to_read());
  if (!file) return std::optional<KvValue>();
  TRY_ASSIGN(auto value, find(HypervPool(*file), key));
  return value ? std::optional(KvValue{std::move(*value)}) : std::nullopt;
}

// The file is in no order: of all its keys those stay in memory that come first.
Result<KvSlice> HypervKv::list(const KvListRequest& request) {
  TRY_ASSIGN(const auto file, open_to_read());
  if (!file) return KvSlice();
  Records first;
  bool are_there_more = false;
  TRY(HypervPool(*file).visit([&](uint64_t, const HypervRecord& record) {
    const bool is_wanted = record.key.starts_with(request.prefix) && record.key > request.after;
    if (!is_wanted) return Result<void>();
    const auto place = first.insert_or_assign(std::string(record.key), "").first;
    if (request.with_values) place->second = record.value;
    if (first.size() > request.limit_count) {
      first.erase(std::prev(first.end()));
      are_there_more = true;
    }
    return Result<void>();
  }));
  KvSlice slice;
  size_t bytes = 0;
  for (auto& [key, value] : first) {
    if (bytes >= request.limit_bytes) {
      are_there_more = true;
      break;
    }
    bytes += key.size() + value.size();
    slice.records.push_back({key, {std::move(value)}});
  }
  if (are_there_more) slice.after = slice.records.back().key;
  return slice;
}

// The host refuses a whole request for one such byte.
Result<void> HypervKv::check_text(std::string_view key, std::string_view value) const {
  if (location_.limits == HypervLimits::kWire) return {};
  const bool is_key = !is_utf8(key);
  if (!is_key && is_utf8(value)) return {};
  return Error{Fault::kInvalid, 0,
               fmt::format("{}: key {}: {} is not UTF-8, which the host refuses", location_.path(),
                           kv_quote(key), is_key ? "it" : "its value")};
}

Result<std::vector<KvOutcome>> HypervKv::write_one(const KvWrite& write) {
  const KvOperation& operation = write.operations[0];
  const bool is_put = operation.kind == KvOperation::Kind::kPut;
  if (is_put) TRY(check_text(operation.key, operation.value));
  const bool wants_it_there = std::ranges::any_of(write.conditions, [](const KvCondition& one) {
    return one.kind == KvCondition::Kind::kExists;
  });
  const bool may_make_it = is_put && !wants_it_there;
  TRY_ASSIGN(const auto file, open_to_write(may_make_it ? Missing::kIsMade : Missing::kStays));
  std::vector<KvOutcome> outcomes(1);
  for (const KvCondition& condition : write.conditions) {
    std::optional<uint64_t> version;
    if (file) {
      TRY_ASSIGN(const auto value, find(HypervPool(*file), condition.key));
      if (value) version = 0;  // pools have no versions
    }
    if (!kv_holds(condition, version)) return kv_conflict(condition);
  }
  if (!file) return outcomes;
  HypervPool pool(*file);
  if (is_put) {
    TRY(pool.put({operation.key, operation.value}));
  } else {
    TRY_ASSIGN(outcomes[0].removed_count, pool.remove(operation.key));
  }
  return outcomes;
}

Result<std::vector<KvOutcome>> HypervKv::write(const KvWrite& write) {
  CHECK(write.operations.size() == 1);  // kLimits.operation_count
  return settled(write_one(write));
}

Result<void> HypervKv::append(std::span<const KvOperation> puts) {
  std::vector<HypervRecord> records;
  records.reserve(puts.size());
  for (const KvOperation& put : puts) {
    TRY(check_text(put.key, put.value));
    records.push_back({put.key, put.value});
  }
  TRY_ASSIGN(const auto file, open_to_write(Missing::kIsMade));
  return settled(HypervPool(*file).append(records));
}

Result<void> HypervKv::load(std::span<const KvRecord> records) {
  std::vector<HypervRecord> fresh;
  fresh.reserve(records.size());
  for (const KvRecord& record : records) {
    TRY(check_text(record.key, record.value.bytes));
    fresh.push_back({record.key, record.value.bytes});
  }
  TRY_ASSIGN(const auto file, open_to_write(fresh.empty() ? Missing::kStays : Missing::kIsMade));
  if (!file) return {};
  return settled(HypervPool(*file).load(fresh));
}

// `visit` may take its time, and call the store: the lock is free by then.
Result<void> HypervKv::dump(const Visit& visit) {
  std::vector<KvRecord> records;
  {
    TRY_ASSIGN(const auto file, open_to_read());
    if (!file) return {};
    TRY(HypervPool(*file).visit([&](uint64_t, const HypervRecord& record) -> Result<void> {
      if (records.size() == kMaxHypervRecords) {
        return hyperv_too_many_records(location_.path(), records.size() + 1);
      }
      records.push_back({std::string(record.key), {std::string(record.value)}});
      return {};
    }));
  }
  for (const KvRecord& record : records) TRY(visit(record));
  return {};
}

Result<void> HypervKv::truncate() {
  TRY_ASSIGN(const auto file, open_to_write(Missing::kStays));
  if (!file) return {};
  return settled(HypervPool(*file).clear());
}

Result<bool> HypervKv::is_stale() {
  TRY_ASSIGN(const auto file, open_to_read());
  if (!file) return false;
  return is_stale_file(*file);
}

Result<bool> HypervKv::truncate_if_stale() {
  TRY_ASSIGN(const auto file, open_to_write(Missing::kStays));
  if (!file) return false;
  TRY_ASSIGN(const bool is_stale, is_stale_file(*file));
  if (is_stale) TRY(settled(HypervPool(*file).clear()));
  return is_stale;
}

Result<KvStats> HypervKv::stats() {
  TRY_ASSIGN(const auto file, open_to_read());
  HypervPool::Shape shape;
  if (file) {
    TRY_ASSIGN(shape, HypervPool(*file).scan(
                          [](uint64_t, const HypervRecord&) { return Result<void>(); }));
  }
  return KvStats{
      .record_count = shape.record_count(),
      .used_bytes = shape.slot_count * kHypervRecordBytes + shape.torn_bytes,
      .more = {{"pool", std::string(hyperv_pool_name(location_.pool))},
               {"path", location_.path()},
               {"records without a key", std::to_string(shape.nameless_count)},
               {"bytes of a torn record", std::to_string(shape.torn_bytes)}},
  };
}

}  // namespace casdisk
