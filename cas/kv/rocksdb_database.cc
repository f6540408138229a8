#include "cas/kv/rocksdb_database.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/utilities/checkpoint.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <shared_mutex>
#include <system_error>

#include "cas/kv/key_codec.h"
#include "cas/kv/rocksdb_error.h"

namespace casdisk {
namespace {

using rocksdb::ColumnFamilyHandle;
using rocksdb::Status;

// What writes leave free beside twice the memtables, for files that RocksDB writes in the
// background: its error there stops everything. Removals, which give room in the end, leave less.
constexpr uint64_t kSpareBytes = uint64_t(16) << 20;
constexpr uint64_t kSpareOfRemovalsBytes = uint64_t(4) << 20;
constexpr uint64_t kBytesPerLook = uint64_t(1) << 20;  // written between two looks at the space

// What a close leaves to the log, at most, for whoever opens it next to read: a few dozen
// milliseconds. Each small use of a store would else leave a table file of its own.
constexpr uint64_t kSoonReadBytes = uint64_t(4) << 20;

// The default column family: which of the others has the records, and the note. Both are rare, so
// that they cost writes nothing. "records-N" has the records since the Nth time that all were
// replaced.
constexpr std::string_view kEditionKey = "edition";
constexpr std::string_view kNoteKey = "note";
constexpr std::string_view kRecordsName = "records-";
constexpr const char* kLoadDirectory = "/load";
constexpr uint64_t kLoadedTableBytes = uint64_t(32) << 20;

rocksdb::Slice to_slice(std::string_view text) { return {text.data(), text.size()}; }
rocksdb::Slice to_slice(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string_view to_text(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }
std::span<const std::byte> to_bytes(const rocksdb::Slice& slice) {
  return as_bytes(to_text(slice));
}
std::string name_of(uint64_t edition) { return fmt::format("{}{}", kRecordsName, edition); }

Error not_ours(const std::string& directory) {
  return Error{Fault::kInvalid, 0, directory + ": a RocksDB database of something else"};
}

// The records since they were last replaced as a whole. A dropped one can be read to the end.
class Edition {
 public:
  Edition(rocksdb::DB& database, ColumnFamilyHandle* family)
      : database_(database), family_(family) {}
  ~Edition() { (void)database_.DestroyColumnFamilyHandle(family_); }
  Edition(const Edition&) = delete;
  Edition& operator=(const Edition&) = delete;
  ColumnFamilyHandle* family() const { return family_; }

 private:
  rocksdb::DB& database_;
  ColumnFamilyHandle* const family_;
};

class OpenDatabase : public RocksDbDatabase {
 public:
  OpenDatabase(std::string directory, std::unique_ptr<RocksDbSetup> setup, bool syncs_writes)
      : directory_(std::move(directory)), syncs_writes_(syncs_writes), setup_(std::move(setup)) {}
  ~OpenDatabase() override;

  Result<void> open(Missing missing);

  Result<bool> get(std::string_view key, const std::function<Result<void>(Stored)>& found) override;
  Result<void> scan(std::string_view prefix, std::string_view after, const Take& take) override;
  Result<Bytes> note() override { return get_note(kNoteKey); }
  Result<void> write(std::span<const RocksDbChange> changes,
                     std::span<const std::byte> note) override;
  Result<void> replace(const Next& next, std::span<const std::byte> note) override;
  Result<void> checkpoint(const std::string& path) override;
  Result<void> compact() override;
  Result<RocksDbInfo> info() override;

 private:
  Error error(const Status& status, std::string_view operation) const {
    return rocksdb_error(status, directory_, operation);
  }
  std::shared_ptr<Edition> edition() const {
    std::shared_lock lock(mutex_);
    return edition_;
  }
  Result<void> check_process() const;
  Result<std::vector<std::string>> family_names(Missing missing) const;
  Result<void> adopt(std::span<ColumnFamilyHandle* const> families);
  Result<void> check_new(std::span<const std::unique_ptr<Edition>> found);
  Result<Bytes> get_note(std::string_view key);
  Error lost(const std::string& records) const;
  Result<std::shared_ptr<Edition>> make_edition();
  Result<void> switch_to(std::shared_ptr<Edition> next, std::span<const std::byte> note);
  Result<void> fill(Edition& edition, const Next& next);
  Result<void> check_space(uint64_t bytes, bool has_puts);
  void go_on();
  Result<void> commit(rocksdb::WriteBatch& batch, bool is_synced);
  uint64_t property(const char* name) const;

  // Fixed after open().
  const std::string directory_;
  const bool syncs_writes_;
  const pid_t process_ = ::getpid();
  const rocksdb::ReadOptions plain_read_;
  std::unique_ptr<RocksDbSetup> setup_;  // outlives the database
  std::unique_ptr<rocksdb::DB> database_;
  std::unique_ptr<Edition> notes_;  // the default column family

  // Of write() and replace().
  uint64_t number_ = 0;           // of the edition
  uint64_t prepared_number_ = 0;  // of the one that was made last
  uint64_t bytes_since_look_ = kBytesPerLook;

  mutable std::shared_mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<Edition> edition_;
};

// A child of the process that opened it has its memory, and not the threads that closing waits for.
OpenDatabase::~OpenDatabase() {
  if (process_ != ::getpid()) {
    (void)new std::shared_ptr<Edition>(std::move(edition_));
    (void)notes_.release();
    (void)database_.release();
    (void)setup_.release();
    return;
  }
  if (database_ && edition_ && property("rocksdb.cur-size-all-mem-tables") > kSoonReadBytes) {
    // Both: the log goes when none of them needs it.
    (void)database_->Flush({}, {edition_->family(), notes_->family()});
  }
  edition_.reset();
  notes_.reset();
  if (!database_) return;
  if (!syncs_writes_) (void)database_->SyncWAL();
  (void)database_->Close();
  database_.reset();
}

Result<void> OpenDatabase::check_process() const {
  if (process_ == ::getpid()) return {};
  return Error{Fault::kInvalid, 0,
               directory_ + ": opened before a fork; each process opens a store itself"};
}

Result<std::vector<std::string>> OpenDatabase::family_names(Missing missing) const {
  std::vector<std::string> names;
  if (::access((directory_ + "/CURRENT").c_str(), F_OK) != 0) {
    if (errno != ENOENT || missing == Missing::kIsAnError) {
      return os_error(errno, directory_ + "/CURRENT");
    }
    names.push_back(rocksdb::kDefaultColumnFamilyName);
    return names;
  }
  const Status status = rocksdb::DB::ListColumnFamilies(setup_->options(), directory_, &names);
  if (!status.ok()) return error(status, "open");
  for (const std::string& name : names) {
    const bool is_known = name == rocksdb::kDefaultColumnFamilyName ||
                          std::string_view(name).starts_with(kRecordsName);
    if (!is_known) return not_ours(directory_);
  }
  return names;
}

Result<void> OpenDatabase::open(Missing missing) {
  TRY_ASSIGN(const auto names, family_names(missing));
  rocksdb::DBOptions options = setup_->options();
  options.create_if_missing = missing == Missing::kIsMade;
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted;
  for (const std::string& name : names) {
    const bool is_default = name == rocksdb::kDefaultColumnFamilyName;
    wanted.emplace_back(name, is_default ? setup_->options() : setup_->records());
  }
  std::vector<ColumnFamilyHandle*> families;
  rocksdb::DB* database = nullptr;
  Status status;
  try {
    status = rocksdb::DB::Open(options, directory_, wanted, &families, &database);
  } catch (const std::system_error&) {
    (void)setup_.release();  // what has opened by then is lost, and stays
    return os_error(EAGAIN, directory_ + ": open: a thread of RocksDB");
  }
  if (!status.ok()) return error(status, "open");
  database_.reset(database);
  // What a load left that did not come to its end.
  std::error_code ignored;
  std::filesystem::remove_all(directory_ + kLoadDirectory, ignored);
  return adopt(families);
}

// Takes the edition that counts, and drops what was prepared and never came to count, or counts
// no more.
Result<void> OpenDatabase::adopt(std::span<ColumnFamilyHandle* const> families) {
  std::vector<std::unique_ptr<Edition>> found;
  for (ColumnFamilyHandle* family : families) {
    auto one = std::make_unique<Edition>(*database_, family);
    const bool is_default = family->GetName() == rocksdb::kDefaultColumnFamilyName;
    (is_default ? notes_ : found.emplace_back()) = std::move(one);
  }
  TRY_ASSIGN(const Bytes stored, get_note(kEditionKey));
  if (stored.empty()) {
    TRY(check_new(found));
  } else {
    TRY_ASSIGN(number_, decode_kv_note(stored));
    const auto counts = std::ranges::find_if(
        found, [&](const auto& one) { return one->family()->GetName() == name_of(number_); });
    if (counts == found.end()) return lost(name_of(number_));
    edition_ = std::move(*counts);
    found.erase(counts);
  }
  for (const auto& one : found) {
    const Status status = database_->DropColumnFamily(one->family());
    if (!status.ok()) return error(status, "open");
  }
  prepared_number_ = number_;
  if (edition_) return {};
  TRY_ASSIGN(auto first, make_edition());
  return switch_to(std::move(first), {});
}

Error OpenDatabase::lost(const std::string& records) const {
  return Error{Fault::kDamaged, 0,
               fmt::format("{}: {}, and what says which records count, do not agree; restore it "
                           "from a snapshot or a dump",
                           directory_, records)};
}

// Without an edition it is new, or somebody died while making it.
Result<void> OpenDatabase::check_new(std::span<const std::unique_ptr<Edition>> found) {
  const auto is_empty = [&](ColumnFamilyHandle* family) {
    std::unique_ptr<rocksdb::Iterator> at(database_->NewIterator({}, family));
    at->SeekToFirst();
    return !at->Valid() && at->status().ok();
  };
  if (!is_empty(notes_->family())) return not_ours(directory_);
  for (const auto& one : found) {
    if (!is_empty(one->family())) return lost(one->family()->GetName());
  }
  return {};
}

// With a number of its own, also where one before could not be dropped.
Result<std::shared_ptr<Edition>> OpenDatabase::make_edition() {
  const std::string name = name_of(++prepared_number_);
  ColumnFamilyHandle* family = nullptr;
  const Status status = database_->CreateColumnFamily(setup_->records(), name, &family);
  if (!status.ok()) return error(status, "make an edition");
  return std::make_shared<Edition>(*database_, family);
}

// The one moment at which an edition comes to count. It goes into a table file at once, so that
// it does not depend on the log.
Result<void> OpenDatabase::switch_to(std::shared_ptr<Edition> next,
                                     std::span<const std::byte> note) {
  rocksdb::WriteBatch batch;
  batch.Put(notes_->family(), to_slice(kEditionKey), to_slice(encode_kv_note(prepared_number_)));
  if (!note.empty()) batch.Put(notes_->family(), to_slice(kNoteKey), to_slice(note));
  TRY(commit(batch, /*is_synced=*/true));
  number_ = prepared_number_;
  {
    std::unique_lock lock(mutex_);
    edition_.swap(next);
  }
  (void)database_->Flush({}, notes_->family());
  // Else the next one who opens it does it.
  if (next) (void)database_->DropColumnFamily(next->family());
  return {};
}

Result<bool> OpenDatabase::get(std::string_view key,
                               const std::function<Result<void>(Stored)>& found) {
  const auto records = edition();
  rocksdb::PinnableSlice stored;
  const Status status = database_->Get(plain_read_, records->family(), to_slice(key), &stored);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return error(status, "get");
  TRY(found(to_bytes(stored)));
  return true;
}

Result<Bytes> OpenDatabase::get_note(std::string_view key) {
  rocksdb::PinnableSlice stored;
  const Status status = database_->Get(plain_read_, notes_->family(), to_slice(key), &stored);
  if (status.IsNotFound()) return Bytes();
  if (!status.ok()) return error(status, "get");
  return ByteWriter().raw(to_bytes(stored)).take();
}

Result<void> OpenDatabase::scan(std::string_view prefix, std::string_view after, const Take& take) {
  const auto records = edition();
  rocksdb::ReadOptions options;
  const std::optional<std::string> end = kv_prefix_end(prefix);
  const rocksdb::Slice upper_bound = end ? rocksdb::Slice(*end) : rocksdb::Slice();
  if (end) options.iterate_upper_bound = &upper_bound;
  std::unique_ptr<rocksdb::Iterator> at(database_->NewIterator(options, records->family()));
  for (at->Seek(to_slice(std::max(prefix, after))); at->Valid(); at->Next()) {
    const std::string_view key = to_text(at->key());
    if (key == after) continue;
    TRY_ASSIGN(const bool goes_on, take(key, to_bytes(at->value())));
    if (!goes_on) return {};
  }
  if (!at->status().ok()) return error(at->status(), "scan");
  return {};
}

Result<void> OpenDatabase::write(std::span<const RocksDbChange> changes,
                                 std::span<const std::byte> note) {
  TRY(check_process());
  const auto records = edition();
  rocksdb::WriteBatch batch;
  bool has_puts = false;
  for (const RocksDbChange& change : changes) {
    if (change.is_removal) {
      batch.Delete(records->family(), to_slice(change.key));
      continue;
    }
    has_puts = true;
    std::byte header[kKvHeaderBytes];
    encode_kv_header(change.header, header);
    const rocksdb::Slice key = to_slice(change.key);
    const rocksdb::Slice stored[] = {to_slice(header), to_slice(change.value)};
    batch.Put(records->family(), rocksdb::SliceParts(&key, 1), rocksdb::SliceParts(stored, 2));
  }
  if (!note.empty()) batch.Put(notes_->family(), to_slice(kNoteKey), to_slice(note));
  TRY(check_space(batch.GetDataSize(), has_puts));
  return commit(batch, syncs_writes_);
}

// A write that met the end of the space would leave its beginning in the log, and a file that
// cannot be written in the background stops RocksDB: so there is an end before that one.
Result<void> OpenDatabase::check_space(uint64_t bytes, bool has_puts) {
  bytes_since_look_ += bytes;
  if (bytes_since_look_ < kBytesPerLook) return {};
  struct statvfs status;
  if (::statvfs(directory_.c_str(), &status) != 0) return os_error(errno, directory_);
  const uint64_t free_bytes = uint64_t(status.f_bavail) * status.f_frsize;
  const uint64_t in_memory = property("rocksdb.cur-size-all-mem-tables") + bytes;
  const uint64_t kept_bytes =
      has_puts ? 2 * in_memory + kSpareBytes : in_memory + kSpareOfRemovalsBytes;
  if (free_bytes < kept_bytes) {
    return os_error(ENOSPC, fmt::format("{}: {} bytes are free, and {} are kept for what RocksDB "
                                        "must still write out",
                                        directory_, free_bytes, kept_bytes));
  }
  bytes_since_look_ = 0;
  return {};
}

// After an error of want of space RocksDB takes no writes, or compacts no more, until it is told to
// go on. Where it does not, what comes next says why.
void OpenDatabase::go_on() {
  if (!setup_->has_stopped().exchange(false)) return;
  if (!database_->Resume().ok()) setup_->has_stopped() = true;
}

Result<void> OpenDatabase::commit(rocksdb::WriteBatch& batch, bool is_synced) {
  go_on();
  rocksdb::WriteOptions options;
  options.sync = is_synced;
  Status status = database_->Write(options, &batch);
  if (is_rocksdb_no_space(status) && database_->Resume().ok()) {
    setup_->has_stopped() = false;
    status = database_->Write(options, &batch);
  }
  if (!status.ok()) return error(status, "write");
  return {};
}

Result<void> OpenDatabase::replace(const Next& next, std::span<const std::byte> note) {
  TRY(check_process());
  go_on();
  TRY_ASSIGN(auto fresh, make_edition());
  const auto filled = fill(*fresh, next);
  std::error_code ignored;
  std::filesystem::remove_all(directory_ + kLoadDirectory, ignored);
  // A switch that failed may be in the log all the same: whoever opens the database next drops the
  // one that does not count.
  if (filled.ok()) return switch_to(std::move(fresh), note);
  (void)database_->DropColumnFamily(fresh->family());
  return filled;
}

Result<void> OpenDatabase::fill(Edition& edition, const Next& next) {
  const std::string directory = directory_ + kLoadDirectory;
  std::error_code failed;
  std::filesystem::create_directory(directory, failed);
  if (failed) return os_error(failed.value(), directory);
  std::vector<std::string> files;
  std::string stored;
  auto record = next();
  while (record) {
    files.push_back(fmt::format("{}/{}", directory, files.size()));
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), setup_->options(), edition.family());
    Status status = writer.Open(files.back());
    for (; status.ok() && record && writer.FileSize() < kLoadedTableBytes; record = next()) {
      std::byte header[kKvHeaderBytes];
      encode_kv_header(record->header, header);
      stored.assign(to_text(to_slice(header))).append(record->value);
      status = writer.Put(to_slice(record->key), stored);
    }
    if (status.ok()) status = writer.Finish();
    if (!status.ok()) return error(status, "load");
  }
  if (files.empty()) return {};
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.write_global_seqno = false;
  const Status status = database_->IngestExternalFile(edition.family(), files, options);
  if (!status.ok()) return error(status, "load");
  return {};
}

Result<void> OpenDatabase::checkpoint(const std::string& path) {
  TRY(check_process());
  go_on();
  rocksdb::Checkpoint* made = nullptr;
  Status status = rocksdb::Checkpoint::Create(database_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(path);
  if (!status.ok()) return error(status, "snapshot");
  return {};
}

Result<void> OpenDatabase::compact() {
  TRY(check_process());
  go_on();
  const auto records = edition();
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const Status status =
      database_->CompactRange(options, records->family(), /*begin=*/nullptr, /*end=*/nullptr);
  // Dropped: everything was replaced meanwhile.
  if (!status.ok() && !status.IsColumnFamilyDropped()) return error(status, "compact");
  return {};
}

uint64_t OpenDatabase::property(const char* name) const {
  const auto records = edition();
  uint64_t value = 0;
  return database_->GetIntProperty(records->family(), name, &value) ? value : 0;
}

Result<RocksDbInfo> OpenDatabase::info() {
  RocksDbInfo info;
  info.estimated_count = property("rocksdb.estimate-num-keys");
  info.bytes = {{"memtable_bytes", property("rocksdb.size-all-mem-tables")},
                {"cache_bytes", property("rocksdb.block-cache-usage")},
                {"cache_capacity_bytes", property("rocksdb.block-cache-capacity")},
                {"open_tables_bytes", property("rocksdb.estimate-table-readers-mem")},
                {"table_bytes", property("rocksdb.live-sst-files-size")},
                {"to_be_compacted_bytes", property("rocksdb.estimate-pending-compaction-bytes")}};
  return info;
}

}  // namespace

Result<std::unique_ptr<RocksDbDatabase>> RocksDbDatabase::open(const std::string& directory,
                                                               Missing missing,
                                                               const RocksDbOptions& options) {
  TRY_ASSIGN(auto setup, RocksDbSetup::make(options));
  auto database = std::make_unique<OpenDatabase>(directory, std::move(setup), options.syncs_writes);
  TRY(database->open(missing));
  return std::unique_ptr<RocksDbDatabase>(std::move(database));
}

}  // namespace casdisk
