// RocksDbSetup: how a RocksDB database of ours is set up, and what of ours RocksDB calls.
//
// Its threads end with it: RocksDB's own belong to the process, and a child of that would wait for
// them for ever, also with a database that it opened itself. It outlives the database that is
// opened with it, and belongs to the process that made it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "cas/os/result.h"

namespace rocksdb {
struct ColumnFamilyOptions;
struct Options;
}  // namespace rocksdb

namespace casdisk {

struct RocksDbOptions {
  // Of table files in memory: blocks, indexes and filters.
  uint64_t cache_bytes = uint64_t(64) << 20;
  bool syncs_writes = true;  // else what was written survives this process alone
  // Whether the machine may have died since the log was written, and not just a process: its end
  // may be torn then in any way, and the log ends there. Else what is not whole before it is
  // damage.
  bool power_may_have_failed = true;
  // Whether nobody misses a record any more, by what is stored. Compactions leave it out then, with
  // all that was under its key before. From any thread.
  std::function<bool(std::span<const std::byte> stored)> is_garbage;
};

class RocksDbSetup {
 public:
  // kIo when the system has no more threads.
  static Result<std::unique_ptr<RocksDbSetup>> make(const RocksDbOptions& options);
  ~RocksDbSetup();
  RocksDbSetup(const RocksDbSetup&) = delete;
  RocksDbSetup& operator=(const RocksDbSetup&) = delete;

  // Of the database, and of tables that nothing is garbage in.
  const rocksdb::Options& options() const;
  // Of records.
  const rocksdb::ColumnFamilyOptions& records() const;

  // Set when RocksDB has met an error that it takes no writes after, or compacts nothing, until it
  // is told to go on.
  std::atomic<bool>& has_stopped();

 private:
  struct Parts;
  explicit RocksDbSetup(std::unique_ptr<Parts> parts);

  // Fixed after construction.
  const std::unique_ptr<Parts> parts_;
};

}  // namespace casdisk
