#include "cas/location_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cas/location_table_keys.h"

namespace casdisk {

namespace {

constexpr uint32_t kTableVersion = 1;
constexpr std::string_view kVersionKey = "V";
constexpr std::string_view kStoreIdKey = "S";
constexpr std::string_view kEntryPrefix = "L";
constexpr size_t kEntriesPerSlice = 32768;  // 2 MiB of them, some milliseconds
constexpr size_t kMaxRemembered = 4096;

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
      return damaged_in_table("no store id");
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
    TRY_ASSIGN(entry, find_location(reader, id));
    return {};
  }));
  if (entry && remembered_damaged(id, entry->location)) entry->damaged = true;
  return entry;
}

Result<std::optional<PackLocation>> LocationTable::lookup_to_keep(const ChunkId& id) {
  std::optional<PackLocation> found;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(auto entry, find_location(reader, id));
    if (!entry || entry->damaged) return {};
    TRY_ASSIGN(auto pack, find_pack(reader, entry->location.pack));
    if (!pack || !pack->condemned) found = entry->location;
    return {};
  }));
  if (found && remembered_damaged(id, *found)) found.reset();
  return found;
}

Result<std::vector<uint64_t>> LocationTable::enter(std::span<const LocatedObject> objects) {
  std::vector<const LocatedObject*> sorted;
  std::set<uint64_t> packs;
  sorted.reserve(objects.size());
  for (const LocatedObject& object : objects) {
    sorted.push_back(&object);
    packs.insert(object.location.pack);
  }
  std::ranges::sort(sorted, {}, &LocatedObject::id);
  std::vector<uint64_t> refused;
  TRY(environment_->update([&](LmdbWriter& writer) -> Result<void> {
    refused.clear();
    for (uint64_t pack : packs) {
      TRY_ASSIGN(auto record, find_pack(writer, pack));
      if (!record || record->condemned) refused.push_back(pack);
    }
    if (!refused.empty()) return {};
    for (const LocatedObject* object : sorted) {
      TRY(writer.put(location_key(object->id), encode_location({.location = object->location})));
    }
    return {};
  }));
  return refused;
}

void LocationTable::flag_damaged(const ChunkId& id, const PackLocation& location) {
  auto flagged = environment_->update([&](LmdbWriter& writer) -> Result<void> {
    TRY_ASSIGN(auto entry, find_location(writer, id));
    if (!entry || entry->location != location || entry->damaged) return {};
    entry->damaged = true;
    return writer.put(location_key(id), encode_location(*entry));
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
  LocationKey from = location_key({});
  for (;;) {
    slice.clear();
    Result<void> outcome;
    TRY(environment_->view([&](LmdbReader& reader) {
      return reader.scan(as_bytes(kEntryPrefix), from, [&](auto key, auto value) {
        if (slice.size() == kEntriesPerSlice) return false;
        ChunkId id;
        if (key.size() == from.size()) std::ranges::copy(key.subspan(1), id.bytes.begin());
        auto entry = decode_location(id, value);
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
    from = location_key(slice.back().first);
    size_t digit = from.size() - 1;
    while (digit > 0 && from[digit] == std::byte(0xff)) from[digit--] = std::byte(0);
    if (digit == 0) return {};
    from[digit] = std::byte(uint8_t(from[digit]) + 1);
  }
}

Result<void> LocationTable::adopt(const StoreId& store_id, std::span<const uint64_t> packs) {
  store_id_ = store_id;
  TRY(environment_->update([&](LmdbWriter& writer) -> Result<void> {
    return writer.put(as_bytes(kStoreIdKey), store_id);
  }));
  return adopt_packs(packs);
}

Result<uint64_t> LocationTable::object_count() {
  uint64_t count = 0;
  TRY(environment_->view([&](LmdbReader& reader) -> Result<void> {
    TRY_ASSIGN(count, reader.count());
    for (std::string_view key : {kVersionKey, kStoreIdKey, kLastPackKey, kGenerationsKey}) {
      TRY_ASSIGN(auto other, reader.get(as_bytes(key)));
      if (other) count--;
    }
    return reader.scan(as_bytes(kPackPrefix), {}, [&](auto, auto) {
      count--;
      return true;
    });
  }));
  return count;
}

}  // namespace casdisk
