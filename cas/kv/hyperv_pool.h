// HypervPool: what is in an open pool file of Hyper-V, and changes to it that a crash does not
// tear.
//
// The file is records one after the other (hyperv_record.h), and a beginning of one, which counts
// for nothing, where somebody was cut off. Others have the same file open and wait for its lock, so
// it is changed in place; a new file under the old name would be one that they never see.
//
// What holds when the process or the power ends in the middle of a change: every other key has its
// value, and the key that is written has its old value or its new one, whole. (By readers that take
// the last record of a key, as casdisk does. hv_kvp_daemon takes the first: it may see a torn value
// of that key until the next write of it.) A device writes a sector whole; for the rest:
// - A record is added behind the others without its key, synced, and then gets its key.
// - What is longer than a sector, or moves, is first added behind the others once more, where it
//   counts; then written in its place; then the copies go.
// - A record goes by losing its key; only what has none is cut off.
// Of an append, a load and a truncation that are cut off each record is there, whole, or not; the
// next change clears away what such a one left. (In a file of more than kMaxHypervRecords, which
// casdisk does not make, a truncation may leave torn records.)
//
// Every change is durable when it returns. After an error of the device the file is as after a
// crash. Holds no state and no lock: whoever calls has the file's lock (hyperv_lock.h), shared to
// read and exclusive to change.
#pragma once

#include <functional>
#include <optional>

#include "cas/kv/hyperv_record.h"
#include "cas/os/bytes.h"
#include "cas/os/file.h"

namespace casdisk {

// Distinct keys that a pool takes; what it has already may be more.
inline constexpr uint64_t kMaxHypervKeys = 1024;
// Records, duplicates among them: what a change may have to hold in memory is 40 MiB, twice.
// Appends end there; what others have made larger can be read, truncated and loaded.
inline constexpr uint64_t kMaxHypervRecords = 16384;

// kLimit: that are so many, with what can be done about it.
Error hyperv_too_many_records(const std::string& path, uint64_t count);

class HypervPool {
 public:
  explicit HypervPool(File& file) : file_(file) {}

  struct Shape {
    uint64_t slot_count = 0;  // whole records
    uint64_t nameless_count = 0;
    uint64_t first_nameless = 0;  // a slot, if there are any
    uint64_t torn_bytes = 0;
    uint64_t record_count() const { return slot_count - nameless_count; }
  };
  // Every record that has a key, in the file's order; the views hold for the call. Memory does not
  // go with the file's size.
  using Visit = std::function<Result<void>(uint64_t slot, const HypervRecord&)>;
  Result<Shape> scan(const Visit& visit) const;
  Result<void> visit(const Visit& visit) const;

  // Keys and values fit into their fields and have no NUL, and no key is empty, in all of these.

  // In the place of the first record of that key; later ones go. kLimit for a new key when there
  // are kMaxHypervKeys.
  Result<void> put(const HypervRecord& record);
  // How many there were. The others keep their order, which is what decides between duplicates.
  Result<uint64_t> remove(std::string_view key);
  // kLimit beyond kMaxHypervRecords.
  Result<void> append(std::span<const HypervRecord> records);
  // These and no others. There must be room for both.
  Result<void> load(std::span<const HypervRecord> records);
  Result<void> clear();

 private:
  struct Found {
    uint64_t slot_count = 0;
    std::vector<uint64_t> slots;  // of the key
    size_t old_value_bytes = 0;   // of the first one
  };
  Result<Found> find_in_order(std::string_view key);
  Result<void> tidy(const Shape& shape);
  Result<bool> has_room_for_key() const;
  Result<Bytes> records_from(uint64_t slot, uint64_t slot_count, std::string_view without) const;
  Result<void> add(uint64_t slot_count, uint64_t slot, const Bytes& records);
  Result<void> add_nameless(uint64_t offset, const Bytes& records);
  Result<void> replace(uint64_t slot, const Bytes& records, uint64_t slot_count, uint64_t end);
  Result<void> forget(std::span<const uint64_t> slots);
  Result<void> cut(uint64_t slot_count);

  File& file_;
};

}  // namespace casdisk
