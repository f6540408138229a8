#include "cas/location_table_keys.h"

#include <fmt/format.h>

#include <algorithm>

namespace casdisk {

namespace {

constexpr uint8_t kDamagedFlag = 1;

}  // namespace

LocationKey location_key(const ChunkId& id) {
  LocationKey key;
  key[0] = std::byte('L');
  std::ranges::copy(id.bytes, key.begin() + 1);
  return key;
}

LocationValue encode_location(const LocationTable::Entry& entry) {
  LocationValue value;
  store_le(&value[0], entry.location.pack);
  store_le(&value[8], entry.location.offset);
  store_le(&value[16], entry.location.record_bytes);
  store_le(&value[20], entry.damaged ? kDamagedFlag : uint8_t(0));
  return value;
}

Result<LocationTable::Entry> decode_location(const ChunkId& id, std::span<const std::byte> value) {
  ByteReader reader(value);
  LocationTable::Entry entry;
  entry.location.pack = reader.number<uint64_t>();
  entry.location.offset = reader.number<uint64_t>();
  entry.location.record_bytes = reader.number<uint32_t>();
  entry.damaged = reader.number<uint8_t>() != 0;
  if (!reader.finished() || entry.location.record_bytes > kMaxRecordBytes ||
      entry.location.record_bytes < kRecordHeaderBytes || entry.location.offset > kMaxPackBytes) {
    return damaged_in_table(fmt::format("chunk {}: impossible location", to_hex(id)));
  }
  return entry;
}

Error damaged_in_table(const std::string& what) {
  return Error{Fault::kDamaged, 0, what + " in the store's locations/data.mdb; " + kRebuildTable};
}

Result<std::optional<LocationTable::Entry>> find_location(LmdbReader& reader, const ChunkId& id) {
  TRY_ASSIGN(auto value, reader.get(location_key(id)));
  if (!value) return std::optional<LocationTable::Entry>();
  TRY_ASSIGN(LocationTable::Entry entry, decode_location(id, *value));
  return std::optional(entry);
}

PackKey pack_key(uint64_t pack) {
  PackKey key;
  key[0] = std::byte('A');
  for (size_t i = 0; i < 8; i++) key[1 + i] = std::byte(uint8_t(pack >> (8 * (7 - i))));
  return key;
}

Result<std::optional<LocationTable::PackRecord>> find_pack(LmdbReader& reader, uint64_t pack) {
  TRY_ASSIGN(auto value, reader.get(pack_key(pack)));
  if (!value) return std::optional<LocationTable::PackRecord>();
  ByteReader fields(*value);
  LocationTable::PackRecord record{pack, fields.number<uint8_t>() != 0};
  if (fields.finished()) return std::optional(record);
  return damaged_in_table(fmt::format("damaged record of pack {:016x}", pack));
}

}  // namespace casdisk
