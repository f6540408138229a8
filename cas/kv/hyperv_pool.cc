#include "cas/kv/hyperv_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "cas/kv/kv_backend.h"

namespace casdisk {
namespace {

constexpr uint64_t kScanCount = 64;  // records at a time, 160 KiB
constexpr std::byte kNoKey[kHypervKeyBytes] = {};

uint64_t offset_of(uint64_t slot) { return slot * kHypervRecordBytes; }

std::span<std::byte> record_in(Bytes& records, size_t i) {
  return std::span(records).subspan(i * kHypervRecordBytes, kHypervRecordBytes);
}
std::span<const std::byte> record_in(const Bytes& records, size_t i) {
  return std::span(records).subspan(i * kHypervRecordBytes, kHypervRecordBytes);
}
size_t count_of(const Bytes& records) { return records.size() / kHypervRecordBytes; }

void add_to(Bytes& records, const HypervRecord& record) {
  records.resize(records.size() + kHypervRecordBytes);
  encode_hyperv_record(record, record_in(records, count_of(records) - 1));
}

Bytes encoded(std::span<const HypervRecord> records) {
  Bytes bytes;
  bytes.reserve(records.size() * kHypervRecordBytes);
  for (const HypervRecord& record : records) add_to(bytes, record);
  return bytes;
}

// Of each key the record that counts.
Bytes last_of_each_key(const Bytes& records) {
  std::unordered_set<std::string_view> keys;
  std::vector<size_t> last;
  for (size_t i = count_of(records); i-- > 0;) {
    if (keys.insert(decode_hyperv_record(record_in(records, i)).key).second) last.push_back(i);
  }
  Bytes kept;
  kept.reserve(last.size() * kHypervRecordBytes);
  for (auto i = last.rbegin(); i != last.rend(); ++i) {
    const auto record = record_in(records, *i);
    kept.insert(kept.end(), record.begin(), record.end());
  }
  return kept;
}

std::vector<uint64_t> slots_between(uint64_t from, uint64_t to) {
  std::vector<uint64_t> slots;
  for (; from < to; from++) slots.push_back(from);
  return slots;
}

Error too_many_records(const File& file, uint64_t count) {
  return hyperv_too_many_records(file.path(), count);
}

}  // namespace

Error hyperv_too_many_records(const std::string& path, uint64_t count) {
  return Error{Fault::kLimit, 0,
               fmt::format("{}: {} records, and a pool of more than {} is read by get and list "
                           "alone; truncate it, or load what is to stay",
                           path, count, kMaxHypervRecords),
               kMaxHypervRecords, count};
}

Result<HypervPool::Shape> HypervPool::scan(const Visit& visit) const {
  TRY_ASSIGN(const uint64_t size_bytes, file_.size());
  Shape shape{.slot_count = size_bytes / kHypervRecordBytes,
              .torn_bytes = size_bytes % kHypervRecordBytes};
  Bytes some(std::min(shape.slot_count, kScanCount) * kHypervRecordBytes);
  for (uint64_t slot = 0; slot < shape.slot_count; slot += kScanCount) {
    const size_t count = size_t(std::min(kScanCount, shape.slot_count - slot));
    TRY(file_.read(offset_of(slot), std::span(some).first(count * kHypervRecordBytes)));
    for (size_t i = 0; i < count; i++) {
      const HypervRecord record = decode_hyperv_record(record_in(some, i));
      if (!record.key.empty()) {
        TRY(visit(slot + i, record));
      } else if (shape.nameless_count++ == 0) {
        shape.first_nameless = slot + i;
      }
    }
  }
  return shape;
}

Result<void> HypervPool::visit(const Visit& visit) const {
  auto scanned = scan(visit);
  return scanned.ok() ? Result<void>() : std::move(scanned.error());
}

// Where the key is, in a file that has no traces of a change that was cut off.
Result<HypervPool::Found> HypervPool::find_in_order(std::string_view key) {
  for (;;) {
    Found found;
    TRY_ASSIGN(const Shape shape, scan([&](uint64_t slot, const HypervRecord& record) {
                 if (record.key != key) return Result<void>();
                 if (found.slots.empty()) found.old_value_bytes = record.value.size();
                 found.slots.push_back(slot);
                 return Result<void>();
               }));
    found.slot_count = shape.slot_count;
    if (shape.torn_bytes == 0 && shape.nameless_count == 0) return found;
    TRY(tidy(shape));
  }
}

Result<void> HypervPool::tidy(const Shape& shape) {
  if (shape.torn_bytes != 0) TRY(cut(shape.slot_count));
  if (shape.nameless_count == 0) return {};
  TRY_ASSIGN(const Bytes rest, records_from(shape.first_nameless, shape.slot_count, ""));
  return replace(shape.first_nameless, rest, shape.slot_count,
                 shape.first_nameless + count_of(rest));
}

Result<void> HypervPool::put(const HypervRecord& record) {
  TRY_ASSIGN(const Found found, find_in_order(record.key));
  const Bytes alone = encoded({&record, 1});
  if (found.slots.empty()) {
    TRY_ASSIGN(const bool has_room, has_room_for_key());
    if (!has_room) return kv_too_many(file_.path(), kMaxHypervKeys, kMaxHypervKeys + 1);
    return add(found.slot_count, found.slot_count, alone);
  }
  const uint64_t slot = found.slots[0];
  if (found.slots.size() > 1) {
    TRY_ASSIGN(Bytes rest, records_from(slot, found.slot_count, record.key));
    rest.insert(rest.begin(), alone.begin(), alone.end());
    return replace(slot, rest, found.slot_count, slot + count_of(rest));
  }
  const size_t longest = std::max(found.old_value_bytes, record.value.size());
  if (longest >= kHypervSectorBytes) {
    return replace(slot, alone, found.slot_count, found.slot_count);
  }
  // Both values and their NULs are in one sector, whatever becomes of those behind it.
  TRY(file_.write(offset_of(slot) + kHypervKeyBytes, std::span(alone).subspan(kHypervKeyBytes)));
  return file_.sync();
}

Result<bool> HypervPool::has_room_for_key() const {
  std::unordered_set<std::string> keys;
  TRY_ASSIGN(const uint64_t size_bytes, file_.size());
  if (size_bytes / kHypervRecordBytes < kMaxHypervKeys) return true;
  TRY(visit([&](uint64_t, const HypervRecord& record) {
    if (keys.size() < kMaxHypervKeys) keys.emplace(record.key);
    return Result<void>();
  }));
  return keys.size() < kMaxHypervKeys;
}

// All that have a key, but those with the key `without`.
Result<Bytes> HypervPool::records_from(uint64_t slot, uint64_t slot_count,
                                       std::string_view without) const {
  if (slot_count > kMaxHypervRecords) return too_many_records(file_, slot_count);
  Bytes records(size_t(slot_count - slot) * kHypervRecordBytes);
  TRY(file_.read(offset_of(slot), records));
  size_t kept = 0;
  for (size_t i = 0; i < count_of(records); i++) {
    const std::string_view key = decode_hyperv_record(record_in(records, i)).key;
    if (key.empty() || key == without) continue;
    if (kept != i) std::ranges::copy(record_in(records, i), record_in(records, kept).begin());
    kept++;
  }
  records.resize(kept * kHypervRecordBytes);
  return records;
}

// The records from `slot` on become `records`, and the file, of `slot_count` now, ends at `end`.
// REQUIRES: the last record of each of their keys is among the ones that are replaced, and what is
// replaced by others has a key of theirs, or none.
Result<void> HypervPool::replace(uint64_t slot, const Bytes& records, uint64_t slot_count,
                                 uint64_t end) {
  const Bytes copies = last_of_each_key(records);
  const uint64_t copies_at = std::max(slot_count, slot + count_of(records));
  if (!copies.empty()) {
    TRY(add(slot_count, copies_at, copies));
    TRY(file_.write(offset_of(slot), records));
    TRY(file_.sync());
  }
  // While the copies count, and then these, each of which is also in its place.
  TRY(forget(slots_between(end, slot_count)));
  TRY(forget(slots_between(copies_at, copies_at + count_of(copies))));
  return cut(end);
}

// At `slot`, behind the `slot_count` that there are. When it fails before any of them has its key,
// they are gone.
Result<void> HypervPool::add(uint64_t slot_count, uint64_t slot, const Bytes& records) {
  const uint64_t offset = offset_of(slot);
  if (auto added = add_nameless(offset, records); !added.ok()) {
    if (auto undone = file_.resize(offset_of(slot_count)); !undone.ok()) {
      added.error().context += "; and what was written of it could not be taken back";
    }
    return added;
  }
  for (size_t i = 0; i < count_of(records); i++) {
    TRY(file_.write(offset + offset_of(i), record_in(records, i).first(kHypervKeyBytes)));
  }
  return file_.sync();
}

Result<void> HypervPool::add_nameless(uint64_t offset, const Bytes& records) {
  TRY(file_.resize(offset + records.size()));
  TRY(file_.sync());  // of zeros: no file system shows what was on the device before
  Bytes nameless = records;
  for (size_t i = 0; i < count_of(records); i++) {
    std::ranges::copy(kNoKey, record_in(nameless, i).begin());
  }
  TRY(file_.write(offset, nameless));
  return file_.sync();
}

// REQUIRES: no record that goes has a key. The zeros that end the last page may reach the device
// before the new size.
Result<void> HypervPool::cut(uint64_t slot_count) {
  TRY(file_.resize(offset_of(slot_count)));
  return file_.sync();
}

Result<void> HypervPool::forget(std::span<const uint64_t> slots) {
  if (slots.empty()) return {};
  for (const uint64_t slot : slots) TRY(file_.write(offset_of(slot), kNoKey));
  return file_.sync();
}

Result<uint64_t> HypervPool::remove(std::string_view key) {
  TRY_ASSIGN(const Found found, find_in_order(key));
  if (found.slots.empty()) return uint64_t(0);
  const uint64_t first = found.slots[0];
  TRY_ASSIGN(const Bytes rest, records_from(first, found.slot_count, key));
  // The one that counts goes last, so that no older one comes back.
  const std::span<const uint64_t> slots = found.slots;
  TRY(forget(slots.first(slots.size() - 1)));
  TRY(forget(slots.last(1)));
  TRY(replace(first, rest, found.slot_count, first + count_of(rest)));
  return uint64_t(found.slots.size());
}

Result<void> HypervPool::append(std::span<const HypervRecord> records) {
  TRY_ASSIGN(const Found found, find_in_order(""));
  const uint64_t count = found.slot_count + records.size();
  if (count > kMaxHypervRecords) return too_many_records(file_, count);
  return add(found.slot_count, found.slot_count, encoded(records));
}

Result<void> HypervPool::load(std::span<const HypervRecord> records) {
  if (records.size() > kMaxHypervRecords) return too_many_records(file_, records.size());
  if (records.empty()) return clear();
  TRY_ASSIGN(const uint64_t size_bytes, file_.size());
  const uint64_t slot_count = size_bytes / kHypervRecordBytes;
  const Bytes fresh = encoded(records);
  if (slot_count == 0 || slot_count > kMaxHypervRecords) {
    TRY(clear());
    return add(0, 0, fresh);
  }
  if (size_bytes % kHypervRecordBytes != 0) TRY(cut(slot_count));
  const Bytes copies = last_of_each_key(fresh);
  // Behind the old ones, and behind the new ones' places too.
  const uint64_t copies_at = std::max<uint64_t>(slot_count, records.size());
  TRY(add(slot_count, copies_at, copies));
  TRY(forget(slots_between(0, slot_count)));
  TRY(file_.write(0, fresh));
  TRY(file_.sync());
  TRY(forget(slots_between(copies_at, copies_at + count_of(copies))));
  return cut(records.size());
}

Result<void> HypervPool::clear() {
  TRY_ASSIGN(const uint64_t size_bytes, file_.size());
  const uint64_t slot_count = size_bytes / kHypervRecordBytes;
  if (slot_count <= kMaxHypervRecords) TRY(forget(slots_between(0, slot_count)));
  return cut(0);
}

}  // namespace casdisk
