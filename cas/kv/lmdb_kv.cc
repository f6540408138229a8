#include "cas/kv/lmdb_kv.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "cas/kv/kv_record_format.h"
#include "cas/os/posix_file_system.h"

namespace casdisk {
namespace {

std::string_view to_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What a write with a TTL looks at beside its own keys.
constexpr size_t kSweptAlongCount = 16;

// What the removal of everything takes in a store that is full: the list of its free pages, 8 bytes
// of each 4096, written anew once or twice, and the pages above the removed ones.
uint64_t capacity_to_remove_in(uint64_t stored_bytes) {
  return stored_bytes + stored_bytes / 128 + (uint64_t(1) << 20);
}

// A directory is there after a power cut if its parent is synced; whoever made it may have died
// before that, or may not let us look there.
Result<void> make_directory(const std::string& directory) {
  const bool is_made = ::mkdir(directory.c_str(), 0700) == 0;
  if (!is_made && errno != EEXIST) return os_error(errno, directory);
  auto parent = PosixDirectory::open_path(directory + "/..");
  if (parent.ok()) return parent.value()->sync();
  return is_made ? std::move(parent.error()) : Result<void>();
}

// The note is the last version given.
Result<uint64_t> last_version_of(LmdbReader& reader) {
  TRY_ASSIGN(const auto note, reader.note());
  if (note.empty()) return uint64_t(0);
  return decode_kv_note(note);
}

Error not_ours(const std::string& directory) {
  return Error{Fault::kInvalid, 0,
               directory + ": an LMDB environment that is not a key-value store of this version"};
}

}  // namespace

LmdbKv::LmdbKv(std::unique_ptr<LmdbEnvironment> environment, const LmdbKvOptions& options)
    : environment_(std::move(environment)),
      clock_(options.clock),
      is_to_remove_(options.is_to_remove),
      scan_([this](auto prefix, auto after, const KvTake& take) {
        return scan(prefix, after, take);
      }),
      group_commit_([this](auto group) { commit(group); }) {}

// LMDB gives away what a commit freed from the next but one on. Who has no more room than a full
// store would never get there, so one of the commits is ours.
LmdbKv::~LmdbKv() {
  if (!is_to_remove_) return;
  (void)environment_->update([](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(const uint64_t last_version, last_version_of(writer));
    return last_version == 0 ? Result<void>() : writer.put_note(encode_kv_note(last_version));
  });
}

Result<std::unique_ptr<LmdbKv>> LmdbKv::open(const std::string& directory,
                                             const LmdbKvOptions& options) {
  struct stat status;
  const std::string data_file = directory + "/data.mdb";
  const bool is_there = ::stat(data_file.c_str(), &status) == 0;
  if (!options.may_create && !is_there) return os_error(errno, data_file);
  if (!is_there) TRY(make_directory(directory));
  uint64_t capacity_bytes = options.capacity_bytes;
  if (options.is_to_remove && is_there) {
    capacity_bytes = std::max(capacity_bytes, capacity_to_remove_in(uint64_t(status.st_size)));
  }
  TRY_ASSIGN(auto environment,
             LmdbEnvironment::open(directory, {.map_bytes = capacity_bytes,
                                               .remedy = "restore it from a backup",
                                               .has_note = true,
                                               .may_make_table = options.may_create,
                                               .sync = options.sync}));
  TRY(environment->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(const auto note, reader.note());
    TRY_ASSIGN(const uint64_t count, reader.count());
    if (!note.empty()) return last_version_of(reader).ok() ? Result<void>() : not_ours(directory);
    return count == 0 ? Result<void>() : not_ours(directory);
  }));
  return std::unique_ptr<LmdbKv>(new LmdbKv(std::move(environment), options));
}

Result<void> LmdbKv::view(std::string_view key, const std::function<Result<void>(Stored)>& found) {
  if (key.size() > kLimits.key_bytes) return {};
  return environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(const auto stored, find_live(reader, key));
    return stored ? found(*stored) : Result<void>();
  });
}

Result<std::optional<LmdbKv::Stored>> LmdbKv::find_live(LmdbReader& reader,
                                                        std::string_view key) const {
  if (key.size() > kLimits.key_bytes) return std::optional<Stored>();
  TRY_ASSIGN(auto stored, reader.get(as_bytes(key)));
  if (!stored) return stored;
  TRY_ASSIGN(const KvHeader header, decode_kv_header(*stored));
  if (header.expires_at_ms != 0 && kv_has_expired(header.expires_at_ms, clock_())) stored.reset();
  return stored;
}

Result<std::optional<KvValue>> LmdbKv::get(std::string_view key) {
  std::optional<KvValue> value;
  TRY(view(key, [&](Stored stored) -> Result<void> {
    TRY_ASSIGN(value, decode_kv_value(stored));
    return {};
  }));
  return value;
}

Result<bool> LmdbKv::exists(std::string_view key) {
  bool is_there = false;
  TRY(view(key, [&](Stored) -> Result<void> {
    is_there = true;
    return {};
  }));
  return is_there;
}

Result<std::optional<KvValue>> LmdbKv::get_range(std::string_view key, uint64_t offset,
                                                 size_t bytes) {
  std::optional<KvValue> value;
  TRY(view(key, [&](Stored stored) -> Result<void> {
    TRY_ASSIGN(value, decode_kv_value(stored, /*with_bytes=*/false));
    const std::string_view all = to_text(stored.subspan(kKvHeaderBytes));
    value->bytes = all.substr(size_t(std::min<uint64_t>(offset, all.size())), bytes);
    return {};
  }));
  return value;
}

Result<KvSlice> LmdbKv::list(const KvListRequest& request) {
  if (request.prefix.size() > kLimits.key_bytes) return KvSlice();
  return kv_list_by_scan(scan_, request, clock_());
}

// What begins with `prefix` behind the key `after`, in one read transaction, until `take` says no.
Result<void> LmdbKv::scan(std::string_view prefix, std::string_view after,
                          const KvTake& take) const {
  Result<void> taken;
  const auto visit = [&](Stored key, Stored stored) {
    if (to_text(key) == after) return true;
    auto goes_on = take(to_text(key), stored);
    if (goes_on.ok()) return goes_on.value();
    taken = std::move(goes_on.error());
    return false;
  };
  TRY(environment_->view(
      [&](LmdbReader& reader) { return reader.scan(as_bytes(prefix), as_bytes(after), visit); }));
  return taken;
}

Result<bool> LmdbKv::holds(LmdbReader& reader, const KvCondition& condition) const {
  TRY_ASSIGN(const auto stored, find_live(reader, condition.key));
  if (!stored) return kv_holds(condition, std::nullopt);
  TRY_ASSIGN(const KvHeader header, decode_kv_header(*stored));
  return kv_holds(condition, header.version);
}

// An error is the transaction's, which is lost then; a conflict has changed nothing.
Result<std::vector<KvOutcome>> LmdbKv::apply(LmdbWriter& writer, const KvWrite& write,
                                             uint64_t& last_version) const {
  for (const KvCondition& condition : write.conditions) {
    TRY_ASSIGN(const bool is_held, holds(writer, condition));
    if (!is_held) return kv_conflict(condition);
  }
  std::vector<KvOutcome> outcomes(write.operations.size());
  for (size_t i = 0; i < write.operations.size(); i++) {
    const KvOperation& operation = write.operations[i];
    if (operation.kind == KvOperation::Kind::kPut) {
      outcomes[i].version = ++last_version;
      const KvHeader header{last_version, kv_expiry(operation.ttl_ms, clock_())};
      TRY(writer.put(as_bytes(operation.key), encode_kv_value(header, operation.value)));
      continue;
    }
    if (operation.key.size() > kLimits.key_bytes) continue;
    TRY_ASSIGN(const auto stored, find_live(writer, operation.key));
    outcomes[i].removed_count = stored ? 1 : 0;
    TRY(writer.remove(as_bytes(operation.key)));
  }
  return outcomes;
}

Result<std::vector<KvOutcome>> LmdbKv::write(const KvWrite& write) {
  return group_commit_.write(write);
}

void LmdbKv::commit(std::span<GroupCommit::Request* const> group) {
  auto done = commit_together(group, SweepAlong::kYes);
  if (done.ok()) return;
  // What is too much for the space that is left, or meets a damaged record, may be one of them
  // alone, or what was swept along.
  const Fault fault = done.error().fault;
  const bool is_worth_a_try = fault == Fault::kNoSpace || fault == Fault::kDamaged;
  for (GroupCommit::Request* const request : group) {
    auto outcome = is_worth_a_try ? commit_together({&request, 1}, SweepAlong::kNo) : done;
    if (!outcome.ok()) request->outcome = std::move(outcome.error());
  }
}

// Where nobody sweeps, records that expire would else stay for ever. From the key on that is
// written, and then from where the one before ended, so that a process that writes for long gets to
// all of them, and many short ones do.
Result<void> LmdbKv::sweep_along(LmdbWriter& writer, std::string_view key) {
  const uint64_t now_ms = clock_();
  std::vector<std::string> expired;
  std::string from = swept_to_.value_or(std::string(key));
  size_t looked_at = 0;
  const auto look = [&](Stored found, Stored stored) {
    const auto header = decode_kv_header(stored);
    from = to_text(found);
    from += '\0';
    if (header.ok() && kv_has_expired(header.value().expires_at_ms, now_ms)) {
      expired.emplace_back(to_text(found));
    }
    return ++looked_at < kSweptAlongCount;
  };
  TRY(writer.scan({}, as_bytes(from), look));
  if (looked_at < kSweptAlongCount) TRY(writer.scan({}, {}, look));  // that was the end
  swept_to_ = std::move(from);
  for (const std::string& one : expired) TRY(writer.remove(as_bytes(one)));
  return {};
}

// One transaction: all are done, those without whose conditions do not hold, or none is.
Result<void> LmdbKv::commit_together(std::span<GroupCommit::Request* const> group,
                                     SweepAlong sweeps) {
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(const uint64_t first_version, last_version_of(writer));
    uint64_t last_version = first_version;
    const KvOperation* expiring = nullptr;
    for (GroupCommit::Request* const request : group) {
      request->outcome = apply(writer, request->write, last_version);
      const bool is_conflict =
          !request->outcome.ok() && request->outcome.error().fault == Fault::kConflict;
      if (!request->outcome.ok() && !is_conflict) return request->outcome.error();
      for (const KvOperation& one : request->write.operations) {
        if (one.ttl_ms != 0 && !is_conflict) expiring = &one;
      }
    }
    if (expiring != nullptr && sweeps == SweepAlong::kYes) TRY(sweep_along(writer, expiring->key));
    if (last_version != first_version) TRY(writer.put_note(encode_kv_note(last_version)));
    return {};
  });
}

Result<void> LmdbKv::dump(const Visit& visit) { return kv_dump_by_scan(scan_, visit); }

Result<void> LmdbKv::load(std::span<const KvRecord> records) {
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(uint64_t last_version, last_version_of(writer));
    TRY(writer.clear());
    for (const KvRecord& record : records) {
      const KvHeader header{++last_version, record.value.expires_at_ms};
      TRY(writer.put(as_bytes(record.key), encode_kv_value(header, record.value.bytes)));
    }
    return writer.put_note(encode_kv_note(last_version));
  });
}

Result<void> LmdbKv::truncate() { return load({}); }

Result<uint64_t> LmdbKv::sweep() {
  uint64_t swept_count = 0;
  std::string after;
  do {
    TRY_ASSIGN(const auto expired, kv_expired_by_scan(scan_, clock_(), after));
    if (expired.empty()) continue;
    uint64_t removed_count = 0;
    TRY(environment_->update([&](LmdbWriter& writer) -> Result<void> {
      removed_count = 0;
      for (const std::string& key : expired) {
        // Somebody may have made it anew meanwhile.
        TRY_ASSIGN(const auto live, find_live(writer, key));
        if (live) continue;
        TRY_ASSIGN(const bool was_there, writer.remove(as_bytes(key)));
        removed_count += was_there ? 1 : 0;
      }
      return {};
    }));
    swept_count += removed_count;
  } while (!after.empty());
  return swept_count;
}

Result<void> LmdbKv::snapshot(const std::string& path) { return environment_->copy_to(path); }

Result<void> LmdbKv::compact() { return environment_->compact(); }

Result<KvStats> LmdbKv::stats() {
  KvStats stats;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(stats.record_count, reader.count());
    return {};
  }));
  TRY_ASSIGN(const LmdbInfo info, environment_->info());
  stats.used_bytes = info.used_bytes;
  stats.capacity_bytes = info.map_bytes;
  stats.more.emplace_back("readers", std::to_string(info.reader_count));
  return stats;
}

}  // namespace casdisk
