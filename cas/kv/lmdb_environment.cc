#include "cas/kv/lmdb_environment.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace casdisk {

namespace {

// A slot is 64 bytes of the lock file; a process holds at most kMaxPooledReaders and those of its
// threads that read just now.
constexpr unsigned kMaxReaders = 4096;
// What LMDB 0.9 makes of lock.mdb: 192 bytes with the first reader's slot, 64 for each other.
constexpr off_t kLockFileBytes = 192 + (kMaxReaders - 1) * 64;
constexpr size_t kMaxPooledReaders = 64;
// How often a transaction may find that another process has grown the map before we give up.
constexpr int kMaxMapResizes = 16;
// Commits between two searches for slots of dead readers, which keep pages from being used again.
constexpr uint64_t kCommitsPerReaderCheck = 1024;
// With a note: what the unnamed table holds, the name of the keys' table and the note.
constexpr const char* kTableName = "records";
constexpr std::string_view kNoteKey = "note";
constexpr const char* kNewDataFile = "data.mdb.new";
// With less than this left a failing commit is called a full file system.
constexpr uint64_t kNearlyFullBytes = uint64_t(1) << 20;

MDB_val to_val(std::span<const std::byte> bytes) {
  return MDB_val{bytes.size(), const_cast<std::byte*>(bytes.data())};
}

std::span<const std::byte> to_bytes(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

// LMDB reports a write that a full file system cut short as EIO.
bool is_nearly_full(const std::string& directory) {
  struct statvfs status;
  return ::statvfs(directory.c_str(), &status) == 0 &&
         uint64_t(status.f_bavail) * status.f_frsize < kNearlyFullBytes;
}

Error lmdb_error(int code, const LmdbPlace& place, const char* operation) {
  const std::string context = place.directory + ": " + operation;
  if (code == EIO && is_nearly_full(place.directory)) code = ENOSPC;
  if (code > 0) return os_error(code, context);
  Fault fault = Fault::kIo;
  switch (code) {
    case MDB_MAP_FULL:
      fault = Fault::kNoSpace;
      break;
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_PAGE_NOTFOUND:
      fault = Fault::kDamaged;
      break;
    case MDB_PANIC:
      fault = Fault::kPoisoned;
      break;
    case MDB_READERS_FULL:
      fault = Fault::kBusy;
      break;
    case MDB_BAD_VALSIZE:
    case MDB_TXN_FULL:
      fault = Fault::kInvalid;
      break;
    default:
      break;
  }
  std::string text = context + ": " + mdb_strerror(code);
  if (fault == Fault::kDamaged && !place.remedy.empty()) text += "; " + place.remedy;
  return Error{fault, 0, std::move(text)};
}

Error closed_error(const LmdbPlace& place) {
  return Error{Fault::kPoisoned, 0,
               place.directory +
                   ": did not open again after a compaction; what was acknowledged is "
                   "there, restart this process"};
}

Error foreign_error(const LmdbPlace& place) {
  return Error{Fault::kInvalid, 0, place.directory + ": an LMDB environment of something else"};
}

class Transaction : public LmdbWriter {
 public:
  Transaction(MDB_txn* handle, MDB_dbi table, MDB_dbi note_table, const LmdbPlace& place)
      : handle_(handle), table_(table), note_table_(note_table), place_(place) {}

  Result<std::optional<std::span<const std::byte>>> get(std::span<const std::byte> key) override {
    MDB_val key_value = to_val(key);
    MDB_val value;
    int code = mdb_get(handle_, table_, &key_value, &value);
    if (code == MDB_NOTFOUND) return std::optional<std::span<const std::byte>>();
    if (code != 0) return lmdb_error(code, place_, "get");
    return std::optional(to_bytes(value));
  }

  Result<void> scan(std::span<const std::byte> prefix, std::span<const std::byte> from,
                    const Visit& visit) override {
    MDB_cursor* cursor = nullptr;
    if (int code = mdb_cursor_open(handle_, table_, &cursor); code != 0) {
      return lmdb_error(code, place_, "scan");
    }
    const std::span start = std::ranges::lexicographical_compare(from, prefix) ? prefix : from;
    MDB_val key = to_val(start);
    MDB_val value;
    int code = mdb_cursor_get(cursor, &key, &value, start.empty() ? MDB_FIRST : MDB_SET_RANGE);
    while (code == 0) {
      const auto key_bytes = to_bytes(key);
      if (key_bytes.size() < prefix.size() ||
          !std::ranges::equal(key_bytes.first(prefix.size()), prefix) ||
          !visit(key_bytes, to_bytes(value))) {
        break;
      }
      code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (code != 0 && code != MDB_NOTFOUND) return lmdb_error(code, place_, "scan");
    return {};
  }

  Result<uint64_t> count() override {
    MDB_stat status;
    int code = mdb_stat(handle_, table_, &status);
    if (code != 0) return lmdb_error(code, place_, "count");
    return uint64_t(status.ms_entries);
  }

  Result<void> put(std::span<const std::byte> key, std::span<const std::byte> value) override {
    MDB_val key_value = to_val(key);
    MDB_val data = to_val(value);
    int code = mdb_put(handle_, table_, &key_value, &data, 0);
    if (code != 0) return lmdb_error(code, place_, "put");
    return {};
  }

  Result<bool> remove(std::span<const std::byte> key) override {
    MDB_val key_value = to_val(key);
    int code = mdb_del(handle_, table_, &key_value, nullptr);
    if (code == MDB_NOTFOUND) return false;
    if (code != 0) return lmdb_error(code, place_, "remove");
    return true;
  }

  Result<std::span<const std::byte>> note() override {
    MDB_val key = to_val(as_bytes(kNoteKey));
    MDB_val value;
    int code = mdb_get(handle_, note_table_, &key, &value);
    if (code == MDB_NOTFOUND) return std::span<const std::byte>();
    if (code != 0) return lmdb_error(code, place_, "get");
    return to_bytes(value);
  }

  Result<void> put_note(std::span<const std::byte> bytes) override {
    MDB_val key = to_val(as_bytes(kNoteKey));
    MDB_val data = to_val(bytes);
    int code = mdb_put(handle_, note_table_, &key, &data, 0);
    if (code != 0) return lmdb_error(code, place_, "put");
    return {};
  }

  Result<void> clear() override {
    if (int code = mdb_drop(handle_, table_, 0); code != 0)
      return lmdb_error(code, place_, "clear");
    return {};
  }

 private:
  MDB_txn* const handle_;
  const MDB_dbi table_;
  const MDB_dbi note_table_;
  const LmdbPlace& place_;
};

}  // namespace

LmdbProcessEnvironment::~LmdbProcessEnvironment() {
  close_environment();
  if (lock_descriptor_ >= 0) ::close(lock_descriptor_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void LmdbProcessEnvironment::close_environment() {
  for (MDB_txn* reader : pool_) mdb_txn_abort(reader);
  pool_.clear();
  if (environment_ != nullptr && sync_ == LmdbSync::kAtClose) (void)mdb_env_sync(environment_, 1);
  if (environment_ != nullptr) mdb_env_close(environment_);
  environment_ = nullptr;
}

Result<void> LmdbProcessEnvironment::open(const LmdbOptions& options) {
  place_.remedy = options.remedy;
  has_note_ = options.has_note;
  may_make_table_ = options.may_make_table;
  sync_ = options.sync;
  descriptor_ = ::open(place_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) return os_error(errno, place_.directory);
  const auto page_bytes = uint64_t(::sysconf(_SC_PAGESIZE));
  map_bytes_ = (options.map_bytes + page_bytes - 1) / page_bytes * page_bytes;
  TRY(allocate_lock_file());
  TRY(open_environment());
  // The names of files that were just made.
  if (::fsync(descriptor_) != 0)
    return os_error(errno, place_.directory + ": sync of the directory");
  return {};
}

Result<void> LmdbProcessEnvironment::open_environment() {
  int code = mdb_env_create(&environment_);
  if (code == 0) code = mdb_env_set_maxreaders(environment_, kMaxReaders);
  if (code == 0) code = mdb_env_set_mapsize(environment_, map_bytes_);
  if (code == 0 && has_note_) code = mdb_env_set_maxdbs(environment_, 1);
  const unsigned flags = MDB_NOTLS | (sync_ == LmdbSync::kAtClose ? MDB_NOSYNC : 0);
  if (code == 0) code = mdb_env_open(environment_, place_.directory.c_str(), flags, 0600);
  if (code != 0) {
    close_environment();
    return lmdb_error(code, place_, "open");
  }
  // The one descriptor that LMDB leaves open across exec.
  int descriptor = -1;
  if (mdb_env_get_fd(environment_, &descriptor) == 0) ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  mdb_reader_check(environment_, nullptr);
  cover_pages(descriptor);
  auto opened = open_tables();
  if (!opened.ok()) close_environment();
  return opened;
}

// Another process may have grown the map since it was opened here.
int LmdbProcessEnvironment::begin_alone(unsigned flags, MDB_txn** transaction) {
  int code = mdb_txn_begin(environment_, nullptr, flags, transaction);
  for (int i = 0; code == MDB_MAP_RESIZED && i < kMaxMapResizes; i++) {
    code = mdb_env_set_mapsize(environment_, 0);
    if (code == 0) code = mdb_txn_begin(environment_, nullptr, flags, transaction);
  }
  return code;
}

Result<void> LmdbProcessEnvironment::open_tables() {
  MDB_txn* transaction = nullptr;
  int code = begin_alone(MDB_RDONLY, &transaction);
  if (code != 0) return lmdb_error(code, place_, "open");
  code = mdb_dbi_open(transaction, nullptr, 0, has_note_ ? &note_table_ : &table_);
  if (code == 0 && has_note_) code = mdb_dbi_open(transaction, kTableName, 0, &table_);
  if (code == 0) {
    code = mdb_txn_commit(transaction);  // so that the handles stay
  } else {
    mdb_txn_abort(transaction);
  }
  const bool is_missing = has_note_ && (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE);
  if (is_missing) return may_make_table_ ? make_table() : foreign_error(place_);
  if (code != 0) return lmdb_error(code, place_, "open");
  return {};
}

Result<void> LmdbProcessEnvironment::make_table() {
  MDB_txn* transaction = nullptr;
  int code = begin_alone(0, &transaction);
  if (code != 0) return lmdb_error(code, place_, "open");
  code = mdb_dbi_open(transaction, kTableName, 0, &table_);  // somebody else's, since we looked
  MDB_stat status;
  bool is_foreign = false;
  if (code != 0 && mdb_stat(transaction, note_table_, &status) == 0) {
    is_foreign = status.ms_entries != 0;
    if (!is_foreign) code = mdb_dbi_open(transaction, kTableName, MDB_CREATE, &table_);
  }
  if (code == 0) {
    code = mdb_txn_commit(transaction);
  } else {
    mdb_txn_abort(transaction);
  }
  if (is_foreign) return foreign_error(place_);
  if (code != 0) return lmdb_error(code, place_, "make the table");
  return {};
}

// LMDB stores to a mapping of its lock file, which it leaves sparse: on a full file system that
// would be SIGBUS. REQUIRES: this process does not have the environment open: closing any
// descriptor of the file would drop LMDB's locks.
Result<void> LmdbProcessEnvironment::allocate_lock_file() {
  const int file = ::openat(descriptor_, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return os_error(errno, place_.directory + "/lock.mdb");
  const int failed = ::fallocate(file, 0, 0, kLockFileBytes) == 0 ? 0 : errno;
  ::close(file);
  if (failed == 0 || failed == EOPNOTSUPP) return {};
  return os_error(failed, place_.directory + "/lock.mdb");
}

// A data file that lost its end (a copy cut short, a device that forgot what it had flushed) would
// be SIGBUS where its pages are read. A hole is pages of zeros instead, which LMDB calls damaged.
// LMDB itself may leave pages beyond the end that no other page names.
void LmdbProcessEnvironment::cover_pages(int data_file) {
  MDB_envinfo info;
  MDB_stat geometry;
  struct stat status;
  if (mdb_env_info(environment_, &info) != 0 || mdb_env_stat(environment_, &geometry) != 0) return;
  if (::fstat(data_file, &status) != 0) return;
  const off_t page_bytes = geometry.ms_psize;
  const off_t last_page_at = off_t(info.me_last_pgno) * page_bytes;
  if (status.st_size >= last_page_at + page_bytes) return;
  // Unlike ftruncate this never shortens a file that another process makes longer now. Where it
  // fails, for want of room or of the right to write, a whole file is read just as well.
  (void)::fallocate(data_file, 0, last_page_at, page_bytes);
}

Result<void> LmdbProcessEnvironment::view(const std::function<Result<void>(LmdbReader&)>& body) {
  MapLock lock(map_mutex_);
  TRY_ASSIGN(MDB_txn * handle, begin(MDB_RDONLY, lock));
  Transaction transaction(handle, table_, note_table_, place_);
  auto done = body(transaction);
  give_back(handle);
  return done;
}

Result<void> LmdbProcessEnvironment::update(const std::function<Result<void>(LmdbWriter&)>& body) {
  MapLock lock(map_mutex_);
  TRY_ASSIGN(MDB_txn * handle, begin(0, lock));
  if (++commit_count_ % kCommitsPerReaderCheck == 0) mdb_reader_check(environment_, nullptr);
  Transaction transaction(handle, table_, note_table_, place_);
  auto done = body(transaction);
  if (!done.ok()) {
    mdb_txn_abort(handle);
    return done;
  }
  if (int code = mdb_txn_commit(handle); code != 0) return lmdb_error(code, place_, "commit");
  return {};
}

// A writer writes its meta page, which is the commit, and then the number that readers begin at.
// The lock of one that died in between is robust: whoever takes it next, a writer without writes
// here, puts the number right. The dead one's meta page may not be on the device yet.
Result<void> LmdbProcessEnvironment::catch_up() {
  MapLock lock(map_mutex_);
  TRY_ASSIGN(MDB_txn * reader, begin(MDB_RDONLY, lock));
  const size_t seen = mdb_txn_id(reader);
  give_back(reader);
  TRY_ASSIGN(MDB_txn * writer, begin(0, lock));
  const size_t last = mdb_txn_id(writer) - 1;
  mdb_txn_abort(writer);
  if (last == seen) return {};
  if (int code = mdb_env_sync(environment_, 1); code != 0) {
    return lmdb_error(code, place_, "sync");
  }
  return {};
}

Result<LmdbInfo> LmdbProcessEnvironment::info() {
  MapLock lock(map_mutex_);
  if (environment_ == nullptr) return closed_error(place_);
  mdb_reader_check(environment_, nullptr);
  MDB_envinfo envinfo;
  MDB_stat status;
  int code = mdb_env_info(environment_, &envinfo);
  if (code == 0) code = mdb_env_stat(environment_, &status);
  if (code != 0) return lmdb_error(code, place_, "info");
  LmdbInfo info;
  info.map_bytes = envinfo.me_mapsize;
  info.used_bytes = (uint64_t(envinfo.me_last_pgno) + 1) * status.ms_psize;
  info.entry_count = status.ms_entries;
  info.reader_count = envinfo.me_numreaders;
  return info;
}

Result<void> LmdbProcessEnvironment::copy_to(const std::string& directory) {
  MapLock lock(map_mutex_);
  if (environment_ == nullptr) return closed_error(place_);
  if (::mkdir(directory.c_str(), 0700) != 0) return os_error(errno, directory);
  const std::string data_file = directory + "/data.mdb";
  const int parent = ::open((directory + "/..").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int made = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int file = ::open(data_file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  int code = parent < 0 || made < 0 || file < 0 ? errno : 0;
  if (code == 0) code = mdb_env_copyfd2(environment_, file, 0);
  if (code == 0 && (::fsync(file) != 0 || ::fsync(made) != 0 || ::fsync(parent) != 0)) code = errno;
  for (const int descriptor : {parent, made, file}) {
    if (descriptor >= 0) ::close(descriptor);
  }
  if (code == 0) return {};
  ::unlink(data_file.c_str());
  ::rmdir(directory.c_str());
  return lmdb_error(code, LmdbPlace{directory, {}}, "copy of the environment");
}

Result<void> LmdbProcessEnvironment::compact() {
  std::unique_lock alone(map_mutex_);
  if (environment_ == nullptr) return closed_error(place_);
  close_environment();
  auto done = lock_others_out();
  if (done.ok()) done = replace_data_file();
  auto opened = open_environment();
  return done.ok() ? std::move(opened) : std::move(done);
}

// Every process that has the environment open holds a shared lock on the first byte of lock.mdb,
// and one that opens it waits for that. Ours is exclusive, and becomes LMDB's own when we open
// again (it is the process's), which then puts the lock file in order and makes the lock a shared
// one.
Result<void> LmdbProcessEnvironment::lock_others_out() {
  if (lock_descriptor_ < 0) {
    lock_descriptor_ = ::openat(descriptor_, "lock.mdb", O_RDWR | O_CLOEXEC);
    if (lock_descriptor_ < 0) return os_error(errno, place_.directory + "/lock.mdb");
  }
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  if (::fcntl(lock_descriptor_, F_SETLK, &lock) == 0) return {};
  if (errno != EAGAIN && errno != EACCES) return os_error(errno, place_.directory + "/lock.mdb");
  return Error{Fault::kBusy, 0,
               place_.directory + ": another process has it open; compact it when none has"};
}

// REQUIRES: nobody else has it open, or can.
Result<void> LmdbProcessEnvironment::replace_data_file() {
  const int file =
      ::openat(descriptor_, kNewDataFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return os_error(errno, place_.directory + "/" + kNewDataFile);
  MDB_env* environment = nullptr;
  int code = mdb_env_create(&environment);
  if (code == 0) code = mdb_env_set_mapsize(environment, map_bytes_);
  constexpr unsigned kFlags = MDB_RDONLY | MDB_NOLOCK;
  if (code == 0) code = mdb_env_open(environment, place_.directory.c_str(), kFlags, 0600);
  if (code == 0) code = mdb_env_copyfd2(environment, file, MDB_CP_COMPACT);
  mdb_env_close(environment);
  if (code == 0 && ::fsync(file) != 0) code = errno;
  ::close(file);
  // lock.mdb knows the number of the last transaction, and they begin anew in the new file. Should
  // we die now, nobody takes it at its word: without its magic it is made anew.
  const char zeros[8] = {};
  if (code == 0 && ::pwrite(lock_descriptor_, zeros, sizeof zeros, 0) != sizeof zeros) code = EIO;
  if (code == 0 && ::renameat(descriptor_, kNewDataFile, descriptor_, "data.mdb") != 0)
    code = errno;
  if (code == 0 && ::fsync(descriptor_) != 0) code = errno;
  if (code == 0) return {};
  ::unlinkat(descriptor_, kNewDataFile, 0);
  return lmdb_error(code, place_, "compact");
}

Result<MDB_txn*> LmdbProcessEnvironment::begin(unsigned flags, MapLock& lock) {
  if (environment_ == nullptr) return closed_error(place_);
  MDB_txn* transaction = nullptr;
  int code = try_begin(flags, &transaction);
  for (int i = 0; code == MDB_MAP_RESIZED && i < kMaxMapResizes; i++) {
    lock.unlock();
    {
      std::unique_lock alone(map_mutex_);
      code = environment_ == nullptr ? MDB_PANIC : mdb_env_set_mapsize(environment_, 0);
    }
    lock.lock();
    if (code == 0) code = try_begin(flags, &transaction);
  }
  if (code == MDB_READERS_FULL && mdb_reader_check(environment_, nullptr) == 0) {
    code = try_begin(flags, &transaction);
  }
  if (code != 0) return lmdb_error(code, place_, "begin a transaction");
  return transaction;
}

int LmdbProcessEnvironment::try_begin(unsigned flags, MDB_txn** transaction) {
  if (environment_ == nullptr) return MDB_PANIC;
  if ((flags & MDB_RDONLY) != 0) {
    *transaction = take_pooled();
    if (*transaction != nullptr) {
      int code = mdb_txn_renew(*transaction);
      if (code != 0) mdb_txn_abort(*transaction);
      return code;
    }
  }
  return mdb_txn_begin(environment_, nullptr, flags, transaction);
}

MDB_txn* LmdbProcessEnvironment::take_pooled() {
  std::lock_guard lock(pool_mutex_);
  if (pool_.empty()) return nullptr;
  MDB_txn* reader = pool_.back();
  pool_.pop_back();
  return reader;
}

void LmdbProcessEnvironment::give_back(MDB_txn* reader) {
  mdb_txn_reset(reader);
  {
    std::lock_guard lock(pool_mutex_);
    if (pool_.size() < kMaxPooledReaders) {
      pool_.push_back(reader);
      return;
    }
  }
  mdb_txn_abort(reader);
}

}  // namespace casdisk
