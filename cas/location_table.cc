#include "cas/location_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace casdisk {

namespace {

constexpr uint32_t kTableVersion = 1;
constexpr std::string_view kVersionKey = "V";
constexpr std::string_view kStoreIdKey = "S";
constexpr std::string_view kLastPackKey = "P";
constexpr std::string_view kEntryPrefix = "L";
constexpr uint8_t kDamagedFlag = 1;
constexpr size_t kEntriesPerSlice = 32768;  // 2 MiB of them, some milliseconds
constexpr size_t kMaxRemembered = 4096;

using EntryKey = std::array<std::byte, 33>;
using EntryValue = std::array<std::byte, 21>;

EntryKey key_of(const ChunkId& id) {
  EntryKey key;
  key[0] = std::byte('L');
  std::ranges::copy(id.bytes, key.begin() + 1);
  return key;
}

EntryValue encode(const LocationTable::Entry& entry) {
  EntryValue value;
  store_le(&value[0], entry.location.pack);
  store_le(&value[8], entry.location.offset);
  store_le(&value[16], entry.location.record_bytes);
  store_le(&value[20], entry.damaged ? kDamagedFlag : uint8_t(0));
  return value;
}

Result<LocationTable::Entry> decode(const ChunkId& id, std::span<const std::byte> value) {
  ByteReader reader(value);
  LocationTable::Entry entry;
  entry.location.pack = reader.number<uint64_t>();
  entry.location.offset = reader.number<uint64_t>();
  entry.location.record_bytes = reader.number<uint32_t>();
  entry.damaged = reader.number<uint8_t>() != 0;
  if (!reader.finished() || entry.location.record_bytes > kMaxRecordBytes ||
      entry.location.record_bytes < kRecordHeaderBytes || entry.location.offset > kMaxPackBytes) {
    return Error{Fault::kDamaged, 0, fmt::format("chunk {}: impossible location", to_hex(id))};
  }
  return entry;
}

Result<std::optional<LocationTable::Entry>> find(LmdbReader& reader, const ChunkId& id) {
  TRY_ASSIGN(auto value, reader.get(key_of(id)));
  if (!value) return std::optional<LocationTable::Entry>();
  TRY_ASSIGN(LocationTable::Entry entry, decode(id, *value));
  return std::optional(entry);
}

}  // namespace

Result<std::unique_ptr<LocationTable>> LocationTable::open(Machine& machine,
                                                           const std::string& directory,
                                                           const LmdbOptions& options) {
  TRY_ASSIGN(auto environment, machine.open_environment(directory, options));
  std::unique_ptr<LocationTable> table(new LocationTable(std::move(environment)));
  if (auto ready = table->initialize(machine); !ready.ok()) {
    return Error{ready.error().fault, ready.error().os_error,
                 directory + ": " + ready.error().context};
  }
  return table;
}

// Writes only into a new table: opening one must not wait for another process's commit.
Result<void> LocationTable::initialize(Machine& machine) {
  bool is_new = false;
  const auto load = [&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(auto version, reader.get(as_bytes(kVersionKey)));
    is_new = !version;
    if (is_new) return {};
    if (ByteReader(*version).number<uint32_t>() != kTableVersion) {
      return Error{Fault::kUnsupported, 0, "location table of an unknown version"};
    }
    TRY_ASSIGN(auto store_id, reader.get(as_bytes(kStoreIdKey)));
    if (!store_id || store_id->size() != store_id_.size()) {
      return Error{Fault::kDamaged, 0, "location table without a store id"};
    }
    std::ranges::copy(*store_id, store_id_.begin());
    return {};
  };
  TRY(environment_->view(load));
  if (!is_new) return {};
  StoreId fresh_id;
  store_le(&fresh_id[0], machine.random());
  store_le(&fresh_id[sizeof(uint64_t)], machine.random());
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY(load(writer));
    if (!is_new) return {};  // another process was faster
    store_id_ = fresh_id;
    TRY(writer.put(as_bytes(kStoreIdKey), fresh_id));
    return writer.put(as_bytes(kVersionKey), ByteWriter().number(kTableVersion).take());
  });
}

Result<std::optional<LocationTable::Entry>> LocationTable::lookup(const ChunkId& id) {
  std::optional<Entry> entry;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(entry, find(reader, id));
    return {};
  }));
  if (entry && remembered_damaged(id, entry->location)) entry->damaged = true;
  return entry;
}

Result<void> LocationTable::enter(std::span<const LocatedObject> objects) {
  std::vector<const LocatedObject*> sorted;
  sorted.reserve(objects.size());
  for (const LocatedObject& object : objects) sorted.push_back(&object);
  std::ranges::sort(sorted, {}, &LocatedObject::id);
  return environment_->update([&](LmdbWriter& writer) -> Result<void> {
    for (const LocatedObject* object : sorted) {
      TRY(writer.put(key_of(object->id), encode({.location = object->location})));
    }
    return {};
  });
}

void LocationTable::flag_damaged(const ChunkId& id, const PackLocation& location) {
  auto flagged = environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(auto entry, find(writer, id));
    if (!entry || entry->location != location || entry->damaged) return {};
    entry->damaged = true;
    return writer.put(key_of(id), encode(*entry));
  });
  if (flagged.ok()) return;
  std::lock_guard lock(mutex_);
  if (damaged_.size() < kMaxRemembered) damaged_.insert_or_assign(id, location);
}

bool LocationTable::remembered_damaged(const ChunkId& id, const PackLocation& location) {
  std::lock_guard lock(mutex_);
  if (damaged_.empty()) return false;
  auto found = damaged_.find(id);
  return found != damaged_.end() && found->second == location;
}

// The entries of one transaction are copied out of it: what visit does may take its time.
Result<void> LocationTable::for_each(
    const std::function<Result<void>(const ChunkId&, const Entry&)>& visit) {
  std::vector<std::pair<ChunkId, Entry>> slice;
  EntryKey from = key_of({});
  for (;;) {
    slice.clear();
    Result<void> outcome;
    TRY(environment_->view([&](LmdbReader& reader) {
      return reader.scan(as_bytes(kEntryPrefix), from, [&](auto key, auto value) {
        if (slice.size() == kEntriesPerSlice) return false;
        ChunkId id;
        if (key.size() == from.size()) std::ranges::copy(key.subspan(1), id.bytes.begin());
        auto entry = decode(id, value);
        if (!entry.ok()) {
          outcome = std::move(entry.error());
          return false;
        }
        slice.emplace_back(id, entry.value());
        return true;
      });
    }));
    for (const auto& [id, entry] : slice) TRY(visit(id, entry));
    TRY(std::move(outcome));
    if (slice.size() < kEntriesPerSlice) return {};
    // The key after the last one: ids are numbers of 32 bytes, the highest digit first.
    from = key_of(slice.back().first);
    size_t digit = from.size() - 1;
    while (digit > 0 && from[digit] == std::byte(0xff)) from[digit--] = std::byte(0);
    if (digit == 0) return {};
    from[digit] = std::byte(uint8_t(from[digit]) + 1);
  }
}

Result<uint64_t> LocationTable::object_count() {
  uint64_t count = 0;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(count, reader.count());
    for (std::string_view key : {kVersionKey, kStoreIdKey, kLastPackKey}) {
      TRY_ASSIGN(auto other, reader.get(as_bytes(key)));
      if (other) count--;
    }
    return {};
  }));
  return count;
}

Result<uint64_t> LocationTable::allocate_pack() {
  uint64_t pack = 0;
  TRY(environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(auto last, writer.get(as_bytes(kLastPackKey)));
    pack = (last ? ByteReader(*last).number<uint64_t>() : 0) + 1;
    return writer.put(as_bytes(kLastPackKey), ByteWriter().number(pack).take());
  }));
  return pack;
}

}  // namespace casdisk
