#include "cas/kv/lmdb_environment.h"

#include <fcntl.h>
#include <lmdb.h>
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

Error lmdb_error(int code, const std::string& directory, const char* operation) {
  const std::string context = directory + ": " + operation;
  if (code == EIO && is_nearly_full(directory)) code = ENOSPC;
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
  return Error{fault, 0, context + ": " + mdb_strerror(code)};
}

class Transaction : public LmdbWriter {
 public:
  Transaction(MDB_txn* handle, MDB_dbi table, const std::string& directory)
      : handle_(handle), table_(table), directory_(directory) {}

  Result<std::optional<std::span<const std::byte>>> get(std::span<const std::byte> key) override {
    MDB_val key_value = to_val(key);
    MDB_val value;
    int code = mdb_get(handle_, table_, &key_value, &value);
    if (code == MDB_NOTFOUND) return std::optional<std::span<const std::byte>>();
    if (code != 0) return lmdb_error(code, directory_, "get");
    return std::optional(to_bytes(value));
  }

  Result<void> scan(std::span<const std::byte> prefix, std::span<const std::byte> from,
                    const Visit& visit) override {
    MDB_cursor* cursor = nullptr;
    if (int code = mdb_cursor_open(handle_, table_, &cursor); code != 0) {
      return lmdb_error(code, directory_, "scan");
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
    if (code != 0 && code != MDB_NOTFOUND) return lmdb_error(code, directory_, "scan");
    return {};
  }

  Result<uint64_t> count() override {
    MDB_stat status;
    int code = mdb_stat(handle_, table_, &status);
    if (code != 0) return lmdb_error(code, directory_, "count");
    return uint64_t(status.ms_entries);
  }

  Result<void> put(std::span<const std::byte> key, std::span<const std::byte> value) override {
    MDB_val key_value = to_val(key);
    MDB_val data = to_val(value);
    int code = mdb_put(handle_, table_, &key_value, &data, 0);
    if (code != 0) return lmdb_error(code, directory_, "put");
    return {};
  }

  Result<bool> remove(std::span<const std::byte> key) override {
    MDB_val key_value = to_val(key);
    int code = mdb_del(handle_, table_, &key_value, nullptr);
    if (code == MDB_NOTFOUND) return false;
    if (code != 0) return lmdb_error(code, directory_, "remove");
    return true;
  }

 private:
  MDB_txn* const handle_;
  const MDB_dbi table_;
  const std::string& directory_;
};

}  // namespace

LmdbProcessEnvironment::~LmdbProcessEnvironment() {
  for (MDB_txn* reader : pool_) mdb_txn_abort(reader);
  if (environment_ != nullptr) mdb_env_close(environment_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> LmdbProcessEnvironment::open(const LmdbOptions& options) {
  descriptor_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) return os_error(errno, directory_);
  const auto page_bytes = uint64_t(::sysconf(_SC_PAGESIZE));
  const uint64_t map_bytes = (options.map_bytes + page_bytes - 1) / page_bytes * page_bytes;
  TRY(allocate_lock_file());
  int code = mdb_env_create(&environment_);
  if (code == 0) code = mdb_env_set_maxreaders(environment_, kMaxReaders);
  if (code == 0) code = mdb_env_set_mapsize(environment_, map_bytes);
  if (code == 0) code = mdb_env_open(environment_, directory_.c_str(), MDB_NOTLS, 0600);
  if (code != 0) return lmdb_error(code, directory_, "open");
  // The one descriptor that LMDB leaves open across exec.
  int descriptor = -1;
  if (mdb_env_get_fd(environment_, &descriptor) == 0) ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  mdb_reader_check(environment_, nullptr);
  MapLock lock(map_mutex_);
  TRY_ASSIGN(MDB_txn * transaction, begin(MDB_RDONLY, lock));
  code = mdb_dbi_open(transaction, nullptr, 0, &table_);
  mdb_txn_abort(transaction);
  if (code != 0) return lmdb_error(code, directory_, "open");
  // The names of files that were just made.
  if (::fsync(descriptor_) != 0) return os_error(errno, directory_ + ": sync of the directory");
  return {};
}

// LMDB stores to a mapping of its lock file, which it leaves sparse: on a full file system that
// would be SIGBUS. REQUIRES: this process does not have the environment open: closing any
// descriptor of the file would drop LMDB's locks.
Result<void> LmdbProcessEnvironment::allocate_lock_file() {
  const int file = ::openat(descriptor_, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return os_error(errno, directory_ + "/lock.mdb");
  const int failed = ::fallocate(file, 0, 0, kLockFileBytes) == 0 ? 0 : errno;
  ::close(file);
  if (failed == 0 || failed == EOPNOTSUPP) return {};
  return os_error(failed, directory_ + "/lock.mdb");
}

Result<void> LmdbProcessEnvironment::view(const std::function<Result<void>(LmdbReader&)>& body) {
  MapLock lock(map_mutex_);
  TRY_ASSIGN(MDB_txn * handle, begin(MDB_RDONLY, lock));
  Transaction transaction(handle, table_, directory_);
  auto done = body(transaction);
  give_back(handle);
  return done;
}

Result<void> LmdbProcessEnvironment::update(const std::function<Result<void>(LmdbWriter&)>& body) {
  MapLock lock(map_mutex_);
  if (++commit_count_ % kCommitsPerReaderCheck == 0) mdb_reader_check(environment_, nullptr);
  TRY_ASSIGN(MDB_txn * handle, begin(0, lock));
  Transaction transaction(handle, table_, directory_);
  auto done = body(transaction);
  if (!done.ok()) {
    mdb_txn_abort(handle);
    return done;
  }
  if (int code = mdb_txn_commit(handle); code != 0) return lmdb_error(code, directory_, "commit");
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
    return lmdb_error(code, directory_, "sync");
  }
  return {};
}

Result<LmdbInfo> LmdbProcessEnvironment::info() {
  MapLock lock(map_mutex_);
  mdb_reader_check(environment_, nullptr);
  MDB_envinfo envinfo;
  MDB_stat status;
  int code = mdb_env_info(environment_, &envinfo);
  if (code == 0) code = mdb_env_stat(environment_, &status);
  if (code != 0) return lmdb_error(code, directory_, "info");
  LmdbInfo info;
  info.map_bytes = envinfo.me_mapsize;
  info.used_bytes = (uint64_t(envinfo.me_last_pgno) + 1) * status.ms_psize;
  info.entry_count = status.ms_entries;
  info.reader_count = envinfo.me_numreaders;
  return info;
}

Result<MDB_txn*> LmdbProcessEnvironment::begin(unsigned flags, MapLock& lock) {
  MDB_txn* transaction = nullptr;
  int code = try_begin(flags, &transaction);
  for (int i = 0; code == MDB_MAP_RESIZED && i < kMaxMapResizes; i++) {
    lock.unlock();
    {
      std::unique_lock alone(map_mutex_);
      code = mdb_env_set_mapsize(environment_, 0);
    }
    lock.lock();
    if (code == 0) code = try_begin(flags, &transaction);
  }
  if (code == MDB_READERS_FULL && mdb_reader_check(environment_, nullptr) == 0) {
    code = try_begin(flags, &transaction);
  }
  if (code != 0) return lmdb_error(code, directory_, "begin a transaction");
  return transaction;
}

int LmdbProcessEnvironment::try_begin(unsigned flags, MDB_txn** transaction) {
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
