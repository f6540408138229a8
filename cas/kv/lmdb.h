// LmdbEnvironment: one LMDB environment (http://www.lmdb.tech/doc/), opened once per process, after
// fork.
//
// view() runs a read transaction, update() a write transaction that commits when the function
// succeeds and leaves no trace when it fails. A commit is durable when update() returns. No I/O,
// hashing or waiting belongs inside either. Safe to call from any thread; one writer at a time
// across all processes. Readers never wait for writers. Do not nest calls on one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cas/os/bytes.h"
#include "cas/os/result.h"

namespace casdisk {

enum class LmdbSync {
  kEachCommit,  // a commit survives the power
  // Commits survive this process alone; a power cut may leave an environment that is damaged.
  // Closing it syncs.
  kAtClose,
};

struct LmdbOptions {
  uint64_t map_bytes = uint64_t(1) << 30;  // the most that it can hold; address space, not memory
  // Called when a full file system has stopped an update: true when it should be tried once more.
  // The body then runs again, on a new transaction. Each handle on an environment has its own.
  std::function<bool()> make_room = nullptr;
  std::string remedy = {};  // what errors of damage advise
  // The keys are in a table of their own, beside which there is a note (LmdbReader::note). An
  // environment that holds something else is refused then, kInvalid, and left as it is.
  bool has_note = false;
  bool may_make_table = true;  // with has_note; else an environment without the table is kInvalid
  LmdbSync sync = LmdbSync::kEachCommit;
};

// Values are valid until the transaction ends, or until the next put or remove in it.
class LmdbReader {
 public:
  virtual ~LmdbReader() = default;
  virtual Result<std::optional<std::span<const std::byte>>> get(std::span<const std::byte> key) = 0;

  // Calls `visit(key, value)` for every key that starts with `prefix`, in key order, from the first
  // key >= `from` (empty: from the prefix itself) until visit returns false.
  using Visit =
      std::function<bool(std::span<const std::byte> key, std::span<const std::byte> value)>;
  virtual Result<void> scan(std::span<const std::byte> prefix, std::span<const std::byte> from,
                            const Visit& visit) = 0;

  // How many keys there are. Costs nothing.
  virtual Result<uint64_t> count() = 0;

  // With LmdbOptions::has_note: what put_note() put there, at first nothing.
  virtual Result<std::span<const std::byte>> note();
};

class LmdbWriter : public LmdbReader {
 public:
  // kNoSpace when the map or the file system is full; the transaction is then lost as a whole.
  virtual Result<void> put(std::span<const std::byte> key, std::span<const std::byte> value) = 0;
  // False when there was no such key.
  virtual Result<bool> remove(std::span<const std::byte> key) = 0;

  // With LmdbOptions::has_note. A note costs nothing beside a change of the keys.
  virtual Result<void> put_note(std::span<const std::byte> bytes);
  // Removes all keys.
  virtual Result<void> clear();
};

struct LmdbInfo {
  uint64_t map_bytes = 0;   // the most that it can hold
  uint64_t used_bytes = 0;  // of that; pages that are free to be used again count
  uint64_t entry_count = 0;
  unsigned reader_count = 0;  // slots in use, of all processes
};

class LmdbEnvironment {
 public:
  // `directory` must exist and be on a local file system. Where this process has it open already
  // (LMDB forbids a second time) both share one, with the options of the first.
  static Result<std::unique_ptr<LmdbEnvironment>> open(const std::string& directory,
                                                       const LmdbOptions& options);
  virtual ~LmdbEnvironment() = default;

  virtual Result<void> view(const std::function<Result<void>(LmdbReader&)>& body) = 0;
  virtual Result<void> update(const std::function<Result<void>(LmdbWriter&)>& body) = 0;

  // Afterwards views see, durably, whatever a process has committed that has died since. Without it
  // they may miss its very last commit until the next update() of anybody: LMDB tells readers of a
  // commit after it is made. Who takes over from the dead calls it before looking.
  virtual Result<void> catch_up() = 0;

  // Frees the slots of readers that died, too.
  virtual Result<LmdbInfo> info() = 0;

  // A consistent copy in a new directory: durable, or not there. kExists where something is.
  virtual Result<void> copy_to(const std::string& directory);

  // Writes the data file anew without what is free, and puts it in the old one's place. Needs room
  // for both. Whoever dies in between, one of the two is there, whole. Transactions of this process
  // wait. kBusy while another process has the environment open: it would go on with the old file.
  virtual Result<void> compact();
};

}  // namespace casdisk
