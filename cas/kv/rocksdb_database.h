// RocksDbDatabase: one RocksDB database (https://rocksdb.org), a directory on a local file system.
//
// Records in key order, and beside them a note that changes with them. One process has it open at a
// time, which opened it itself: a fork takes neither its threads nor the right to write along
// (kInvalid). It flushes and compacts on two threads of its own.
//
// Its log is short, so that opening it after a crash takes a fraction of a second.
// On a full file system writes fail with kNoSpace and change nothing; there is room kept for what
// it must still write out. When there is space again, the next write goes on. A failed sync is
// final: nothing more is written until the process opens the database anew.
//
// Two doors lead to RocksDB: rocksdb_setup.cc, and rocksdb_database.cc to what is done with it.
// Reads are safe to call from any thread, beside everything else; of write(), replace() and
// checkpoint() one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cas/kv/kv_record_format.h"
#include "cas/kv/rocksdb_setup.h"
#include "cas/os/bytes.h"
#include "cas/os/result.h"

namespace casdisk {

// Puts `header` and `value` under the key, or removes what is there. The views are the caller's.
struct RocksDbChange {
  std::string_view key;
  bool is_removal = false;
  KvHeader header = {};
  std::string_view value = {};
};

struct RocksDbInfo {
  uint64_t estimated_count = 0;  // of records; those that were overwritten lately count twice
  // What is in memory, on the medium and waits to be compacted, by name.
  std::vector<std::pair<std::string, uint64_t>> bytes;
};

class RocksDbDatabase {
 public:
  // `directory` exists; an empty one becomes a database, where that is allowed (else kNotFound).
  // kInvalid where something else is in it, kDamaged where it cannot be read. REQUIRES: the caller
  // holds what keeps other processes out.
  enum class Missing { kIsMade, kIsAnError };
  static Result<std::unique_ptr<RocksDbDatabase>> open(const std::string& directory,
                                                       Missing missing,
                                                       const RocksDbOptions& options);
  virtual ~RocksDbDatabase() = default;

  // Whether the key is there; then `found` is called with what is stored, valid for the call.
  using Stored = std::span<const std::byte>;
  virtual Result<bool> get(std::string_view key,
                           const std::function<Result<void>(Stored)>& found) = 0;

  // What begins with `prefix` behind the key `after`, in key order and as of one moment, until
  // `take` says no.
  using Take = std::function<Result<bool>(std::string_view key, Stored stored)>;
  virtual Result<void> scan(std::string_view prefix, std::string_view after, const Take& take) = 0;

  // At first nothing.
  virtual Result<Bytes> note() = 0;

  // All changes and, unless it is empty, the note in one step; durable on return.
  virtual Result<void> write(std::span<const RocksDbChange> changes,
                             std::span<const std::byte> note) = 0;

  // The records that `next` gives, in key order and each key once, instead of all that were there:
  // one step, whoever dies when, with the note. Memory does not grow with them.
  using Next = std::function<std::optional<RocksDbChange>()>;
  virtual Result<void> replace(const Next& next, std::span<const std::byte> note) = 0;

  // A database of this moment at `path`, which must not exist; beside it `path` + ".tmp" is used.
  virtual Result<void> checkpoint(const std::string& path) = 0;

  // Writes the table files anew without what was removed, overwritten or is garbage, beside readers
  // and writers. Needs room for both.
  virtual Result<void> compact() = 0;

  virtual Result<RocksDbInfo> info() = 0;
};

}  // namespace casdisk
