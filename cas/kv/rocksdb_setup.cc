#include "cas/kv/rocksdb_setup.h"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include <cstdarg>
#include <utility>

#include "cas/kv/job_queue.h"

namespace casdisk {
namespace {

// What is in no table file yet is in memory, and in the log, which a recovery reads: a fraction of
// a second of it.
constexpr uint64_t kMemtableBytes = uint64_t(16) << 20;
constexpr int kMaxMemtables = 3;
constexpr uint64_t kMaxLogBytes = uint64_t(64) << 20;
constexpr uint64_t kTableBytes = uint64_t(32) << 20;
constexpr int kBloomBitsPerKey = 10;  // of a hundred keys that are not there, one is looked for
constexpr int kMaxOpenFiles = 256;
constexpr uint64_t kBytesPerSync = uint64_t(1) << 20;  // of table files, so that none waits for all

// RocksDB's own report, which it would keep in files, also on a disk without room for a byte: there
// its writer ends the process. What goes wrong comes back as a status.
class NoReport : public rocksdb::Logger {
 public:
  NoReport() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// RocksDB's files, and threads of our own.
class OwnThreads : public rocksdb::EnvWrapper {
 public:
  OwnThreads() : EnvWrapper(rocksdb::Env::Default()) {}
  Result<void> start() {
    TRY(flushes_.start());
    return compactions_.start();
  }

  const char* Name() const override { return "casdisk"; }
  void Schedule(void (*function)(void*), void* argument, Priority priority, void*,
                void (*)(void*)) override {
    JobQueue& queue = priority == HIGH ? flushes_ : compactions_;
    queue.add([function, argument] { function(argument); });
  }
  // None is taken back: what still waits will find the database closing.
  int UnSchedule(void*, Priority) override { return 0; }
  unsigned GetThreadPoolQueueLen(Priority priority) const override {
    return unsigned(priority == HIGH ? flushes_.waiting_count() : compactions_.waiting_count());
  }
  void SetBackgroundThreads(int, Priority) override {}
  void IncBackgroundThreadsIfNeeded(int, Priority) override {}
  int GetBackgroundThreads(Priority priority) override {
    return priority == HIGH || priority == LOW ? 1 : 0;
  }
  int ReserveThreads(int, Priority) override { return 0; }
  int ReleaseThreads(int, Priority) override { return 0; }
  void LowerThreadPoolIOPriority(Priority) override {}

 private:
  JobQueue flushes_;
  JobQueue compactions_;
};

// What it drops becomes a tombstone, as long as something older may be under the key.
class GarbageFilter : public rocksdb::CompactionFilter {
 public:
  using IsGarbage = std::function<bool(std::span<const std::byte>)>;
  explicit GarbageFilter(IsGarbage is_garbage) : is_garbage_(std::move(is_garbage)) {}

  const char* Name() const override { return "casdisk.garbage"; }
  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& stored, std::string*,
              bool*) const override {
    return is_garbage_ &&
           is_garbage_({reinterpret_cast<const std::byte*>(stored.data()), stored.size()});
  }

 private:
  // Fixed after construction.
  const IsGarbage is_garbage_;
};

// Notes that RocksDB has stopped, and keeps it from going on when it likes: the next write sees to
// that.
class StopListener : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status*) override {
    has_stopped = true;
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* goes_on_by_itself) override {
    *goes_on_by_itself = false;
  }

  std::atomic<bool> has_stopped = false;
};

rocksdb::Options options_of(const RocksDbOptions& wanted) {
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.block_cache = rocksdb::NewLRUCache(wanted.cache_bytes);
  table.cache_index_and_filter_blocks = true;  // beside the cache they would be without bounds
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.optimize_filters_for_memory = true;

  rocksdb::Options options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kLZ4Compression;
  options.write_buffer_size = kMemtableBytes;
  options.max_write_buffer_number = kMaxMemtables;
  options.max_total_wal_size = kMaxLogBytes;
  options.target_file_size_base = kTableBytes;
  options.max_bytes_for_level_base = 4 * kTableBytes;
  options.level_compaction_dynamic_level_bytes = true;
  options.max_open_files = kMaxOpenFiles;
  options.max_background_jobs = 2;
  options.bytes_per_sync = kBytesPerSync;
  using rocksdb::WALRecoveryMode;
  options.wal_recovery_mode = wanted.power_may_have_failed
                                  ? WALRecoveryMode::kPointInTimeRecovery
                                  : WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log = std::make_shared<NoReport>();
  options.max_file_opening_threads = 1;  // more would end the process where there are none
  return options;
}

}  // namespace

struct RocksDbSetup::Parts {
  explicit Parts(const RocksDbOptions& wanted)
      : filter(wanted.is_garbage), options(options_of(wanted)) {
    options.env = &threads;
    options.listeners = {listener};
    records = options;
    records.compaction_filter = &filter;
  }

  OwnThreads threads;
  const GarbageFilter filter;
  const std::shared_ptr<StopListener> listener = std::make_shared<StopListener>();
  rocksdb::Options options;
  rocksdb::ColumnFamilyOptions records;
};

RocksDbSetup::RocksDbSetup(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
RocksDbSetup::~RocksDbSetup() = default;

Result<std::unique_ptr<RocksDbSetup>> RocksDbSetup::make(const RocksDbOptions& options) {
  auto parts = std::make_unique<Parts>(options);
  TRY(parts->threads.start());
  return std::unique_ptr<RocksDbSetup>(new RocksDbSetup(std::move(parts)));
}

const rocksdb::Options& RocksDbSetup::options() const { return parts_->options; }
const rocksdb::ColumnFamilyOptions& RocksDbSetup::records() const { return parts_->records; }
std::atomic<bool>& RocksDbSetup::has_stopped() { return parts_->listener->has_stopped; }

}  // namespace casdisk
